//! The journal's only writer: appends records, starts new segments, repairs the end after a crash.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hayward_model::Record;
use jiff::{Timestamp, tz::TimeZone};

use super::segment::{REWRITE_SUFFIX, Segment, complete_length};
use super::{AppendError, JournalError, LINE_LIMIT, Notice, Reader};

const LEAST_SEGMENT: u64 = 1 << 20;
const LEAST_MAX: u64 = 2 * LEAST_SEGMENT;

/// Where the journal is, and how much of it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalOptions {
    /// The journal's directory; made (mode 0700) where it is absent.
    pub directory: PathBuf,
    /// How long records are kept. They go a segment at a time, and a segment covers at most a day, so a record may
    /// live up to a day longer.
    pub keep: Duration,
    /// The most bytes that all segments may have together; at least 2 MiB.
    pub max_bytes: u64,
}

/// The journal, open for writing. One process at a time can have it; any number can read beside it.
#[derive(Debug)]
pub struct Journal {
    pub(super) options: JournalOptions,
    pub(super) active: Mutex<Active>,
    /// Held by whoever removes or rewrites closed segments.
    pub(super) upkeep: Mutex<()>,
    /// Locked as long as this journal is open, so that there is one writer.
    _lock: File,
}

/// The segment that is being appended to.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Segment,
    file: File,
    length: u64,
    /// Bytes of all closed segments, when they were last looked at.
    pub(super) closed_bytes: u64,
    /// A failed append could not be taken back, so the next one begins with a line feed.
    torn: bool,
}

impl Journal {
    /// Opens the journal, and puts right what a crash left; what that was is returned and logged.
    pub fn open(options: JournalOptions) -> Result<(Self, Vec<Notice>), JournalError> {
        if options.max_bytes < LEAST_MAX {
            return Err(JournalError::TooSmall {
                max_bytes: options.max_bytes,
                least: LEAST_MAX,
            });
        }
        let directory = &options.directory;
        prepare_directory(directory).map_err(|source| JournalError::Directory {
            path: directory.clone(),
            source,
        })?;
        let lock = lock(directory)?;
        let mut notices = remove_unfinished_rewrites(directory)?;
        let segments = list(directory)?;
        let segment = segments
            .into_iter()
            .next_back()
            .unwrap_or_else(|| Segment::new(directory, 1, today()));
        let active = Active::open(segment, &mut notices)?;
        for notice in &notices {
            tracing::warn!("journal: {notice}");
        }
        let journal = Self {
            options,
            active: Mutex::new(active),
            upkeep: Mutex::new(()),
            _lock: lock,
        };
        journal.tidy()?;
        Ok((journal, notices))
    }

    /// Appends one record with one write, and returns the length of its line. On failure nothing of it remains.
    pub fn append(&self, record: &Record) -> Result<u64, AppendError> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if line.len() > LINE_LIMIT {
            return Err(AppendError::TooLong {
                bytes: line.len(),
                limit: LINE_LIMIT,
            });
        }
        self.append_lines(&line)
    }

    /// Appends whole lines, of whatever kind of journal this is, with one write. On failure nothing of them remains.
    pub fn append_lines(&self, lines: &[u8]) -> Result<u64, AppendError> {
        let mut active = self.active();
        if active.is_gone() || active.is_full(lines.len() as u64, self.segment_bytes()) {
            self.rotate(&mut active)?;
        }
        active.append(lines)
    }

    /// A reader of the same journal.
    pub fn reader(&self) -> Reader {
        Reader {
            directory: self.options.directory.clone(),
        }
    }

    /// Bytes of all segments together.
    pub fn bytes(&self) -> u64 {
        let active = self.active();
        active.closed_bytes + active.length
    }

    pub(super) fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        (self.options.max_bytes / 16).max(LEAST_SEGMENT)
    }

    /// Starts the next segment. The old one is complete on disk before anything is written to the new one.
    pub(super) fn rotate(&self, active: &mut Active) -> Result<(), JournalError> {
        let directory = &self.options.directory;
        prepare_directory(directory).map_err(|source| JournalError::Directory {
            path: directory.clone(),
            source,
        })?;
        if let Err(error) = active.file.sync_data() {
            tracing::warn!(path = %active.segment.path.display(), "journal: cannot sync a full segment: {error}");
        }
        let next = Segment::new(directory, active.segment.sequence + 1, today());
        *active = Active::open(next, &mut Vec::new())?;
        // A `forget` that is at work holds the lock and settles the total when it is done.
        if let Ok(_upkeep) = self.upkeep.try_lock() {
            active.closed_bytes = self.remove_surplus(active.segment.sequence, Timestamp::now())?;
        }
        Ok(())
    }
}

impl Active {
    fn open(segment: Segment, notices: &mut Vec<Notice>) -> Result<Self, JournalError> {
        let open = || -> io::Result<(File, u64, u64)> {
            let file = segment.open_for_appending()?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            let found = file.metadata()?.len();
            let complete = complete_length(&file)?;
            if found > complete {
                file.set_len(complete)?;
            }
            Ok((file, complete, found - complete))
        };
        let (file, length, torn) = open().map_err(|source| JournalError::Write {
            path: segment.path.clone(),
            source,
        })?;
        if torn > 0 {
            notices.push(Notice::TornLine {
                path: segment.path.clone(),
                bytes: torn,
            });
        }
        Ok(Self {
            segment,
            file,
            length,
            closed_bytes: 0,
            torn: false,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// It was begun on another day, so that what it holds would be kept too long if it went on.
    pub(super) fn is_old(&self) -> bool {
        !self.is_empty() && self.segment.date != today()
    }

    fn is_full(&self, more: u64, limit: u64) -> bool {
        !self.is_empty() && (self.length + more > limit || self.is_old())
    }

    /// Its file was removed under the writer: whatever were written now would be lost.
    fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|data| data.nlink() == 0)
    }

    fn append(&mut self, line: &[u8]) -> Result<u64, AppendError> {
        let owned;
        let bytes = if self.torn {
            owned = [b"\n", line].concat();
            &owned
        } else {
            line
        };
        let written = self.file.write(bytes);
        let source = match written {
            Ok(count) if count == bytes.len() => {
                self.torn = false;
                self.length += count as u64;
                return Ok(count as u64);
            }
            Ok(_) => io::Error::from(io::ErrorKind::StorageFull),
            Err(error) => error,
        };
        if self.file.set_len(self.length).is_err() {
            self.torn = true;
        }
        Err(AppendError::Write {
            path: self.segment.path.clone(),
            source,
        })
    }
}

pub(super) fn today() -> jiff::civil::Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

pub(super) fn list(directory: &Path) -> Result<Vec<Segment>, JournalError> {
    Segment::list(directory).map_err(|source| JournalError::Read {
        path: directory.to_owned(),
        source,
    })
}

fn prepare_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join("lock");
    let open = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o600))?;
            Ok(file)
        });
    let file = open.map_err(|source| JournalError::Write {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse {
            path: directory.to_owned(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(JournalError::Write { path, source }),
    }
}

fn remove_unfinished_rewrites(directory: &Path) -> Result<Vec<Notice>, JournalError> {
    let remove = || -> io::Result<Vec<Notice>> {
        let mut notices = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(REWRITE_SUFFIX) {
                std::fs::remove_file(&path)?;
                notices.push(Notice::UnfinishedRewrite { path });
            }
        }
        Ok(notices)
    };
    remove().map_err(|source| JournalError::Write {
        path: directory.to_owned(),
        source,
    })
}
