//! Whose process it is: from a cgroup id to a workload.

mod cgroups;
mod name;

pub use cgroups::{Cgroups, cgroup2_mount};
pub use name::name;
