//! Letting a workload reach nothing for a time. The kernel side does it, and ends it on time, with or without an agent.

use std::time::Duration;

use hayward_model::Action;
use jiff::Timestamp;

use crate::{ActError, Done, Quarantined, Restrictions, Target};

/// What the kernel side is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A quarantine: for so long, or until it is released.
    For(Option<Duration>),
    /// Its end.
    Nothing,
}

/// Quarantines it. One that lasts longer already stays as it is.
pub(crate) fn quarantine(
    target: &Target,
    restrictions: &mut Restrictions,
    time: Option<Duration>,
    dry_run: bool,
) -> Result<Done, ActError> {
    let now = Timestamp::now();
    let until = match time.map(|time| now.checked_add(time)) {
        Some(Ok(until)) => Some(until),
        // So long that no calendar has it.
        Some(Err(_)) | None => None,
    };
    let earlier = restrictions.of(target.id());
    let earlier = earlier.and_then(|it| it.quarantined.clone());
    let earlier = earlier.filter(|earlier| earlier.holds(now));
    if let Some(earlier) = earlier.as_ref().filter(|earlier| earlier.outlasts(until)) {
        return Ok(Done::nothing(format!(
            "it is quarantined already: {earlier}"
        )));
    }
    let quarantined = Quarantined { until };
    let done = Done::new(Action::Quarantined, quarantined.to_string());
    if dry_run {
        return Ok(done);
    }
    restrictions.change(target.id(), target.path(), |it| {
        it.quarantined = Some(quarantined);
    })?;
    if let Err(why) = target.quarantine(Cut::For(time)) {
        restrictions.change(target.id(), target.path(), |it| it.quarantined = earlier)?;
        return Err(target.impossible("quarantine", why));
    }
    Ok(done)
}

/// Ends a quarantine, where there is one. Says whether there was.
pub(crate) fn lift(
    target: &Target,
    restrictions: &mut Restrictions,
    dry_run: bool,
) -> Result<bool, ActError> {
    let ours = restrictions.of(target.id());
    let ours = ours.and_then(|it| it.quarantined.as_ref());
    let Some(ours) = ours else {
        return Ok(false);
    };
    let holds = ours.holds(Timestamp::now());
    if dry_run {
        return Ok(holds);
    }
    if holds {
        let lifted = target.quarantine(Cut::Nothing);
        lifted.map_err(|why| target.impossible("end the quarantine of", why))?;
    }
    restrictions.change(target.id(), target.path(), |it| it.quarantined = None)?;
    Ok(holds)
}
