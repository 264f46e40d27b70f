//! The scan: processes that were running before their rule was, or that rewrote their command line since.
//!
//! Only processes in cgroups that are in scope are looked at, and each goes the same way up as an event of the kernel.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use hayward_kernel::boot_ns;
use hayward_model::{Event, RunningEvent, joined};
use hayward_rules::table::{CommandTable, Judgement};

use crate::{pipeline::Pipeline, process};

/// What one scan looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScanCost {
    /// Processes read.
    pub(crate) processes: u64,
    /// Processes read by all scans so far.
    pub(crate) processes_ever: u64,
    /// Scans so far.
    pub(crate) scans: u64,
    /// Wall time in ns.
    pub(crate) ns: u64,
}

/// Scans the processes of `cgroups` once.
pub(crate) fn scan(
    pipeline: &Pipeline,
    table: &CommandTable,
    cgroups: &[(u64, PathBuf)],
) -> ScanCost {
    let began = Instant::now();
    let mut cost = ScanCost::default();
    for (id, path) in cgroups {
        for pid in members(path) {
            cost.processes += 1;
            if let Some(event) = judge(table, pid, *id) {
                pipeline.take(event);
            }
        }
    }
    let mut seen = pipeline
        .seen
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    seen.keep(|pid| Path::new(&format!("/proc/{pid}")).exists());
    drop(seen);
    cost.ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    cost
}

/// The processes of a cgroup, without those below it.
pub(crate) fn members(cgroup: &Path) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    // 0 stands for a process of another pid namespace that has no number here.
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1)
        .collect()
}

fn judge(table: &CommandTable, pid: u32, cgroup_id: u64) -> Option<Event> {
    if hayward_respond::is_hayward(pid) {
        return None;
    }
    let running = process::read(pid)?;
    let now = boot_ns();
    let judged = table.judge(&running.arguments, Some(&running.executable), now);
    let (rule, end, spared, observe) = match judged {
        Judgement::Clean => return None,
        Judgement::Spared { rule, end } => (rule, end, true, false),
        Judgement::Observed { rule, end } => (rule, end, false, true),
        Judgement::Banned { rule, end } => (rule, end, false, false),
    };
    // The kernel may have killed it a moment ago: it is still there then, with its command line, and recorded already.
    if process::is_ending(pid) {
        return None;
    }
    Some(Event::Running(RunningEvent {
        boot_ns: now,
        generation: table.generation(),
        pid,
        parent_pid: running.parent_pid,
        start_boot_ns: running.start_boot_ns,
        uid: running.uid,
        cgroup_id,
        rule,
        spared,
        observe,
        comm: running.comm,
        executable: running.executable,
        command_line: joined(&running.arguments),
        match_end: end,
    }))
}
