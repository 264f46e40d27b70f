//! Journal, log lines and metrics: what happened, written once.
//!
//! [`Recorder::record`] is the only way in: it masks nothing and decides nothing, it writes one journal line, one log
//! line and one count for each record. Nothing here may stop the agent: a full disk is counted, not raised.

pub mod compat;
pub mod contacts;
pub mod id;
pub mod journal;
pub mod log;
mod loss;
pub mod mask;
pub mod metrics;
mod recorder;
pub mod report;

pub use journal::{Journal, JournalError, JournalOptions, Query, Reader};
pub use loss::{Cause, Losses};
pub use mask::{CommandLines, mask, mask_bytes};
pub use metrics::Metrics;
pub use recorder::Recorder;
pub use report::{Report, Summary};
