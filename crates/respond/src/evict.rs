//! Having a workload stopped by the runtime that runs it, which then knows that it was stopped on purpose.
//!
//! The runtime is asked for a container by the id in the cgroup's path, which whoever makes cgroups chooses. So it also
//! has to tell the container's process, and that must be in the cgroup that was judged: another's container is never
//! stopped by a forged name. And what it says is not taken for done before the cgroup is empty.

use std::{collections::HashSet, fmt, time::Duration};

use hayward_model::Action;
use serde::{Deserialize, Serialize};

use crate::{ActError, Done, Target, freeze};

const ACT: &str = "evict";

/// How long the processes may take to end after the runtime said that they had.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many seconds a workload may take to end by itself, after SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Grace(pub u16);

impl Default for Grace {
    /// As Docker has it.
    fn default() -> Self {
        Self(10)
    }
}

impl From<Grace> for Duration {
    fn from(grace: Grace) -> Self {
        Self::from_secs(grace.0.into())
    }
}

impl fmt::Display for Grace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// What a runtime is asked for.
#[derive(Debug)]
pub struct Stop<'a> {
    /// Path of the workload's cgroup below the mount, in which the container's or pod's id stands.
    pub path: &'a str,
    /// The processes in it, one of which the runtime must name as the container's.
    pub processes: HashSet<u32>,
    /// How long it may take to end by itself.
    pub grace: Grace,
    /// Only find out whether it could be stopped.
    pub dry_run: bool,
}

pub(crate) fn evict(target: &Target, grace: Grace, dry_run: bool) -> Result<Done, ActError> {
    // What is frozen does not hear SIGTERM, and must not run for it.
    let is_frozen = freeze::is_frozen(target)?;
    let processes: HashSet<u32> = target.tree.pids().into_iter().collect();
    let count = processes.len();
    let stop = Stop {
        path: target.path(),
        processes,
        grace: if is_frozen { Grace(0) } else { grace },
        dry_run,
    };
    let by = target.stop(&stop);
    let by = by.map_err(|why| target.impossible(ACT, why))?;
    if !dry_run && !target.wait_for(ACT, "populated", false, PATIENCE)? {
        let why = format!("{by} says that it has stopped it, and it runs");
        return Err(target.impossible(ACT, why));
    }
    let note = format!("{count} processes, by {by}");
    Ok(Done {
        action: Some(Action::Evicted),
        note,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{Bounds, fake::Fake};

    fn asked(
        fake: &Fake,
        dry_run: bool,
        answer: Result<String, String>,
    ) -> (Result<Done, ActError>, Vec<(Grace, bool)>) {
        let requests = RefCell::new(Vec::new());
        let bounds = Bounds {
            stop: &|stop| {
                assert_eq!(stop.path, "/root/job");
                requests.borrow_mut().push((stop.grace, stop.dry_run));
                answer.clone()
            },
            ..fake.bounds()
        };
        let target = Target::open(&bounds, fake.id("root/job"), "/root/job").expect("it is there");
        let done = evict(&target, Grace(7), dry_run);
        (done, requests.into_inner())
    }

    fn by() -> Result<String, String> {
        Ok("containerd 2".to_owned())
    }

    #[test]
    fn what_the_runtime_stopped_is_evicted() {
        let fake = Fake::new();
        let (done, requests) = asked(&fake, false, by());
        let done = done.expect("evicted");
        assert_eq!(done.action, Some(Action::Evicted));
        assert!(done.note.contains("by containerd 2"), "{}", done.note);
        assert_eq!(requests, [(Grace(7), false)]);
        let (done, requests) = asked(&fake, true, by());
        assert_eq!(done.expect("possible").action, Some(Action::Evicted));
        assert_eq!(requests, [(Grace(7), true)]);
    }

    #[test]
    fn what_is_frozen_gets_no_time_to_end_by_itself() {
        let fake = Fake::new();
        fake.write("root/job/cgroup.freeze", "1\n");
        let (_, requests) = asked(&fake, false, by());
        assert_eq!(requests, [(Grace(0), false)]);
    }

    #[test]
    fn what_no_runtime_stops_is_impossible() {
        let fake = Fake::new();
        let (refused, _) = asked(&fake, false, Err("no runtime has it".to_owned()));
        let text = refused.expect_err("impossible").to_string();
        assert_eq!(text, "cannot evict /root/job: no runtime has it");
    }

    #[test]
    fn a_runtime_that_only_says_so_is_not_believed() {
        let fake = Fake::new();
        fake.write("root/job/cgroup.events", "populated 1\nfrozen 0\n");
        let (refused, _) = asked(&fake, false, by());
        let text = refused.expect_err("it runs").to_string();
        assert!(text.contains("and it runs"), "{text}");
    }
}
