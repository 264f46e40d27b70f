//! Stopping every process of a workload, and letting it go on. Nothing of it is lost, and none can tell or avoid it.

use std::time::Duration;

use crate::{ActError, Target};

const FILE: &str = "cgroup.freeze";

/// How long a process that is in the kernel may keep an operator waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of freezing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Froze {
    /// No process of it runs.
    Frozen,
    /// The kernel was told to. Some process waits in it, and stops when it comes back.
    Freezing,
}

/// What came of thawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thawed {
    /// It runs.
    Running,
    /// A cgroup above it is frozen, and it with that.
    FrozenAbove,
}

/// Whether the workload itself was told to freeze, by whomever. One that is frozen with a cgroup above it was not.
pub fn is_frozen(target: &Target) -> Result<bool, ActError> {
    let Some(text) = target.read("freeze", FILE)? else {
        return Err(target.impossible("freeze", "this kernel cannot freeze cgroups"));
    };
    Ok(text == "1")
}

/// Freezes it, and waits until every process has stopped, two seconds at most.
pub(crate) fn freeze(target: &Target) -> Result<Froze, ActError> {
    target.write("freeze", FILE, "1")?;
    match target.wait_for("freeze", "frozen", true, PATIENCE) {
        Ok(true) => Ok(Froze::Frozen),
        Err(error @ ActError::Gone { .. }) => Err(error),
        // It is told to all the same, and must not count as failed.
        Ok(false) | Err(_) => Ok(Froze::Freezing),
    }
}

/// Lets it run again.
pub(crate) fn thaw(target: &Target) -> Result<Thawed, ActError> {
    target.write("thaw", FILE, "0")?;
    let thawed = target.wait_for("thaw", "frozen", false, PATIENCE)?;
    Ok(if thawed {
        Thawed::Running
    } else {
        Thawed::FrozenAbove
    })
}
