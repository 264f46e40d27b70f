//! What is done where a wanted action is impossible.
//!
//! | wanted | then | why |
//! |---|---|---|
//! | throttle | freeze | it stops the harm as well, and can be undone as well |
//! | freeze | nothing | whatever else would stop it cannot be undone |
//! | kill-workload | kill | less than was asked: the one process that was judged |
//! | thaw, release | nothing | |
//!
//! What is forbidden stays so, and what has gone is left in peace: neither leads to another action.

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
    restrictions: &mut Restrictions,
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
        (Act::Throttle(_), _) => act(target, restrictions, Act::Freeze, dry_run)?,
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
        fake.with(|target| act_or_next(target, &mut fake.restrictions(), wanted, judged, false))
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
