//! Records that wait for a name, as files, so that none is lost where the agent is killed meanwhile: the next agent writes
//! them into the journal.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hayward_model::{Action, Process, Record};
use hayward_record::{
    Query, Reader,
    journal::{Order, parse_line},
};

/// The folder's name, beside the journal's segments.
const NAME: &str = "waiting";
/// Of so many records the processes are remembered. An agent that was killed had one event in its hands.
const NEWEST: usize = 64;

/// The files.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
}

impl Kept {
    /// Those beside this journal.
    pub(crate) fn beside(journal: &Path) -> Self {
        Self {
            folder: journal.join(NAME),
        }
    }

    /// Keeps a record, which is masked already. Where that is impossible it waits all the same.
    pub(crate) fn keep(&self, record: &Record) {
        if let Err(error) = self.write(record) {
            tracing::debug!("a record that waits for a name is in memory alone: {error}");
        }
    }

    /// The record is written.
    pub(crate) fn release(&self, id: &str) {
        let _ = fs::remove_file(self.path(id));
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let line = serde_json::to_vec(record)?;
        let path = self.path(&record.id);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&self.folder)?;
                options.open(&path)?
            }
            opened => opened?,
        };
        file.write_all(&line)
    }

    /// What an agent that was killed has left, oldest first: none that the journal has.
    pub(crate) fn left(&self, journal: &Reader) -> Vec<Record> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let read = paths.filter_map(|path| {
            let record = fs::read(&path).ok().and_then(|line| parse_line(&line).ok());
            if record.is_none() {
                // It was killed while it wrote: the event is still in the ring.
                let _ = fs::remove_file(path);
            }
            record
        });
        let mut left: Vec<Record> = read.collect();
        left.sort_by(|a, b| a.id.cmp(&b.id));
        let Some(since) = left.iter().map(|record| record.time).min() else {
            return left;
        };
        let query = Query {
            since: Some(since),
            ..Query::default()
        };
        let written: HashSet<String> = match journal.query(query) {
            Ok(records) => records.filter_map(|r| Some(r.ok()?.id)).collect(),
            Err(_) => HashSet::new(),
        };
        let (written, left) = left.into_iter().partition(|r| written.contains(&r.id));
        let written: Vec<Record> = written;
        for record in written {
            self.release(&record.id);
        }
        left
    }
}

/// Processes of whose end there is a record. An agent lets go of an event once its record is written or kept: one that is
/// killed in between leaves the event to the next, to which it would be new.
#[derive(Debug, Default)]
pub(crate) struct Ended(HashSet<(u32, u64)>);

impl Ended {
    /// Those of the newest records, and of these.
    pub(crate) fn of(journal: &Reader, kept: &[Record]) -> Self {
        let query = Query {
            action: Some(Action::Killed),
            limit: Some(NEWEST),
            order: Order::NewestFirst,
            ..Query::default()
        };
        let newest = journal.query(query).into_iter().flatten();
        let newest = newest.filter_map(Result::ok);
        let kept = kept.iter().filter(|r| r.action == Action::Killed).cloned();
        let processes = newest.chain(kept).filter_map(|record| record.process);
        Self(processes.map(|process| key(&process)).collect())
    }

    pub(crate) fn has(&self, process: &Process) -> bool {
        self.0.contains(&key(process))
    }
}

/// No two processes of one boot have both in common.
fn key(process: &Process) -> (u32, u64) {
    (process.pid, process.start_boot_ns)
}

#[cfg(test)]
mod tests;
