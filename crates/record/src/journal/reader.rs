//! Reading the journal, from the agent or from any process that may open its files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use hayward_model::Record;
use jiff::Timestamp;

use super::lines::{Backward, Forward, Line};
use super::segment::Segment;
use super::{JournalError, Order, Query, parse_line};

/// A journal that is only read. Takes no lock and never writes, so it works beside the agent and without it.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) directory: PathBuf,
}

impl Reader {
    /// Opens the journal in `directory` for reading.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let reader = Self {
            directory: directory.into(),
        };
        reader.segments()?;
        Ok(reader)
    }

    /// The journal in `directory`, which may come later.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The records that `query` asks for, read while the iterator advances.
    pub fn query(&self, query: Query) -> Result<Records, JournalError> {
        Ok(Records {
            left: query.limit.unwrap_or(usize::MAX),
            lines: self.lines(query.order, query.since)?,
            query,
            unknown: 0,
        })
    }

    /// All lines but those of files that were last written to before `since`.
    pub(crate) fn lines(
        &self,
        order: Order,
        since: Option<Timestamp>,
    ) -> Result<Lines, JournalError> {
        let mut segments = self.segments()?;
        if let Some(since) = since {
            segments.retain(|segment| written_since(&segment.path, since));
        }
        if order == Order::OldestFirst {
            segments.reverse();
        }
        Ok(Lines {
            order,
            segments,
            open: None,
            unreadable: 0,
        })
    }

    pub(super) fn segments(&self) -> Result<Vec<Segment>, JournalError> {
        Segment::list(&self.directory).map_err(|source| {
            let path = self.directory.clone();
            match source.kind() {
                io::ErrorKind::NotFound => JournalError::Missing { path },
                _ => JournalError::Read { path, source },
            }
        })
    }
}

/// Whether the file was written to since then. Records are appended after they happened, so an untouched file has none.
fn written_since(path: &Path, since: Timestamp) -> bool {
    let modified = std::fs::metadata(path).and_then(|data| data.modified());
    modified
        .ok()
        .and_then(|time| Timestamp::try_from(time).ok())
        .is_none_or(|time| time >= since)
}

/// The answer to a query: an iterator that reads one line at a time.
#[derive(Debug)]
pub struct Records {
    query: Query,
    left: usize,
    lines: Lines,
    /// Lines that are no records.
    unknown: u64,
}

impl Records {
    /// How many lines were skipped so far because they could not be read: damaged, or of a newer version.
    pub const fn unreadable(&self) -> u64 {
        self.lines.unreadable() + self.unknown
    }
}

impl Iterator for Records {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            match self.lines.next()? {
                Ok(line) => match parse_line(&line) {
                    Ok(record) if self.query.matches(&record) => {
                        self.left -= 1;
                        return Some(Ok(record));
                    }
                    Ok(_) => {}
                    Err(_) => self.unknown += 1,
                },
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// The whole lines of a journal, whatever they say.
#[derive(Debug)]
pub(crate) struct Lines {
    order: Order,
    /// The segments still to be read; the next one is the last.
    segments: Vec<Segment>,
    open: Option<(PathBuf, LinesOfFile)>,
    unreadable: u64,
}

impl Lines {
    /// How many were skipped so far: too long, or without an end.
    pub(crate) const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn next_line(&mut self) -> Result<Option<Line>, JournalError> {
        loop {
            if let Some((path, lines)) = &mut self.open {
                match lines.next() {
                    Ok(Some(line)) => return Ok(Some(line)),
                    Ok(None) => self.open = None,
                    Err(source) => {
                        let path = std::mem::take(path);
                        self.open = None;
                        return Err(JournalError::Read { path, source });
                    }
                }
            }
            let Some(segment) = self.segments.pop() else {
                return Ok(None);
            };
            match LinesOfFile::open(&segment.path, self.order) {
                Ok(lines) => self.open = Some((segment.path, lines)),
                // Retention may remove a segment while it waits to be read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(JournalError::Read {
                        path: segment.path,
                        source,
                    });
                }
            }
        }
    }

    fn skip_unfinished(&mut self) {
        if self.order == Order::OldestFirst {
            // A forward reader would be given the unfinished line again and again.
            self.open = None;
        }
        self.unreadable += 1;
    }
}

impl Iterator for Lines {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Ok(Some(Line::Complete(line))) => return Some(Ok(line)),
                Ok(Some(Line::Oversized)) => self.unreadable += 1,
                Ok(Some(Line::Unfinished)) => self.skip_unfinished(),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[derive(Debug)]
enum LinesOfFile {
    Forward(Forward),
    Backward(Backward),
}

impl LinesOfFile {
    fn open(path: &Path, order: Order) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(match order {
            Order::OldestFirst => Self::Forward(Forward::new(file, 0)?),
            Order::NewestFirst => Self::Backward(Backward::new(file)?),
        })
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Forward(lines) => lines.next(),
            Self::Backward(lines) => lines.next(),
        }
    }
}
