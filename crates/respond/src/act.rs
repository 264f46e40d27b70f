//! Every action on a workload goes through here: the check of what is never acted on, the note of what was there before,
//! the action itself.

use hayward_model::Action;
use serde::{Deserialize, Serialize};

use crate::{
    ActError, CpuLimit, Restrictions, Share, Target, Throttled,
    freeze::{self, Froze, Thawed},
    kill_workload::kill_workload,
    throttle::{self, Released},
};

/// What to do with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Stop all its processes, until it is thawed.
    Freeze,
    /// Undo a freeze.
    Thaw,
    /// Give it a share of one processor, until it is released.
    Throttle(Share),
    /// Undo a throttle.
    Release,
    /// End all its processes.
    KillWorkload,
}

/// What was done, or in a dry run would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What records call it; none where nothing had to be done.
    pub action: Option<Action>,
    /// What operators should know.
    pub note: String,
}

impl Done {
    fn new(action: Action, note: impl Into<String>) -> Self {
        Self {
            action: Some(action),
            note: note.into(),
        }
    }

    fn nothing(note: impl Into<String>) -> Self {
        Self {
            action: None,
            note: note.into(),
        }
    }
}

/// Does it, or in a dry run says what would be done after the same checks. What restricts a workload is noted in
/// `restrictions` before it is done.
///
/// # Errors
/// [`ActError::Forbidden`] where it is never acted on, [`ActError::Impossible`] where this host cannot do it.
pub fn act(
    target: &Target,
    restrictions: &mut Restrictions,
    act: Act,
    dry_run: bool,
) -> Result<Done, ActError> {
    target.check()?;
    match act {
        Act::Freeze => freeze(target, restrictions, dry_run),
        Act::Thaw => thaw(target, restrictions, dry_run),
        Act::Throttle(share) => throttle(target, restrictions, share, dry_run),
        Act::Release => release(target, restrictions, dry_run),
        Act::KillWorkload => {
            let processes = if dry_run {
                target.processes()
            } else {
                kill_workload(target)?
            };
            let still_frozen = freeze::is_frozen(target).is_ok_and(|frozen| frozen);
            let note = format!("{processes} processes");
            Ok(Done::new(
                Action::WorkloadKilled,
                if still_frozen {
                    format!(
                        "{note}; the cgroup stays frozen, and what is started in it does not run"
                    )
                } else {
                    note
                },
            ))
        }
    }
}

fn freeze(
    target: &Target,
    restrictions: &mut Restrictions,
    dry_run: bool,
) -> Result<Done, ActError> {
    if freeze::is_frozen(target)? {
        let ours = restrictions.of(target.id()).is_some_and(|it| it.frozen);
        let by = if ours { "" } else { ", and not by Hayward" };
        return Ok(Done::nothing(format!("it was frozen already{by}")));
    }
    let processes = target.processes();
    let note = format!("{processes} processes");
    if dry_run {
        return Ok(Done::new(Action::Frozen, note));
    }
    restrictions.change(target.id(), target.path(), |it| it.frozen = true)?;
    match freeze::freeze(target) {
        Ok(Froze::Frozen) => Ok(Done::new(Action::Frozen, note)),
        Ok(Froze::Freezing) => Ok(Done::new(
            Action::Frozen,
            format!("{note}; some wait in the kernel, and stop when they come back"),
        )),
        Err(error) => {
            restrictions.change(target.id(), target.path(), |it| it.frozen = false)?;
            Err(error)
        }
    }
}

fn thaw(target: &Target, restrictions: &mut Restrictions, dry_run: bool) -> Result<Done, ActError> {
    let frozen = freeze::is_frozen(target)?;
    let ours = restrictions.of(target.id()).is_some_and(|it| it.frozen);
    if frozen && !ours {
        return Err(ActError::NotOurs {
            path: target.path().to_owned(),
            how: "frozen",
        });
    }
    if dry_run {
        return Ok(if frozen {
            Done::new(Action::Thawed, "")
        } else {
            Done::nothing("it is not frozen")
        });
    }
    let thawed = if frozen {
        Some(freeze::thaw(target)?)
    } else {
        None
    };
    if ours {
        restrictions.change(target.id(), target.path(), |it| it.frozen = false)?;
    }
    Ok(match thawed {
        Some(Thawed::Running) => Done::new(Action::Thawed, ""),
        Some(Thawed::FrozenAbove) => Done::new(
            Action::Thawed,
            "it does not run yet: a cgroup above it is frozen",
        ),
        None => Done::nothing("it is not frozen"),
    })
}

fn throttle(
    target: &Target,
    restrictions: &mut Restrictions,
    share: Share,
    dry_run: bool,
) -> Result<Done, ActError> {
    let now = CpuLimit::of(target)?;
    let earlier = restrictions
        .of(target.id())
        .and_then(|it| it.throttled.clone());
    // What it had before Hayward throttled it is what it gets back.
    let had = match &earlier {
        Some(earlier) if now.max == earlier.share.limit() => earlier.had.clone(),
        _ => now,
    };
    if had.is_within(share) {
        return Ok(Done::nothing(format!(
            "its own limit is as low already: cpu.max {}",
            had.max
        )));
    }
    let done = Done::new(
        Action::Throttled,
        format!("to {share} of one processor; before: cpu.max {}", had.max),
    );
    if dry_run {
        return Ok(done);
    }
    let throttled = Some(Throttled {
        share,
        had: had.clone(),
    });
    restrictions.change(target.id(), target.path(), |it| it.throttled = throttled)?;
    if let Err(error) = throttle::throttle(target, share, &had) {
        restrictions.change(target.id(), target.path(), |it| it.throttled = earlier)?;
        return Err(error);
    }
    Ok(done)
}

fn release(
    target: &Target,
    restrictions: &mut Restrictions,
    dry_run: bool,
) -> Result<Done, ActError> {
    let throttled = restrictions
        .of(target.id())
        .and_then(|it| it.throttled.clone());
    let Some(throttled) = throttled else {
        return Ok(Done::nothing("it is not throttled by Hayward"));
    };
    let had = format!("cpu.max {} again", throttled.had.max);
    if dry_run {
        return Ok(Done::new(Action::Released, had));
    }
    let released = throttle::release(target, throttled.share, &throttled.had)?;
    restrictions.change(target.id(), target.path(), |it| it.throttled = None)?;
    Ok(match released {
        Released::Restored => Done::new(Action::Released, had),
        Released::ChangedSince => Done::new(
            Action::Released,
            "somebody else has changed cpu.max since, which is left as it is",
        ),
    })
}

#[cfg(test)]
mod tests;
