//! Rule files, from text to the tables that the kernel matches with.

mod rule;
pub mod table;

pub use rule::{Origin, Rule};
