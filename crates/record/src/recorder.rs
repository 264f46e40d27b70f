//! The one place where a record is written: journal, log and metrics together, each once.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hayward_model::Record;

use crate::journal::{Journal, JournalError, JournalOptions, Reader};
use crate::loss::{Cause, Losses};
use crate::{Metrics, log};

/// How soon a journal that could not be opened is tried again for the sake of a record.
const TRY_AGAIN: Duration = Duration::from_secs(1);

type Writer = Box<dyn Fn(&Record) + Send + Sync>;

/// Writes records. What it is given must be masked already, see [`crate::mask()`].
pub struct Recorder {
    options: JournalOptions,
    journal: OnceLock<Journal>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    others: Vec<Writer>,
}

struct State {
    losses: Losses,
    tried: Instant,
}

impl Recorder {
    /// A recorder that writes to a journal and counts in these metrics. A place that cannot be written now is no
    /// reason not to start: it is told in the log and by [`Recorder::losses`], and tried again. Another agent's
    /// journal, and a bound that is too small, are errors.
    pub fn open(options: JournalOptions, metrics: Arc<Metrics>) -> Result<Self, JournalError> {
        let recorder = Self {
            options,
            journal: OnceLock::new(),
            metrics,
            state: Mutex::new(State {
                losses: Losses::default(),
                tried: Instant::now(),
            }),
            others: Vec::new(),
        };
        match recorder.try_open() {
            Err(error @ (JournalError::InUse { .. } | JournalError::TooSmall { .. })) => Err(error),
            Err(error) => {
                tracing::error!("records go to the log alone: {error}");
                let cause = Cause::of_journal(&error);
                recorder.state().losses.begin(cause, error.to_string());
                Ok(recorder)
            }
            Ok(()) => Ok(recorder),
        }
    }

    /// Gives every record to `writer` as well, such as the log lines and counters of another agent.
    #[must_use]
    pub fn also(mut self, writer: impl Fn(&Record) + Send + Sync + 'static) -> Self {
        self.others.push(Box::new(writer));
        self
    }

    /// Writes one journal line and one log line, and counts it once. A record that the journal cannot take is counted
    /// by its cause; it still reaches the log.
    pub fn record(&self, record: &Record) {
        log::write(record);
        self.metrics.count(record);
        match self.append(record) {
            Ok(journal) => {
                self.metrics.count_journal_record();
                self.metrics.set_journal_bytes(journal.bytes());
                if let Some(told) = self.state().losses.end() {
                    tracing::info!("{told}");
                }
            }
            Err((cause, reason)) => {
                self.metrics.count_journal_error(cause.name());
                if let Some(told) = self.state().losses.count(cause, reason) {
                    tracing::error!("{told}");
                }
            }
        }
        for write in &self.others {
            write(record);
        }
    }

    /// Removes what is too old or too much, or tries to open the journal where that has failed so far.
    pub fn tidy(&self) -> Result<(), JournalError> {
        match self.journal.get() {
            Some(journal) => journal.tidy(),
            None => {
                // That it fails is told already.
                if self.try_open().is_ok()
                    && let Some(told) = self.state().losses.end()
                {
                    tracing::info!("{told}");
                }
                Ok(())
            }
        }
    }

    /// The journal, to tidy it or to forget a user; an error where its place cannot be written.
    pub fn journal(&self) -> Result<&Journal, JournalError> {
        if self.journal.get().is_none() {
            self.try_open()?;
        }
        self.journal.get().ok_or_else(|| JournalError::Missing {
            path: self.options.directory.clone(),
        })
    }

    /// A reader of the journal.
    pub fn reader(&self) -> Reader {
        Reader::at(&self.options.directory)
    }

    /// Records that the journal lacks.
    pub fn losses(&self) -> Losses {
        self.state().losses.clone()
    }

    /// The metrics that are counted in.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    fn append(&self, record: &Record) -> Result<&Journal, (Cause, String)> {
        let closed = |error: &JournalError| (Cause::of_journal(error), error.to_string());
        if self.journal.get().is_none() {
            let state = self.state();
            if let Some(reason) = state.losses.reason()
                && state.tried.elapsed() < TRY_AGAIN
            {
                return Err((state.losses.cause(), reason.to_owned()));
            }
        }
        let journal = self.journal().map_err(|error| closed(&error))?;
        let appended = journal.append(record);
        appended.map_err(|error| (Cause::of_append(&error), error.to_string()))?;
        Ok(journal)
    }

    fn try_open(&self) -> Result<(), JournalError> {
        // One at a time: the second would find the journal in use by the first.
        let mut state = self.state();
        if self.journal.get().is_some() {
            return Ok(());
        }
        state.tried = Instant::now();
        let (journal, _told_already) = Journal::open(self.options.clone())?;
        self.metrics.set_journal_bytes(journal.bytes());
        let _ = self.journal.set(journal);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
