//! What operators of cryptnono's have alerts on: its log lines, beside our own.

use hayward_record::{Recorder, compat::cryptnono};

/// Prints cryptnono's line for every record that it would have had one for.
pub(crate) fn attach(recorder: Recorder) -> Recorder {
    recorder.also(|record| {
        if let Some(line) = cryptnono::log_line(record) {
            tracing::info!(target: "cryptnono", "{line}");
        }
    })
}
