//! Every action on a workload goes through here: the check of what is never acted on, the note of what was there before,
//! the action itself.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hayward_model::Action;
use serde::{Deserialize, Serialize};

use crate::{
    ActError, CpuLimit, Grace, Restrictions, Share, Target, Throttled,
    evict::evict,
    freeze::{self, Froze, Thawed},
    kill_workload::kill_workload,
    quarantine::{lift, quarantine},
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
    /// Let it reach nothing: for so long, or until it is released.
    Quarantine(Option<Duration>),
    /// Undo a throttle and a quarantine.
    Release,
    /// Undo a quarantine alone.
    Lift,
    /// End all its processes.
    KillWorkload,
    /// Have it stopped by its runtime.
    Evict(Grace),
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
    pub(crate) fn new(action: Action, note: impl Into<String>) -> Self {
        Self {
            action: Some(action),
            note: note.into(),
        }
    }

    pub(crate) fn nothing(note: impl Into<String>) -> Self {
        Self {
            action: None,
            note: note.into(),
        }
    }
}

/// Does it, or in a dry run says what would be done after the same checks. What restricts a workload is noted in
/// `restrictions` before it is done; one such thing is done after the other.
///
/// # Errors
/// [`ActError::Forbidden`] where it is never acted on, [`ActError::Impossible`] where this host cannot do it.
pub fn act(
    target: &Target,
    restrictions: &Mutex<Restrictions>,
    act: Act,
    dry_run: bool,
) -> Result<Done, ActError> {
    target.check()?;
    let mut held = restrictions.lock().unwrap_or_else(PoisonError::into_inner);
    match act {
        Act::Freeze => freeze(target, &mut held, dry_run),
        Act::Thaw => thaw(target, &mut held, dry_run),
        Act::Throttle(share) => throttle(target, &mut held, share, dry_run),
        Act::Quarantine(time) => quarantine(target, &mut held, time, dry_run),
        Act::Release => release_all(target, &mut held, dry_run),
        Act::Lift => Ok(if lift(target, &mut held, dry_run)? {
            Done::new(Action::Released, "it may reach what settings say again")
        } else {
            Done::nothing("it is not quarantined")
        }),
        Act::KillWorkload => {
            let processes = if dry_run {
                target.processes()
            } else {
                let_end(target, &mut held);
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
        Act::Evict(grace) => {
            if !dry_run {
                let_end(target, &mut held);
            }
            // What others ask for does not wait until this has ended by itself.
            drop(held);
            evict(target, grace, dry_run)
        }
    }
}

/// Ending takes processor time too: hundreds of processes in a twentieth of one would take minutes. Where the throttle
/// cannot be undone, that is how it is.
fn let_end(target: &Target, restrictions: &mut Restrictions) {
    let ours = restrictions.of(target.id());
    if ours.is_some_and(|ours| ours.throttled.is_some()) {
        let _ = release(target, restrictions, false);
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

/// Undoes what slows it down, and what cuts it off.
fn release_all(
    target: &Target,
    restrictions: &mut Restrictions,
    dry_run: bool,
) -> Result<Done, ActError> {
    let lifted = lift(target, restrictions, dry_run)?;
    let released = release(target, restrictions, dry_run)?;
    Ok(match (lifted, released.action) {
        (false, None) => Done::nothing("it is neither throttled nor quarantined by Hayward"),
        (false, _) => released,
        (true, None) => Done::new(Action::Released, "quarantined no more"),
        (true, Some(action)) => {
            Done::new(action, format!("quarantined no more; {}", released.note))
        }
    })
}

#[cfg(test)]
mod tests;
