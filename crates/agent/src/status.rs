//! What the agent says of itself.

use std::collections::BTreeMap;

use hayward_kernel::Counters;
use hayward_model::{Guard, GuardStatus};
use hayward_tell::TargetReport;
use hayward_workload::SocketState;
use serde::{Deserialize, Serialize};

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
}

/// The kernel's totals of a guard, by name.
pub(crate) fn by_name(counters: &Counters, guard: Guard) -> BTreeMap<String, u64> {
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
pub(crate) fn shortfalls(counters: &Counters) -> Vec<String> {
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
