//! Records that the journal could not take: how many, and why.

use std::collections::BTreeMap;
use std::io;

use crate::journal::{AppendError, JournalError};

/// Why the journal could not take a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The disk, or the quota, is full.
    NoSpace,
    /// It may not be written, or is not there.
    #[default]
    Unwritable,
    /// The record is too long, or cannot be encoded.
    Record,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::NoSpace, Self::Unwritable, Self::Record];

    /// The cause as metrics and the status spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoSpace => "no-space",
            Self::Unwritable => "unwritable",
            Self::Record => "record",
        }
    }

    pub(crate) fn of_append(error: &AppendError) -> Self {
        match error {
            AppendError::Write { source, .. } => Self::of_io(source),
            AppendError::Rotate(error) => Self::of_journal(error),
            AppendError::TooLong { .. } | AppendError::Encode(_) => Self::Record,
        }
    }

    pub(crate) fn of_journal(error: &JournalError) -> Self {
        match error {
            JournalError::Directory { source, .. }
            | JournalError::Write { source, .. }
            | JournalError::Read { source, .. } => Self::of_io(source),
            JournalError::Missing { .. }
            | JournalError::InUse { .. }
            | JournalError::TooSmall { .. } => Self::Unwritable,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Unwritable,
        }
    }
}

/// How many records the journal lacks, and whether it still fails.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    counts: BTreeMap<Cause, u64>,
    /// Why the last record could not be written; none once one could.
    reason: Option<String>,
    cause: Cause,
    /// How many since it last worked.
    streak: u64,
}

impl Losses {
    /// How many records were lost so far, by cause.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counts
            .iter()
            .map(|(cause, count)| (cause.name(), *count))
    }

    /// Why records are being lost now; none where they are not.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    /// It fails, and no record was lost yet.
    pub(crate) fn begin(&mut self, cause: Cause, reason: String) {
        self.cause = cause;
        self.reason = Some(reason);
    }

    /// Counts one. Returns what the log shall say: once, not once for each record.
    pub(crate) fn count(&mut self, cause: Cause, reason: String) -> Option<String> {
        *self.counts.entry(cause).or_default() += 1;
        self.streak += 1;
        self.cause = cause;
        let first = self.reason.is_none();
        let told = first.then(|| {
            format!(
                "records are being lost from the journal ({}): {reason}",
                cause.name()
            )
        });
        self.reason = Some(reason);
        told
    }

    /// It works. Returns what the log shall say, where it had failed.
    pub(crate) fn end(&mut self) -> Option<String> {
        self.reason.take()?;
        let lost = std::mem::take(&mut self.streak);
        Some(format!(
            "the journal can be written again; {lost} records are missing from it and stand in the log alone"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_and_counted_by_cause() {
        let mut losses = Losses::default();
        assert_eq!(losses.end(), None);
        let told = losses.count(Cause::NoSpace, "full".to_owned());
        assert!(told.is_some_and(|told| told.contains("no-space") && told.contains("full")));
        assert_eq!(losses.count(Cause::Unwritable, "gone".to_owned()), None);
        assert_eq!(losses.reason(), Some("gone"));
        assert!(losses.end().is_some_and(|told| told.contains("2 records")));
        assert_eq!(losses.reason(), None);
        let counts: Vec<_> = losses.counts().collect();
        assert_eq!(counts, [("no-space", 1), ("unwritable", 1)]);
    }
}
