//! What the journal's integration tests share.

use std::path::Path;
use std::time::Duration;

use hayward_model::{Action, Guard, Process, Record, Workload, WorkloadKind};
use hayward_record::{Journal, JournalOptions, Query, Reader, id};
use jiff::Timestamp;

/// A record of process `pid` of `uid` in `workload`.
pub(crate) fn record(pid: u32, uid: u32, workload: &str) -> Record {
    let time = Timestamp::now();
    Record {
        guard: Some(Guard::Command),
        rule: Some("xmrig".to_owned()),
        generation: Some(1),
        process: Some(Process {
            pid,
            parent_pid: 1,
            start_boot_ns: 0,
            uid,
            comm: "xmrig".to_owned(),
            executable: "/tmp/xmrig".to_owned(),
            command_line: "xmrig ünter\nline".to_owned(),
            command_line_bytes: 17,
        }),
        workload: Some(Workload {
            cgroup_id: 1,
            cgroup: format!("/{workload}"),
            kind: WorkloadKind::Cgroup,
            name: workload.to_owned(),
            ..Workload::default()
        }),
        ..Record::new(id::next(time), time, Action::Killed)
    }
}

/// A record whose line has about `bytes` bytes.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn large(pid: u32, bytes: usize) -> Record {
    let mut record = record(pid, 1000, "large");
    record.detail = Some("x".repeat(bytes));
    record
}

/// Options for a journal in `directory`.
pub(crate) fn options(directory: &Path, max_bytes: u64) -> JournalOptions {
    JournalOptions {
        directory: directory.to_owned(),
        keep: Duration::from_secs(7 * 24 * 3600),
        max_bytes,
    }
}

/// Opens a journal that has nothing to put right.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn open(directory: &Path) -> Journal {
    let (journal, notices) = Journal::open(options(directory, 1 << 30)).unwrap();
    assert_eq!(notices, []);
    journal
}

/// The pids of the records that a query finds, and how many lines could not be read.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn pids(directory: &Path, query: Query) -> (Vec<u32>, u64) {
    let mut records = Reader::open(directory).unwrap().query(query).unwrap();
    let pids = records
        .by_ref()
        .map(|record| record.unwrap().process.unwrap().pid)
        .collect();
    (pids, records.unreadable())
}
