//! The guard `pool` in the agent: connections on which somebody mines are recorded, some of them.

use hayward_kernel::{KernelError, Pins, PoolDomains};
use hayward_model::{Guard, PoolEvent};
use hayward_policy::Policy;

use crate::{
    network::{admits, is_canary},
    pipeline::Pipeline,
};

/// Writes the domains of settings, where they list the guard and the kernel carries it.
pub(crate) fn write_domains(policy: &Policy) -> Result<(), KernelError> {
    if !policy.lists(Guard::Pool) {
        return Ok(());
    }
    let Ok(domains) = PoolDomains::open(&Pins::new(&policy.pins)) else {
        return Ok(());
    };
    domains.set(policy.pool.domains.iter().map(String::as_str))
}

impl Pipeline {
    /// Takes what the kernel says of a connection.
    pub(crate) fn take_pool(&self, event: PoolEvent) {
        let cgroup = event.sender.cgroup_id;
        if is_canary(&self.pool_canary, cgroup) || !admits(&self.pool_refusals, cgroup) {
            return;
        }
        self.conclude_sent(hayward_detect::pool(event));
    }
}
