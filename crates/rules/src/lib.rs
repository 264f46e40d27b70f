//! Rule files, from text to the tables that the kernel matches with.

mod bans;
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

pub use bans::{
    BanList, Bans, MOST_BAN_BYTES, MOST_BAN_LISTS, MOST_BANS, Widest, banned_names, bans,
    load_bans, parse_bans, parse_sources,
};
pub use builtin::{BUILTIN, TEST_STRING};
pub use difference::{RuleDifference, diff};
pub use generate::generate;
pub use load::{RuleFile, RuleSet, RulesError, files, load, parse_bytes};
pub use render::render;
pub use rule::{Origin, Rule};
