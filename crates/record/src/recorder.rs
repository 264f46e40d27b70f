//! The one place where a record is written: journal, log and metrics together, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hayward_model::Record;

use crate::{Journal, Metrics, log};

type Writer = Box<dyn Fn(&Record) + Send + Sync>;

/// Writes records. What it is given must be masked already, see [`crate::mask()`].
pub struct Recorder {
    journal: Journal,
    metrics: Arc<Metrics>,
    /// The last append failed. The log says so once, not once for each record.
    failing: AtomicBool,
    others: Vec<Writer>,
}

impl Recorder {
    /// A recorder that writes to this journal and counts in these metrics.
    pub fn new(journal: Journal, metrics: Arc<Metrics>) -> Self {
        metrics.set_journal_bytes(journal.bytes());
        Self {
            journal,
            metrics,
            failing: AtomicBool::new(false),
            others: Vec::new(),
        }
    }

    /// Gives every record to `writer` as well, such as the log lines and counters of another agent.
    #[must_use]
    pub fn also(mut self, writer: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        self.others.push(Box::new(writer));
        self
    }

    /// Writes one journal line and one log line, and counts it once. A journal that cannot be written is counted and
    /// logged; the record still reaches the log.
    pub fn record(&self, record: &Record) {
        log::write(record);
        self.metrics.count(record);
        match self.journal.append(record) {
            Ok(_) => {
                self.metrics.count_journal_record();
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the journal can be written again");
                }
            }
            Err(error) => {
                self.metrics.count_journal_error();
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::error!("records are being lost from the journal: {error}");
                }
            }
        }
        self.metrics.set_journal_bytes(self.journal.bytes());
        for write in &self.others {
            write(record);
        }
    }

    /// The journal, to read it, to tidy it or to forget a user.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The metrics that are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}
