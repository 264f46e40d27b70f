//! Whose process it is: from a cgroup id to a workload, and from a container's id to what its owners call it.

mod backoff;
mod cgroups;
mod directory;
mod environment;
mod path;
mod patience;
mod runtimes;

pub use backoff::backoff;
pub use cgroups::{Cgroups, cgroup2_mount};
pub use directory::{Directory, Named, Owner, Pod};
pub use path::{name, own_cgroup};
pub use patience::{given_up, in_time, within};
pub use runtimes::{Api, Connection, SocketState, Sockets, Stopping, follow, stop};
