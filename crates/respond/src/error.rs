//! Why an action on a workload was not done.

use std::io;

use crate::{Forbidden, RestrictionsError};

/// Why an action on a workload was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// It is never acted on.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It has ended.
    #[error(
        "{path} is gone, or another cgroup has its name now: `hayward workloads` lists what is there"
    )]
    Gone {
        /// The cgroup.
        path: String,
    },
    /// This host cannot do it to this cgroup.
    #[error("cannot {act} {path}: {why}")]
    Impossible {
        /// The action.
        act: &'static str,
        /// The cgroup.
        path: String,
        /// What is missing, and what to do.
        why: String,
    },
    /// Somebody else did what was to be undone.
    #[error("{path} is {how}, and not by Hayward: whoever did it must undo it")]
    NotOurs {
        /// The cgroup.
        path: String,
        /// What it is.
        how: &'static str,
    },
    /// Some processes are left.
    #[error(
        "{left} of the processes in {path} have not ended yet: they wait for the kernel, and end when it lets them; ask again with `hayward workloads`"
    )]
    Left {
        /// The cgroup.
        path: String,
        /// How many are left.
        left: usize,
    },
    /// The system refused.
    #[error("cannot {act} {path}: {source}{}", advice(.source))]
    System {
        /// The action.
        act: &'static str,
        /// The cgroup.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// What could not be undone after a restart is not begun.
    #[error(transparent)]
    Restrictions(#[from] RestrictionsError),
}

fn advice(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::PermissionDenied {
        "; a user owns this cgroup, and the agent lacks CAP_DAC_OVERRIDE: act on the cgroup above it, such as the user's slice"
    } else {
        ""
    }
}
