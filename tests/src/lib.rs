//! A place to run the built agent in, that reaches nothing beyond itself: a cgroup of its own, pins, socket, journal
//! and metrics port of its own, and a lease of a minute. All of it is gone when the [`Host`] is dropped.

mod benign;
mod container;
mod elf;
mod host;
mod launch;
mod programs;
mod siege;
mod sweep;

pub use benign::{Benign, corpus, lookalike};
pub use container::run_in_container;
pub use elf::{creator32, creator64, writer};
pub use host::{Answer, BANNED, Host, Start, binary, get};
pub use launch::{Ended, Launch, Way};
pub use programs::{copy_program, write_program};
pub use siege::Siege;
