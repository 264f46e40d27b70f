//! What the kernel side is started with, by settings.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use hayward_kernel::{InboundLimits, KernelOptions, Variant};
use hayward_model::{Guard, Response};
use hayward_policy::Policy;
use hayward_rules::table::CommandTable;

use crate::{inbound, outbound};

/// Whether what leaves workloads is to be judged: by the guard `egress`, or because some finding may lead to a quarantine.
pub(crate) fn may_quarantine(policy: &Policy, table: &CommandTable) -> bool {
    let mut rules = table.rules().iter();
    policy.lists(Guard::Egress)
        || policy.may_quarantine()
        || rules.any(|rule| rule.response == Some(Response::Quarantine))
}

/// But for where programs on packets are put, which only matters when they are loaded.
pub(crate) fn kernel_options(policy: &Policy, root: &Path) -> KernelOptions {
    KernelOptions {
        pins: policy.pins.clone(),
        root_cgroup: fs::metadata(root).map_or(u64::MAX, |metadata| metadata.ino()),
        lease: policy.lease,
        uid_min: policy.scope_rules().users().then(uid_min),
        users_policy: policy.scope_rules().general(),
        by_name: policy.scope_rules().is_by_name(),
        root: root.to_owned(),
        network: Vec::new(),
        outbound: outbound::outbound_limits(&policy.outbound),
        inbound: InboundLimits {
            log: policy.compat_scanblocker.is_some(),
            ..inbound::inbound_limits(&policy.inbound, policy.guard_mode(Guard::Inbound).0)
        },
        fileless_kill: policy.command.fileless_kill,
        unscanned_kill: policy.command.unscanned_kill,
        filters: false,
        variants: Variant::ALL,
    }
}

/// Where ids of people begin, by /etc/login.defs; 1000 where it does not say.
pub(crate) fn uid_min() -> u32 {
    let text = fs::read_to_string("/etc/login.defs").unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("UID_MIN")?.trim().parse().ok());
    value.unwrap_or(1000).max(1)
}
