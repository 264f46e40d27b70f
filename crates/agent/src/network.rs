//! What is the same of all guards on the network: canaries are no findings, of many refusals some are recorded, and what
//! /proc tells of the process goes with them.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use hayward_model::Finding;

use crate::{egress::Refusals, pipeline::Pipeline, process};

/// Whether an event is about the canary that is awaited, which it then is no more.
pub(crate) fn is_canary(awaited: &AtomicU64, cgroup: u64) -> bool {
    let is_it = awaited.load(Relaxed) == cgroup;
    if is_it {
        awaited.store(0, Relaxed);
    }
    is_it
}

/// Whether one more refusal of a cgroup is recorded.
pub(crate) fn admits(refusals: &Mutex<Refusals>, cgroup: u64) -> bool {
    let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
    refusals.admits(cgroup, Instant::now())
}

impl Pipeline {
    /// The way of a finding that no rule is concerned with.
    pub(crate) fn conclude_sent(&self, mut finding: Finding) {
        let (Some(current), _) = self.tables_for(0) else {
            return;
        };
        process::complete(&mut finding.process);
        self.conclude(finding, None, None, &current);
    }
}
