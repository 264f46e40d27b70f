//! The guard `inbound` in the agent: where it looks, who is never banned, and what becomes of its findings.

mod addresses;
mod findings;
mod interfaces;
mod links;
mod never;
mod peers;
mod proof;
mod recorded;
mod state;
mod watch;

use hayward_kernel::InboundLimits;
use hayward_model::Mode;
use hayward_policy::InboundSettings;

pub use interfaces::InterfaceReport;
pub use proof::{InterfaceProof, ProofReport};
pub(crate) use state::{Inbound, lock};

/// What settings say, for the kernel; `mode` is that which holds for the guard.
pub fn inbound_limits(settings: &InboundSettings, mode: Mode) -> InboundLimits {
    let ports = settings.ports;
    InboundLimits {
        enforce: mode == Mode::Enforce,
        cut_replies: settings.cut_replies,
        log: false,
        failures: settings.failures,
        ports: ports.map_or(0, |limit| limit.ports),
        within: ports.map_or(InboundLimits::DEFAULT.within, |limit| limit.within),
        memory: settings.memory,
        ban: settings.ban,
        soft_ban: settings.soft_ban,
        ipv6_prefix: settings.ipv6_prefix,
        ban_rate: settings.ban_rate,
        most_bans: settings.most_bans,
        sources: settings.sources,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(text: &str) -> InboundLimits {
        let policy = hayward_policy::Policy::parse("h.yaml", text).expect("good settings");
        let mode = policy.guard_mode(hayward_model::Guard::Inbound).0;
        inbound_limits(&policy.inbound, mode)
    }

    #[test]
    fn where_settings_say_nothing_the_kernels_defaults_hold() {
        let listed = limits("guards: {inbound: {interfaces: [eth0]}}");
        assert_eq!(listed, InboundLimits::DEFAULT);
        assert!(!limits("").enforce);
    }

    #[test]
    fn a_mode_of_the_agent_and_a_profile_reach_the_kernel() {
        let text = "mode: observe\nguards: {inbound: {interfaces: [eth0], profile: scanblocker, within: 30s}}";
        let limits = limits(text);
        assert!(!limits.enforce);
        assert_eq!((limits.ports, limits.within), (3, Duration::from_secs(30)));
    }
}
