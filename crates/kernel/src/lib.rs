//! The kernel side: programs, tables, events.
//!
//! Everything that knows BPF is here. A guard's programs are loaded, pinned and adopted by [`Kernel`]; what operators
//! switch works through [`Cells`] on the pins alone, without an agent; [`wire`] turns the kernel's bytes into events.

mod cells;
mod counters;
mod error;
mod judge;
mod kernel;
mod memory;
mod nudge;
mod object;
mod pace;
mod pins;
mod privileges;
mod probe;
mod rounding;
mod sensor;
mod statistics;
mod table;
mod windows;
pub mod wire;

pub use cells::{Cell, Cells, boot_ns};
pub use counters::{Counters, RoundingCounts};
pub use error::KernelError;
pub use judge::KernelJudge;
pub use kernel::{Kernel, KernelOptions};
pub use memory::release_unused_memory;
pub use nudge::{Nudger, Sightings};
pub use object::Variant;
pub use pins::{Pins, uninstall};
pub use privileges::{missing_privileges, require_privileges};
pub use probe::{Feature, probe};
pub use rounding::round_irregularly;
pub use statistics::{RunTime, Statistics};
pub use table::{MAX_TABLE_BYTES, size_class};
pub use windows::{AFFORDABLE_CALLS, Windows};
