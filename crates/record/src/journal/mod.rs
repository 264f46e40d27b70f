//! The journal: JSON lines in segment files, appended with one write each, readable without the agent. The log of first
//! contacts is a second one, with other lines.
//!
//! `writer` appends, rotates and forgets; `retention` removes what is too old or too much; `reader` and `follow` read,
//! from this process or any other. A line that cannot be read is counted and skipped, never a reason to stop.

mod error;
mod follow;
mod forget;
mod lines;
mod parse;
mod query;
mod reader;
mod retention;
mod segment;
mod writer;

#[cfg(test)]
pub(crate) mod samples;

pub use error::{AppendError, JournalError, Notice};
pub use follow::{Follow, Start};
pub use forget::{Forgotten, Subject};
pub use parse::{LINE_LIMIT, ParseError, parse_line};
pub use query::{Order, Query, User};
pub(crate) use reader::Lines;
pub use reader::{Reader, Records};
pub use writer::{Journal, JournalOptions};
