//! Actions on processes and workloads.

mod kill;

pub use kill::{KillError, Killed, is_hayward, kill};
