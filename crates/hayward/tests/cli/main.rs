//! What the command line says without an agent: transcripts of the built binary, in a folder of their own.
//!
//! Every error must name the file, the line where there is one, and what to do. Exit codes are part of the transcript
//! and are asserted beside it, since programs rely on them.

#[cfg(test)]
mod bans;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod session;
#[cfg(test)]
#[path = "../../../capture/tests/tape/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "this is a part of what it can")]
mod tape;
