//! What is done where a wanted action is impossible.
//!
//! | wanted | then | why |
//! |---|---|---|
//! | throttle | freeze | it stops the harm as well, and can be undone as well |
//! | quarantine | freeze | what stands still sends nothing, and it can be undone; it does not end by itself |
//! | freeze | nothing | whatever else would stop it cannot be undone |
//! | kill-workload | kill | less than was asked: the one process that was judged |
//! | evict | kill-workload, then kill | it ends as well, though a runtime may start it again |
//! | thaw, release, lift | nothing | |
//!
//! What is forbidden stays so, and what has gone is left in peace: neither leads to another action.

use std::sync::Mutex;

use hayward_model::Action;

use crate::{Act, ActError, Done, Killed, Restrictions, Target, act, kill};

/// What was done in the end.
#[derive(Debug)]
pub struct Fallback {
    /// The first action that was possible.
    pub done: Done,
    /// Why those before it were not, in order.
    pub impossible: Vec<String>,
}

impl Fallback {
    /// What operators should know of it, and what was tried before.
    pub fn detail(&self) -> String {
        let before = self.impossible.iter();
        let before = before.map(|why| format!("tried before: {why}"));
        let parts = [self.done.note.clone()].into_iter().chain(before);
        let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        parts.join("; ")
    }
}

impl From<Done> for Fallback {
    fn from(done: Done) -> Self {
        Self {
            done,
            impossible: Vec::new(),
        }
    }
}

/// A process that was judged: its pid, and when it started, in nanoseconds since boot.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// Process id.
    pub pid: u32,
    /// Start time.
    pub start_boot_ns: u64,
}

/// Does what is wanted, or what comes next where that is impossible. The last impossible action's error is the result
/// where nothing comes next.
pub fn act_or_next(
    target: &Target,
    restrictions: &Mutex<Restrictions>,
    wanted: Act,
    judged: Option<Judged>,
    dry_run: bool,
) -> Result<Fallback, ActError> {
    let error = match act(target, restrictions, wanted, dry_run) {
        Ok(done) => return Ok(done.into()),
        Err(error @ (ActError::Impossible { .. } | ActError::System { .. })) => error,
        Err(error) => return Err(error),
    };
    let done = match (wanted, judged) {
        (Act::Evict(_), _) => {
            let next = act_or_next(target, restrictions, Act::KillWorkload, judged, dry_run)?;
            let mut impossible = vec![error.to_string()];
            impossible.extend(next.impossible);
            return Ok(Fallback { impossible, ..next });
        }
        (Act::Throttle(_) | Act::Quarantine(_), _) => {
            act(target, restrictions, Act::Freeze, dry_run)?
        }
        (Act::KillWorkload, Some(judged)) => end(target, judged, dry_run)?,
        _ => return Err(error),
    };
    Ok(Fallback {
        done,
        impossible: vec![error.to_string()],
    })
}

fn end(target: &Target, judged: Judged, dry_run: bool) -> Result<Done, ActError> {
    let note = format!("pid {}", judged.pid);
    if dry_run {
        return Ok(Done {
            action: Some(Action::Killed),
            note,
        });
    }
    match kill(judged.pid, judged.start_boot_ns) {
        Ok(Killed::Killed) => Ok(Done {
            action: Some(Action::Killed),
            note,
        }),
        Ok(other) => Ok(Done {
            action: None,
            note: other.to_string(),
        }),
        Err(error) => Err(target.impossible("kill a process of", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;

    fn tried(fake: &Fake, wanted: Act, judged: Option<Judged>) -> Result<Fallback, ActError> {
        fake.with(|target| act_or_next(target, &fake.restrictions(), wanted, judged, false))
    }

    #[test]
    fn what_cannot_be_throttled_is_frozen_and_says_why() {
        let fake = Fake::new();
        let wanted = Act::Throttle("5%".parse().expect("a share"));
        let fallback = tried(&fake, wanted, None).expect("frozen");
        assert_eq!(fallback.done.action, Some(Action::Frozen));
        assert!(fallback.impossible[0].contains("`cpu`"), "{fallback:?}");
        fake.write("root/job/cpu.max", "max 100000\n");
        let fallback = tried(&fake, wanted, None).expect("throttled");
        assert_eq!(fallback.done.action, Some(Action::Throttled));
        assert_eq!(fallback.impossible, [""; 0]);
    }

    #[test]
    fn what_cannot_be_quarantined_is_frozen_and_says_why() {
        let fake = Fake::new();
        let wanted = Act::Quarantine(None);
        let fallback = tried(&fake, wanted, None).expect("frozen");
        assert_eq!(fallback.done.action, Some(Action::Frozen));
        let detail = fallback.detail();
        assert!(detail.contains("no program judges packets"), "{detail}");
        // By hand, nothing else is done.
        let refused = fake.with(|target| act(target, &fake.restrictions(), wanted, false));
        assert!(matches!(refused, Err(ActError::Impossible { .. })));
    }

    #[test]
    fn what_no_runtime_stops_is_killed() {
        let fake = Fake::new();
        fake.write("root/job/cgroup.kill", "");
        let wanted = Act::Evict(crate::Grace::default());
        let fallback = tried(&fake, wanted, None).expect("killed");
        assert_eq!(fallback.done.action, Some(Action::WorkloadKilled));
        assert_eq!(fake.read("cgroup.kill"), "1");
        let detail = fallback.detail();
        assert!(detail.contains("no runtime has it"), "{detail}");
    }

    #[test]
    fn a_freeze_that_is_impossible_leads_to_nothing_that_cannot_be_undone() {
        let fake = Fake::new();
        std::fs::remove_file(fake.path("root/job/cgroup.freeze")).expect("our own");
        let judged = Judged {
            pid: u32::MAX,
            start_boot_ns: 0,
        };
        let refused = tried(&fake, Act::Freeze, Some(judged)).expect_err("impossible");
        let text = refused.to_string();
        assert!(text.contains("this kernel cannot freeze"), "{text}");
    }
}
