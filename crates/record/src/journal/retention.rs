//! Retention: whole segments go when they are too old or the journal is too large, the oldest first.

use std::fs;
use std::io;
use std::sync::PoisonError;
use std::time::SystemTime;

use jiff::Timestamp;

use super::writer::list;
use super::{Journal, JournalError};

impl Journal {
    /// Removes what is too old or too much. Appending does it at each new segment; a quiet agent calls this hourly.
    pub fn tidy(&self) -> Result<(), JournalError> {
        self.tidy_at(Timestamp::now())
    }

    pub(super) fn tidy_at(&self, now: Timestamp) -> Result<(), JournalError> {
        let mut active = self.active();
        if active.is_old() {
            self.rotate(&mut active)?;
        }
        let sequence = active.segment.sequence;
        drop(active);
        let upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let closed_bytes = self.remove_surplus(sequence, now)?;
        drop(upkeep);
        let mut active = self.active();
        // Where a rotation came between, it has settled the total itself.
        if active.segment.sequence == sequence {
            active.closed_bytes = closed_bytes;
        }
        Ok(())
    }

    /// Removes closed segments, those before `active`, until what remains leaves room for one full segment. Returns
    /// the bytes that remain. The caller holds `upkeep`.
    pub(super) fn remove_surplus(&self, active: u64, now: Timestamp) -> Result<u64, JournalError> {
        let oldest = SystemTime::from(now).checked_sub(self.options.keep);
        let room = self.options.max_bytes.saturating_sub(self.segment_bytes());
        let mut total = 0;
        for segment in list(&self.options.directory)?.into_iter().rev() {
            if segment.sequence >= active {
                continue;
            }
            let remove = || -> io::Result<u64> {
                let data = fs::metadata(&segment.path)?;
                let expired =
                    oldest.is_some_and(|oldest| data.modified().is_ok_and(|at| at < oldest));
                if expired || total + data.len() > room {
                    fs::remove_file(&segment.path)?;
                    return Ok(0);
                }
                Ok(data.len())
            };
            match remove() {
                Ok(bytes) => total += bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(JournalError::Write {
                        path: segment.path,
                        source,
                    });
                }
            }
        }
        Ok(total)
    }
}
