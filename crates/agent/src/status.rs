//! What the agent says of itself.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use hayward_kernel::Counters;
use hayward_model::{Guard, GuardStatus, Mode};
use hayward_policy::Policy;
use hayward_record::Losses;
use hayward_tell::TargetReport;
use hayward_workload::SocketState;
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, inbound::InterfaceReport};

/// `hayward status --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusReport {
    /// Version of the agent.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Programs of an earlier agent were found in force and taken over.
    pub adopted: bool,
    /// By guard's name.
    pub guards: BTreeMap<String, GuardReport>,
    /// Where metrics are served.
    pub metrics: MetricsReport,
    /// Container runtimes that tell names, by their sockets. Usual sockets that there are not are left out.
    #[serde(default)]
    pub runtimes: BTreeMap<String, SocketState>,
    /// Who is told of records.
    #[serde(default)]
    pub tell: Vec<TargetReport>,
    /// The cgroup outside which nothing is acted on.
    pub cgroup_root: String,
    /// Where the journal lies.
    pub journal: String,
    /// Records that could not be written to it, by cause; they stand in the log alone.
    #[serde(default)]
    pub records_lost: BTreeMap<String, u64>,
    /// What is wrong now, and keeps no guard from its work.
    #[serde(default)]
    pub problems: Vec<String>,
    /// What operators should know.
    pub notices: Vec<String>,
}

/// One guard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GuardReport {
    /// The status.
    pub status: GuardStatus,
    /// Why it is not better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It is off because an operator switched it off.
    #[serde(default)]
    pub switched_off: bool,
    /// Rules in force.
    pub rules: usize,
    /// Generation of the table.
    pub generation: u32,
    /// Workloads (cgroups) in scope when last looked at.
    pub cgroups_in_scope: usize,
    /// The kernel's counters, by name.
    pub counters: BTreeMap<String, u64>,
    /// Of `inbound`, the interfaces that settings mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceReport>,
    /// Cost of the last scan of running processes.
    pub scan: ScanReport,
}

/// The last scan of running processes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct ScanReport {
    /// Scans so far.
    #[serde(default)]
    pub scans: u64,
    /// Processes read.
    pub processes: u64,
    /// Milliseconds taken.
    pub milliseconds: f64,
}

/// Where metrics are served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MetricsReport {
    /// Address with the real port; none where they are switched off.
    pub listen: Option<String>,
    /// Under `compat: [cryptnono]`, where execwhacker's and flowkiller's are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cryptnono: Vec<String>,
    /// Under `compat: [scanblocker]`, where its metric is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanblocker: Option<String>,
}

impl Agent {
    /// The status of a guard, and why it is not better.
    pub(crate) fn guard_status(&self, guard: Guard) -> (GuardStatus, Option<String>) {
        let policy = self.policy();
        if !policy.lists(guard) {
            return (
                GuardStatus::Off,
                Some("not listed under `guards`".to_owned()),
            );
        }
        if let Ok(Some(until)) = self.with_kernel(|kernel| kernel.cells().off_until(guard)) {
            let reason = if until == u64::MAX {
                "switched off until `hayward on`".to_owned()
            } else {
                format!(
                    "switched off for another {} s",
                    until.saturating_sub(hayward_kernel::boot_ns()) / 1_000_000_000
                )
            };
            return (GuardStatus::Off, Some(reason));
        }
        let unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((status, reason)) = unproven.get(&guard).cloned() {
            return (status, Some(reason));
        }
        drop(unproven);
        if guard == Guard::Outbound
            && let Some(reason) = self.unrefused(&policy)
        {
            return (GuardStatus::Degraded, Some(reason));
        }
        if guard == Guard::Inbound {
            return match self.inbound_shortfall() {
                Some(reason) => (GuardStatus::Degraded, Some(reason)),
                None => self.inbound_status(),
            };
        }
        match policy.guard_mode(guard) {
            (Mode::Enforce, notice) => (GuardStatus::Enforcing, notice),
            (Mode::Observe, notice) => (GuardStatus::Observing, notice),
        }
    }

    fn guard_report(&self, guard: Guard, counters: Option<&Counters>) -> GuardReport {
        let (status, reason) = self.guard_status(guard);
        let mut report = GuardReport {
            status,
            reason,
            switched_off: status == GuardStatus::Off && self.policy().lists(guard),
            cgroups_in_scope: self.scoped.read().map_or(0, |scoped| scoped.len()),
            counters: counters.map_or_else(BTreeMap::new, |c| by_name(c, guard)),
            ..GuardReport::default()
        };
        if guard == Guard::Inbound {
            report.interfaces = self.interfaces();
        }
        if guard == Guard::Command {
            if let Ok(tables) = self.pipeline.tables.read() {
                report.rules = tables.count();
                report.generation = tables.current.generation();
            }
            let scan = self.scan_cost.lock().map(|cost| *cost).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
            let milliseconds = scan.ns as f64 / 1e6;
            report.scan = ScanReport {
                scans: scan.scans,
                processes: scan.processes,
                milliseconds,
            };
        }
        report
    }

    /// Everything that `hayward status` shows.
    pub fn status(&self) -> StatusReport {
        let policy = self.policy();
        let losses = self.pipeline.recorder.losses();
        let counters = self.with_kernel(|kernel| kernel.counters()).ok();
        let guards = Guard::ALL.map(|guard| {
            let report = self.guard_report(guard, counters.as_ref());
            (guard.name().to_owned(), report)
        });
        StatusReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            adopted: self.adopted,
            guards: BTreeMap::from(guards),
            metrics: self
                .listening
                .lock()
                .map(|listen| listen.clone())
                .unwrap_or_default(),
            runtimes: self.pipeline.names.runtimes(&policy.workloads.runtimes),
            tell: self.tell.report(),
            cgroup_root: policy.cgroup_root.clone(),
            journal: policy.journal.path.display().to_string(),
            records_lost: losses
                .counts()
                .map(|(cause, count)| (cause.to_owned(), count))
                .collect(),
            problems: self.problems(&losses, &policy),
            notices: self
                .notices
                .lock()
                .map(|notices| notices.clone())
                .unwrap_or_default()
                .into_iter()
                .chain(counters.iter().flat_map(shortfalls))
                .collect(),
        }
    }

    pub(crate) fn not_listening(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        let problems = self.not_listening.lock();
        problems.unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong now, and stops no guard.
    fn problems(&self, losses: &Losses, policy: &Policy) -> Vec<String> {
        let journal = losses
            .reason()
            .map(|reason| format!("the last record could not be written to the journal: {reason}"));
        let unseen = self.frames_unseen.lock().ok();
        let unseen = unseen.and_then(|unseen| unseen.clone());
        let unseen = unseen.map(|why| format!("frames of packet sockets leave unseen: {why}"));
        let listening = self.not_listening();
        let listening = listening.values().cloned();
        let privileges = self.missing_privileges.iter().cloned();
        let names = &self.pipeline.names;
        let nameless = names.problems(&policy.workloads.runtimes);
        journal
            .into_iter()
            .chain(listening)
            .chain(unseen)
            .chain(self.pipeline.contacts.problem())
            .chain(self.pipeline.inbound.problems())
            .chain(privileges)
            .chain(nameless)
            .chain(self.elsewhere())
            .chain(self.trip_problems())
            .chain(self.tell.problems())
            .collect()
    }
}

/// The kernel's totals of a guard, by name.
fn by_name(counters: &Counters, guard: Guard) -> BTreeMap<String, u64> {
    let totals = counters.by_name();
    totals
        .filter(|(name, _)| owner(name) == guard)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Whose counter it is, by its name.
fn owner(counter: &str) -> Guard {
    match counter.split_once('_') {
        Some(("rounding", _)) => Guard::Randomx,
        Some(("egress", _)) => Guard::Egress,
        Some(("outbound", _)) => Guard::Outbound,
        Some(("pool", _)) => Guard::Pool,
        Some(("inbound", _)) => Guard::Inbound,
        _ => Guard::Command,
    }
}

/// What the kernel's totals say has gone unguarded, and what to do about it.
fn shortfalls(counters: &Counters) -> Vec<String> {
    let mut notices = Vec::new();
    if counters.scopes_full > 0 {
        notices.push(format!(
            "{} cgroups found no room in the kernel's map of scopes and are guarded as the cgroup above them is: remove cgroups that nobody uses, then run `hayward reload`",
            counters.scopes_full
        ));
    }
    if counters.no_table > 0 {
        notices.push(format!(
            "{} program starts in scope were not judged, since no rule table was in place: run `hayward reload`, and report it with `hayward support` if the number grows",
            counters.no_table
        ));
    }
    notices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_unguarded_is_told_with_what_to_do() {
        assert!(shortfalls(&Counters::default()).is_empty());
        let notices = shortfalls(&Counters {
            scopes_full: 3,
            no_table: 4,
            ..Counters::default()
        });
        assert!(notices[0].starts_with("3 cgroups") && notices[0].contains("hayward reload"));
        assert!(
            notices[1].starts_with("4 program starts") && notices[1].contains("hayward support")
        );
    }
}
