//! A place to run the built agent in, that reaches nothing beyond itself: a cgroup of its own, pins, socket, journal
//! and metrics port of its own, and a lease of a minute. All of it is gone when the [`Host`] is dropped.

mod benign;
mod container;
mod elf;
mod front;
mod host;
mod launch;
#[path = "../../crates/kernel/tests/network/mod.rs"]
mod network;
mod programs;
mod runtimes;
mod siege;
mod sweep;
pub mod tell;
mod webhook;
mod world;

pub use benign::{Benign, corpus, lookalike};
pub use container::run_in_container;
pub use elf::{connector32, creator32, creator64, writer};
pub use front::{FRONT, FRONT_6, Front, INTERFACE, Meanwhile};
pub use host::{Answer, BANNED, Host, Start, binary, get};
pub use launch::{Ended, Launch, Way};
pub use network::Workload as NetworkWorkload;
pub use programs::{copy_program, write_program};
pub use runtimes::{
    Containerd, Dockerd, IMAGE, NestedDockerd, Place, Podman, Pods, Started, wait_for,
};
pub use siege::Siege;
pub use webhook::{Posted, Webhook, status};
pub use world::{Traffic, World, network_sources};
