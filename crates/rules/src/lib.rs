//! Rule files, from text to the tables that the kernel matches with.

mod builtin;
pub mod compat;
mod cryptnono;
mod difference;
mod file;
mod generate;
mod load;
mod render;
mod rule;
pub mod secret;
pub mod table;

pub use builtin::{BUILTIN, TEST_STRING};
pub use difference::{RuleDifference, diff};
pub use generate::generate;
pub use load::{RuleFile, RuleSet, RulesError, files, load, parse_bytes};
pub use render::render;
pub use rule::{Origin, Rule};
