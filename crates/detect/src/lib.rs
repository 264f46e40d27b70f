//! Detectors: an event becomes a finding, with no clock and no I/O.

mod command;
pub mod randomx;

pub use command::command;
