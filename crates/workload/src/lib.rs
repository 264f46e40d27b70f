//! Whose process it is: from a cgroup id to a workload.

mod cgroups;
mod environment;
mod path;

pub use cgroups::{Cgroups, cgroup2_mount};
pub use path::{name, own_cgroup};
