//! What can go wrong with the journal, each error with what to do about it.

use std::io;
use std::path::PathBuf;

/// The journal could not be opened, read or rewritten.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory is absent and could not be made, or its permissions could not be set.
    #[error(
        "cannot use the journal's directory {path}: {source}; make it writable for this user, or set `journal.path` to a directory that is"
    )]
    Directory {
        /// The journal's directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the journal could not be written.
    #[error(
        "cannot write the journal's file {path}: {source}; check the permissions and the free space there, or set `journal.path` to another directory"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the journal could not be read.
    #[error(
        "cannot read the journal at {path}: {source}; run this as root, or through the agent's socket"
    )]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no journal at that place.
    #[error(
        "there is no journal at {path}: start the agent with `hayward run`, or name the settings file that it runs with by `--config`"
    )]
    Missing {
        /// The place.
        path: PathBuf,
    },
    /// Another process writes this journal.
    #[error(
        "the journal at {path} is being written by another process: stop the other agent first, or give this one its own `journal.path`"
    )]
    InUse {
        /// The journal's directory.
        path: PathBuf,
    },
    /// The size bound is too small to rotate in.
    #[error("`journal.max` is {max_bytes} bytes; set it to at least {least} bytes (2MiB)")]
    TooSmall {
        /// What the settings ask for.
        max_bytes: u64,
        /// The least that works.
        least: u64,
    },
}

/// A record could not be appended. The journal stays usable.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The write failed or was cut short; what had been written of the line was taken back.
    #[error(
        "cannot append to the journal's file {path}: {source}; free space there or lower `journal.max`"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The next segment could not be started.
    #[error(transparent)]
    Rotate(#[from] JournalError),
    /// The record is longer than a line may be.
    #[error("a record of {bytes} bytes is longer than the journal's {limit} bytes for a line")]
    TooLong {
        /// Length of the encoded record.
        bytes: usize,
        /// The longest line that is written.
        limit: usize,
    },
    /// The record could not be encoded.
    #[error("a record could not be encoded as JSON: {0}")]
    Encode(#[from] serde_json::Error),
}

/// What opening the journal found and put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The last line had no end and was cut off: its writer was killed or the machine went down.
    TornLine {
        /// The file.
        path: PathBuf,
        /// How many bytes were cut off.
        bytes: u64,
    },
    /// A rewrite that had not been finished was removed; the original is untouched.
    UnfinishedRewrite {
        /// The removed file.
        path: PathBuf,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TornLine { path, bytes } => write!(
                f,
                "cut {bytes} bytes of an unfinished last line off {}; at most one record is lost",
                path.display()
            ),
            Self::UnfinishedRewrite { path } => write!(
                f,
                "removed {}, a rewrite that was not finished; if it was `hayward forget`, run it again",
                path.display()
            ),
        }
    }
}
