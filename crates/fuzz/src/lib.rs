//! Damaged input for the tests of everything that parses: valid inputs, cut, spliced, repeated and overwritten.
//!
//! `cargo test` throws a small number of cases, the same in every run; `make fuzz` throws new ones for a minute each.

mod damage;
mod throw;

pub use damage::{Corpus, Input};
pub use throw::throw;
