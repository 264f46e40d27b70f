//! The guard `egress` in the agent: its lists get their numbers in the kernel's map, and what was refused is recorded,
//! some of it.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use hayward_kernel::{Egress, EgressNames, KernelError, NO_LIST, Pins};
use hayward_model::{EgressEvent, Guard};
use hayward_policy::Policy;

use crate::{
    agent::Agent,
    network::{admits, is_canary},
    node,
    pipeline::Pipeline,
};

/// So many refusals of a workload are recorded in this time. The kernel counts them all.
const MOST_TOLD: u32 = 10;
const WHILE: Duration = Duration::from_secs(60);
/// Workloads that are told apart in this.
const MOST_WORKLOADS: usize = 4_096;

/// Gives the lists of settings numbers that none in the kernel's map has, and writes them there where it is: what is in
/// force still goes by the old ones.
pub(crate) fn number(policy: Policy) -> Result<Policy, KernelError> {
    if !policy.lists(Guard::Egress) {
        return Ok(policy);
    }
    // There is none before an agent first lists the guard.
    let in_use = match Egress::open(&Pins::new(&policy.pins)) {
        Ok(egress) => egress.lists()?,
        Err(_) => BTreeSet::new(),
    };
    let mut free = (0..NO_LIST).filter(|number| !in_use.contains(number));
    let numbers = policy.egress_lists().iter().filter_map(|_| free.next());
    let numbers = numbers.collect();
    let policy = policy.numbered(numbers);
    if !in_use.is_empty() {
        write_lists(&policy)?;
    }
    Ok(policy)
}

/// Writes the lists of settings under their numbers, where they list the guard and the kernel carries it.
pub(crate) fn write_lists(policy: &Policy) -> Result<(), KernelError> {
    if !policy.lists(Guard::Egress) {
        return Ok(());
    }
    let Ok(egress) = Egress::open(&Pins::new(&policy.pins)) else {
        return Ok(());
    };
    let names = EgressNames::open(&Pins::new(&policy.pins))?;
    names.set_resolvers(&resolvers(policy))?;
    let numbers = policy.list_numbers().iter().copied();
    let numbered = numbers.zip(policy.egress_lists());
    let always = numbered
        .clone()
        .map(|(number, says)| (number, &says.always));
    let reached = numbered.map(|(number, says)| (number, &says.reached));
    names.allow_always(always.clone().map(|(number, says)| (number, &says.names)))?;
    names.allow(reached.clone().map(|(number, says)| (number, &says.names)))?;
    for (number, says) in always {
        for (prefix, allowed) in &says.list {
            egress.allow_always(number, *prefix, allowed)?;
        }
    }
    for (number, says) in reached {
        for (prefix, allowed) in &says.list {
            egress.allow(number, *prefix, allowed)?;
        }
    }
    Ok(())
}

impl Agent {
    /// Removes the lists that no cgroup goes by any more.
    pub(crate) fn forget_old_lists(&self) {
        let policy = self.policy();
        if !policy.lists(Guard::Egress) {
            return;
        }
        let numbers = policy.list_numbers();
        let Ok(egress) = Egress::open(&Pins::new(&policy.pins)) else {
            return;
        };
        let cleared = egress.clear(|number| !numbers.contains(&number));
        if let Err(error) = cleared.and_then(|()| egress.forget_grant_lists()) {
            tracing::error!("{error}");
        }
    }

    /// Forgets addresses that are not known by a name any more, and looks which name servers there are.
    pub(crate) fn see_to_names(&self) {
        let policy = self.policy();
        if !policy.lists(Guard::Egress) {
            return;
        }
        let Ok(names) = EgressNames::open(&Pins::new(&policy.pins)) else {
            return;
        };
        let seen_to = names.set_resolvers(&resolvers(&policy));
        if let Err(error) = seen_to.and_then(|()| names.forget_learnt()) {
            tracing::error!("{error}");
        }
    }
}

/// Name servers whose answers are believed.
fn resolvers(policy: &Policy) -> Vec<IpAddr> {
    let set = policy.egress.resolvers.clone();
    set.unwrap_or_else(|| node::resolvers(Path::new("/")))
}

/// How many refusals were recorded lately, by workload.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    workloads: HashMap<u64, Lately>,
}

#[derive(Debug)]
struct Lately {
    since: Instant,
    told: u32,
}

impl Refusals {
    /// Whether one more of a cgroup is recorded.
    pub(crate) fn admits(&mut self, cgroup: u64, now: Instant) -> bool {
        let is_over = |lately: &Lately| now.saturating_duration_since(lately.since) >= WHILE;
        if !self.workloads.contains_key(&cgroup) && self.workloads.len() >= MOST_WORKLOADS {
            self.workloads.retain(|_, lately| !is_over(lately));
            if self.workloads.len() >= MOST_WORKLOADS {
                return false;
            }
        }
        let lately = self.workloads.entry(cgroup).or_insert(Lately {
            since: now,
            told: 0,
        });
        if is_over(lately) {
            *lately = Lately {
                since: now,
                told: 0,
            };
        }
        lately.told += 1;
        lately.told <= MOST_TOLD
    }
}

impl Pipeline {
    /// Takes what the kernel says that a workload wanted to reach.
    pub(crate) fn take_egress(&self, event: EgressEvent) {
        let cgroup = event.sender.cgroup_id;
        if is_canary(&self.egress_canary, cgroup) || !admits(&self.refusals, cgroup) {
            return;
        }
        let ban = event.ban;
        let mut finding = hayward_detect::egress(event);
        finding.evidence.ban_list = ban.and_then(|ban| self.bans().name_of(ban));
        self.conclude_sent(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_workload_some_refusals_are_recorded_and_memory_is_bounded() {
        let mut refusals = Refusals::default();
        let now = Instant::now();
        let told = |refusals: &mut Refusals, cgroup, now| {
            (0..100).filter(|_| refusals.admits(cgroup, now)).count()
        };
        assert_eq!(told(&mut refusals, 1, now), 10);
        assert_eq!(told(&mut refusals, 2, now), 10);
        assert_eq!(told(&mut refusals, 1, now + WHILE), 10);
        for cgroup in 0..10_000 {
            refusals.admits(cgroup, now);
        }
        assert_eq!(refusals.workloads.len(), MOST_WORKLOADS);
        assert!(refusals.admits(20_000, now + 2 * WHILE));
    }
}
