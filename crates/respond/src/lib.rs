//! Actions on processes and workloads.

mod act;
mod error;
mod evict;
#[cfg(test)]
mod fake;
mod fallback;
mod freeze;
mod kill;
mod kill_workload;
mod never;
mod quarantine;
mod restrictions;
mod target;
mod throttle;
mod tree;

pub use act::{Act, Done, act};
pub use error::ActError;
pub use evict::{Grace, Stop};
pub use fallback::{Fallback, Judged, act_or_next};
pub use freeze::is_frozen;
pub use kill::{KillError, Killed, is_hayward, kill};
pub use never::{Bounds, Forbidden, Standing, Why};
pub use quarantine::Cut;
pub use restrictions::{Quarantined, Restriction, Restrictions, RestrictionsError, Throttled};
pub use target::Target;
pub use throttle::{CpuLimit, Share};
