//! Telling others of records at once: webhooks and commands.
//!
//! [`Tell::offer`] never waits. Each target has a queue with a bound and a task of its own, and all tasks share one thread,
//! which has no privileges. What is not told is counted, by target and by cause.

mod command;
mod confine;
mod failure;
mod headers;
mod limit;
mod message;
mod resolve;
mod target;
mod tell;
mod webhook;

pub use message::example;
pub use target::{Prepared, TargetReport, TellError, prepare};
pub use tell::{Tell, TestReport};
