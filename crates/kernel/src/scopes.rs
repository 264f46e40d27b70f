//! Policies, and which cgroup falls under which.

use libbpf_rs::{MapCore, MapFlags};

use crate::error::{Doing, KernelError};

/// What a scope lets the guards do. Index 0 of the policies is "out of scope" and stays empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelPolicy {
    /// The `command` guard judges here.
    pub command: bool,
    /// And acts.
    pub command_enforce: bool,
}

impl KernelPolicy {
    /// `POLICY_*` of `bpf/layout.h`.
    pub(crate) fn bits(self) -> u32 {
        u32::from(self.command) | u32::from(self.command && self.command_enforce) << 1
    }
}

/// Writes all policies, from index 0 on; what lies beyond is emptied.
pub(crate) fn write_policies(
    map: &impl MapCore,
    policies: &[KernelPolicy],
    former: usize,
) -> Result<(), KernelError> {
    for index in 0..policies.len().max(former) {
        let bits = policies.get(index).map_or(0, |policy| policy.bits());
        let key = u32::try_from(index).unwrap_or(u32::MAX);
        map.update(&key.to_ne_bytes(), &bits.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("write policy {index}"))?;
    }
    Ok(())
}
