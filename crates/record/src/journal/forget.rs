//! Forgetting a user: the journal is rewritten without the records of one uid or one workload.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::PoisonError;

use serde::Deserialize;

use super::lines::{Forward, Line};
use super::segment::{REWRITE_SUFFIX, Segment};
use super::writer::list;
use super::{Journal, JournalError};

/// Docker and others show so many characters of a container id.
const SHORT_CONTAINER_ID: usize = 12;

/// The variable in which JupyterHub tells a server whose it is.
const JUPYTERHUB_USER: &str = "JUPYTERHUB_USER";

/// Whose records are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Every record about a process of this real user id.
    Uid(u32),
    /// Every record about the workload of this name, cgroup path, pod UID or container id (12 characters or more), or of
    /// the JupyterHub user of this name.
    /// Parts of names do not count: `ann` leaves `joanna` alone.
    Workload(String),
}

impl From<&str> for Subject {
    /// Digits are a user id, all else names a workload.
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Workload(text.to_owned()), Self::Uid)
    }
}

/// What forgetting removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Records of the subject.
    pub removed: u64,
    /// Lines that are not JSON at all. Nobody can tell whose they were, so they go from every segment that is rewritten.
    pub unreadable: u64,
}

/// As much of a record as tells whose it is. Records of a newer version are understood as well.
#[derive(Deserialize)]
struct Owner {
    process: Option<OwnerProcess>,
    workload: Option<OwnerWorkload>,
}

#[derive(Deserialize)]
struct OwnerProcess {
    uid: Option<u32>,
}

#[derive(Deserialize)]
struct OwnerWorkload {
    name: Option<String>,
    cgroup: Option<String>,
    pod_uid: Option<String>,
    container_id: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl Subject {
    fn owns(&self, owner: &Owner) -> bool {
        match self {
            Self::Uid(uid) => owner
                .process
                .as_ref()
                .is_some_and(|process| process.uid == Some(*uid)),
            Self::Workload(name) => owner.workload.as_ref().is_some_and(|workload| {
                let user = workload.attributes.get(JUPYTERHUB_USER).cloned();
                let named = [&workload.name, &workload.cgroup, &workload.pod_uid, &user]
                    .into_iter()
                    .any(|field| field.as_ref() == Some(name));
                named
                    || name.len() >= SHORT_CONTAINER_ID
                        && workload
                            .container_id
                            .as_ref()
                            .is_some_and(|id| id.starts_with(name.as_str()))
            }),
        }
    }
}

impl Journal {
    /// Removes every record of `subject` that was written before this call. Each segment is replaced as a whole, so a
    /// crash leaves it as it was or as it should be. Appending goes on meanwhile.
    pub fn forget(&self, subject: &Subject) -> Result<Forgotten, JournalError> {
        let _upkeep = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let mut active = self.active();
        if !active.is_empty() {
            self.rotate(&mut active)?;
        }
        let first_kept = active.segment.sequence;
        drop(active);
        let mut forgotten = Forgotten::default();
        for segment in list(&self.options.directory)? {
            if segment.sequence < first_kept {
                let outcome =
                    forget_in(&segment, subject).map_err(|source| JournalError::Write {
                        path: segment.path.clone(),
                        source,
                    })?;
                forgotten.removed += outcome.removed;
                forgotten.unreadable += outcome.unreadable;
            }
        }
        let mut active = self.active();
        active.closed_bytes = list(&self.options.directory)?
            .iter()
            .filter(|segment| segment.sequence < active.segment.sequence)
            .map(Segment::bytes)
            .sum();
        Ok(forgotten)
    }
}

fn forget_in(segment: &Segment, subject: &Subject) -> io::Result<Forgotten> {
    let found = filter(segment, subject, &mut io::sink())?;
    if found.removed == 0 {
        return Ok(Forgotten::default());
    }
    let modified = std::fs::metadata(&segment.path)?.modified()?;
    let mut path = segment.path.clone();
    path.set_extension(REWRITE_SUFFIX.trim_start_matches('.'));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    let mut writer = BufWriter::new(file);
    filter(segment, subject, &mut writer)?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    // Retention goes by the time of the last write: forgetting one user must not keep the others longer.
    file.set_modified(modified)?;
    file.sync_all()?;
    std::fs::rename(&path, &segment.path)?;
    if let Some(directory) = segment.path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(found)
}

/// Copies what stays to `writer`, and counts what does not.
fn filter(segment: &Segment, subject: &Subject, writer: &mut impl Write) -> io::Result<Forgotten> {
    let mut lines = Forward::new(File::open(&segment.path)?, 0)?;
    let mut found = Forgotten::default();
    while let Some(line) = lines.next()? {
        match line {
            Line::Complete(line) => match serde_json::from_slice::<Owner>(&line) {
                Ok(owner) if subject.owns(&owner) => found.removed += 1,
                Ok(_) => {
                    writer.write_all(&line)?;
                    writer.write_all(b"\n")?;
                }
                Err(_) => found.unreadable += 1,
            },
            Line::Oversized => found.unreadable += 1,
            Line::Unfinished => {
                found.unreadable += 1;
                break;
            }
        }
    }
    Ok(found)
}
