//! Following the journal: what was appended since the last look.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use hayward_model::Record;

use super::lines::{Forward, Line};
use super::segment::complete_length;
use super::{JournalError, Query, Reader, parse_line};

/// At most so many records come from one look, so that a long journal is followed in bounded memory.
const BATCH: usize = 1024;

/// Where following begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Beginning,
    /// Behind the newest record.
    Now,
}

/// A place in the journal that moves on as records are appended, through rotations and restarts of the agent.
#[derive(Debug)]
pub struct Follow {
    reader: Reader,
    query: Query,
    /// The segment being read: its sequence number, its path and its lines.
    open: Option<(u64, PathBuf, Forward)>,
    unreadable: u64,
}

impl Reader {
    /// Follows the records that `query` asks for; its `limit` and `order` have no part in it.
    pub fn follow(&self, query: Query, start: Start) -> Result<Follow, JournalError> {
        let mut follow = Follow {
            reader: self.clone(),
            query,
            open: None,
            unreadable: 0,
        };
        if start == Start::Now
            && let Some(segment) = self.segments()?.pop()
        {
            let lines = open(&segment.path, true).map_err(|source| JournalError::Read {
                path: segment.path.clone(),
                source,
            })?;
            follow.open = Some((segment.sequence, segment.path, lines));
        }
        Ok(follow)
    }
}

impl Follow {
    /// The records appended since the last call, oldest first; at most 1,024, so call again until none come.
    pub fn poll(&mut self) -> Result<Vec<Record>, JournalError> {
        let mut records = Vec::new();
        while records.len() < BATCH {
            if let Some(line) = self.next_line()? {
                self.take(&line, &mut records);
                continue;
            }
            // Nobody writes to a segment once a later one exists. So only what is absent after the later one was
            // seen is absent for good.
            let Some((sequence, path)) = self.next_segment()? else {
                break;
            };
            if let Some(line) = self.next_line()? {
                self.take(&line, &mut records);
                continue;
            }
            match open(&path, false) {
                Ok(lines) => self.open = Some((sequence, path, lines)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(JournalError::Read { path, source }),
            }
        }
        Ok(records)
    }

    /// How many lines were skipped so far because they could not be read.
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn take(&mut self, line: &[u8], records: &mut Vec<Record>) {
        match parse_line(line) {
            Ok(record) if self.query.matches(&record) => records.push(record),
            Ok(_) => {}
            Err(_) => self.unreadable += 1,
        }
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let Some((_, path, lines)) = &mut self.open else {
            return Ok(None);
        };
        loop {
            match lines.next() {
                Ok(Some(Line::Complete(line))) => return Ok(Some(line)),
                Ok(Some(Line::Oversized)) => self.unreadable += 1,
                Ok(Some(Line::Unfinished) | None) => return Ok(None),
                Err(source) => {
                    let path = path.clone();
                    return Err(JournalError::Read { path, source });
                }
            }
        }
    }

    fn next_segment(&self) -> Result<Option<(u64, PathBuf)>, JournalError> {
        let current = self.open.as_ref().map_or(0, |(sequence, ..)| *sequence);
        let segments = self.reader.segments()?;
        Ok(segments
            .into_iter()
            .find(|segment| segment.sequence > current)
            .map(|segment| (segment.sequence, segment.path)))
    }
}

fn open(path: &PathBuf, at_end: bool) -> io::Result<Forward> {
    let file = File::open(path)?;
    let offset = if at_end { complete_length(&file)? } else { 0 };
    Forward::new(file, offset)
}
