//! A segment: one file of the journal, named by its place in the sequence and the day it was started.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

const SUFFIX: &str = ".jsonl";

/// The name's end of a file that is being rewritten.
pub(super) const REWRITE_SUFFIX: &str = ".jsonl.rewrite";

/// One file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Counts up from 1; order of writing, whatever the clock did.
    pub(super) sequence: u64,
    /// The day (UTC) it was started.
    pub(super) date: Date,
    /// Where it is.
    pub(super) path: PathBuf,
}

impl Segment {
    pub(super) fn new(directory: &Path, sequence: u64, date: Date) -> Self {
        let path = directory.join(format!("{sequence:010}-{date}{SUFFIX}"));
        Self {
            sequence,
            date,
            path,
        }
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        let (sequence, date) = stem.split_once('-')?;
        Some(Self {
            sequence: sequence.parse().ok()?,
            date: date.parse().ok()?,
            path,
        })
    }

    /// The segments of a journal in the order in which they were written.
    pub(super) fn list(directory: &Path) -> io::Result<Vec<Self>> {
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            segments.extend(Self::parse(entry?.path()));
        }
        segments.sort_by_key(|segment| segment.sequence);
        Ok(segments)
    }

    /// Opens it for appending, and makes it where it is absent. Reading is for the repair of its end.
    pub(super) fn open_for_appending(&self) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .read(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
    }

    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |data| data.len())
    }
}

/// Length of the file up to and with its last line feed.
pub(super) fn complete_length(file: &File) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    let mut buffer = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        buffer.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.read_exact_at(&mut buffer, start)?;
        if let Some(place) = buffer.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + place as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_strangers_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let date: Date = "2026-11-21".parse().unwrap();
        let tenth = Segment::new(directory.path(), 10, date);
        let second = Segment::new(directory.path(), 2, date);
        for path in [&tenth.path, &second.path] {
            std::fs::write(path, "").unwrap();
        }
        for name in [
            "notes.txt",
            "0000000003-x.jsonl",
            "0000000003-2026-11-21.jsonl.rewrite",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(Segment::list(directory.path()).unwrap(), [second, tenth]);
    }

    #[test]
    fn the_complete_length_ends_at_the_last_line_feed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let long = "x".repeat(200_000);
        for (text, expected) in [
            (String::new(), 0),
            ("abc".to_owned(), 0),
            ("a\nb\n".to_owned(), 4),
            ("a\nbc".to_owned(), 2),
            (format!("a\n{long}"), 2),
        ] {
            std::fs::write(&path, &text).unwrap();
            let length = complete_length(&File::open(&path).unwrap()).unwrap();
            assert_eq!(length, expected);
        }
    }
}
