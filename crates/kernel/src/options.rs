//! What the kernel side is told to begin with.

use std::{path::PathBuf, time::Duration};

use hayward_model::{Guard, ScopePolicy};

use crate::{InboundLimits, OutboundLimits, Variant};

/// What the kernel side needs to start.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// Folder for pins, below a BPF file system.
    pub pins: PathBuf,
    /// Id (inode) of the cgroup outside which nothing is acted on.
    pub root_cgroup: u64,
    /// How long the programs enforce without a sign of life from the agent; zero is for ever.
    pub lease: Duration,
    /// Users from this id on are in scope wherever they are.
    pub uid_min: Option<u32>,
    /// Policy of such users' processes.
    pub users_policy: ScopePolicy,
    /// Some cgroups are decided by name: events tell of new ones.
    pub by_name: bool,
    /// The folder of the root cgroup.
    pub root: PathBuf,
    /// Guards that are put on its sockets and packets, and on those of the cgroups below it.
    pub network: Vec<Guard>,
    /// What the guard `outbound` goes by.
    pub outbound: OutboundLimits,
    /// What the guard `inbound` goes by.
    pub inbound: InboundLimits,
    /// Programs started from memory are killed.
    pub fileless_kill: bool,
    /// Programs that could not be judged are killed.
    pub unscanned_kill: bool,
    /// Programs on frames are filters of the devices, as before Linux 6.6. Else they are where there are no links to devices.
    pub filters: bool,
    /// Variants of the programs that are tried, the first that loads being taken.
    pub variants: &'static [Variant],
}
