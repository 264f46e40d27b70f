//! `hayward status`: what is guarded, and how well.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use hayward_agent::StatusReport;
use hayward_model::GuardStatus;
use hayward_workload::Connection;

use crate::{cli::WaitFor, client, commands::tell, failure::Failure, show};

/// How often a waiting client asks.
const ASK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) fn status(
    socket: &Path,
    json: bool,
    wait: Option<WaitFor>,
    timeout: Duration,
) -> Result<(), Failure> {
    let report = match wait {
        None => client::get(socket, "/v1/status")?,
        Some(wanted) => wait_for(socket, wanted, timeout)?,
    };
    if json {
        return show::json(&report);
    }
    print(&report);
    Ok(())
}

fn wait_for(socket: &Path, wanted: WaitFor, timeout: Duration) -> Result<StatusReport, Failure> {
    let wanted = match wanted {
        WaitFor::Enforcing => GuardStatus::Enforcing,
        WaitFor::Observing => GuardStatus::Observing,
    };
    let deadline = Instant::now() + timeout;
    loop {
        let answer: Result<StatusReport, Failure> = client::get(socket, "/v1/status");
        let now = match &answer {
            Ok(report) if all_are(report, wanted) => return answer,
            Ok(report) => {
                let described = report.guards.iter().map(|(name, guard)| {
                    let reason = guard.reason.clone().unwrap_or_default();
                    format!("{name} is {} {reason}", guard.status.name())
                });
                described.collect::<Vec<_>>().join("; ")
            }
            Err(failure) => failure.to_string(),
        };
        if Instant::now() > deadline {
            let name = wanted.name();
            return Err(Failure::NotSo(format!(
                "not {name} after {timeout:?}: {now}"
            )));
        }
        std::thread::sleep(ASK_AGAIN);
    }
}

/// Whether that is the status of every guard that settings list, and they list one.
fn all_are(report: &StatusReport, wanted: GuardStatus) -> bool {
    let guards = report.guards.values();
    let mut listed = guards.filter(|guard| guard.status != GuardStatus::Off || guard.switched_off);
    let mut any = false;
    listed.all(|guard| {
        any = true;
        guard.status == wanted
    }) && any
}

fn print(report: &StatusReport) {
    show::line(&format!(
        "hayward {} (pid {}), up {} s, cgroup root {}",
        report.version, report.pid, report.uptime_seconds, report.cgroup_root
    ));
    for (name, guard) in &report.guards {
        let reason = guard
            .reason
            .as_ref()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        show::line(&format!("  {name}  {}{reason}", show::status(guard.status)));
        if guard.generation > 0 {
            show::line(&format!(
                "    {} rules (generation {}), {} cgroups in scope, last scan {} processes in {:.1} ms",
                guard.rules,
                guard.generation,
                guard.cgroups_in_scope,
                guard.scan.processes,
                guard.scan.milliseconds
            ));
        }
        let counters = guard.counters.iter().filter(|(_, value)| **value > 0);
        let counters: Vec<_> = counters
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if !counters.is_empty() {
            show::line(&format!("    {}", counters.join(", ")));
        }
    }
    for (socket, runtime) in &report.runtimes {
        if let Connection::Connected { version, .. } = &runtime.connection {
            show::line(&format!("  names    {version}  {socket}"));
        }
    }
    for target in &report.tell {
        show::line(&format!("  tells    {}", tell::in_words(target)));
    }
    if let Some(listen) = &report.metrics.listen {
        show::line(&format!("  metrics  http://{listen}/metrics"));
    }
    let lost = report.records_lost.iter();
    let lost: Vec<_> = lost
        .map(|(cause, count)| format!("{} lost: {cause}", show::count_of(*count, "record")))
        .collect();
    show::line(format!("  journal  {}  {}", report.journal, lost.join(", ")).trim_end());
    for problem in &report.problems {
        show::line(&format!("  problem: {problem}"));
    }
    for notice in &report.notices {
        show::line(&format!("  note: {notice}"));
    }
}
