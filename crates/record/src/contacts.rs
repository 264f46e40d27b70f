//! The log of first contacts: a journal of its own, in a folder below the journal's, whose lines are contacts.

use std::path::{Path, PathBuf};

use hayward_model::Contact;

use crate::journal::{JournalError, Lines, Order, Reader};

/// Where it lies.
pub fn folder(journal: &Path) -> PathBuf {
    journal.join("contacts")
}

/// The contacts of a log, oldest first, read while the iterator advances.
#[derive(Debug)]
pub struct Contacts {
    lines: Lines,
    /// Lines that are no contacts.
    unknown: u64,
}

impl Reader {
    /// Reads a journal of contacts.
    pub fn contacts(&self) -> Result<Contacts, JournalError> {
        Ok(Contacts {
            lines: self.lines(Order::OldestFirst, None)?,
            unknown: 0,
        })
    }
}

impl Contacts {
    /// How many lines were skipped so far because they could not be read: damaged, or of a newer version.
    pub const fn unreadable(&self) -> u64 {
        self.lines.unreadable() + self.unknown
    }
}

impl Iterator for Contacts {
    type Item = Result<Contact, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.next()? {
                Ok(line) => match serde_json::from_slice(&line) {
                    Ok(contact) => return Some(Ok(contact)),
                    Err(_) => self.unknown += 1,
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
