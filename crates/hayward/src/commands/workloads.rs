//! `hayward workloads`, and what is done to one of them by hand: `freeze`, `thaw`, `throttle`, `release`, `kill-workload`,
//! `evict`.

use std::path::Path;

use hayward_agent::{ActReport, ActRequest, WhyReport, WorkloadReport};
use hayward_model::{Mode, WorkloadKind};
use hayward_respond::Act;

use crate::{cli::OnWorkload, client, failure::Failure, show};

pub(crate) fn workloads(socket: &Path, json: bool) -> Result<(), Failure> {
    let workloads: Vec<WorkloadReport> = client::get(socket, "/v1/workloads")?;
    if json {
        return show::json(&workloads);
    }
    let rows: Vec<Vec<String>> = workloads.iter().map(row).collect();
    show::table(
        &[
            "NAME",
            "KIND",
            "PROCESSES",
            "GUARDS",
            "STATE",
            "AGE",
            "ID",
            "CGROUP",
        ],
        &rows,
    );
    Ok(())
}

fn row(report: &WorkloadReport) -> Vec<String> {
    let guards = report.guards.iter().map(|(guard, mode)| match mode {
        Mode::Enforce => guard.name().to_owned(),
        Mode::Observe => format!("{} observes", guard.name()),
    });
    vec![
        show::printable(&report.workload.name),
        kind(report.workload.kind).to_owned(),
        report.processes.to_string(),
        guards.collect::<Vec<_>>().join(", "),
        state(report),
        report.age_seconds.map_or("-".to_owned(), age),
        report.workload.cgroup_id.to_string(),
        show::printable(&report.workload.cgroup),
    ]
}

const fn kind(kind: WorkloadKind) -> &'static str {
    match kind {
        WorkloadKind::Container => "container",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Unit => "unit",
        WorkloadKind::User => "user",
        WorkloadKind::Cgroup => "cgroup",
    }
}

fn state(report: &WorkloadReport) -> String {
    let ours = report.restriction.as_ref();
    let frozen = match (report.frozen, ours.is_some_and(|ours| ours.frozen)) {
        (true, true) => Some("frozen".to_owned()),
        (true, false) => Some("frozen by others".to_owned()),
        (false, _) => None,
    };
    let throttled = ours.and_then(|ours| ours.throttled.as_ref());
    let throttled = throttled.map(|throttled| format!("throttled to {}", throttled.share));
    let quarantined = ours.and_then(|ours| ours.quarantined.as_ref());
    let quarantined = quarantined.map(|quarantined| format!("quarantined {quarantined}"));
    let states = frozen.into_iter().chain(throttled).chain(quarantined);
    let states: Vec<String> = states.collect();
    if states.is_empty() {
        "-".to_owned()
    } else {
        states.join(", ")
    }
}

/// In the largest unit of which there is one.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What the guards may do in a workload, and which part of the settings says so.
pub(crate) fn why(socket: &Path, json: bool, workload: &str) -> Result<(), Failure> {
    let report: WhyReport = client::get(
        socket,
        &format!("/v1/why?workload={}", client::encoded(workload)),
    )?;
    if json {
        return show::json(&report);
    }
    let (name, cgroup) = (&report.workload.name, &report.workload.cgroup);
    show::line(&show::printable(&format!("{name}  {cgroup}")));
    if report.guards.is_empty() {
        show::line(&format!("  out of scope: {}", show::printable(&report.why)));
        return Ok(());
    }
    show::line(&format!("  in scope: {}", show::printable(&report.why)));
    for (guard, mode) in &report.guards {
        let does = match mode {
            Mode::Enforce => "enforces",
            Mode::Observe => "observes",
        };
        show::line(&format!("  {}  {does}", guard.name()));
    }
    Ok(())
}

pub(crate) fn act(
    socket: &Path,
    json: bool,
    on: OnWorkload,
    act: Act,
    fallback: bool,
) -> Result<(), Failure> {
    let request = ActRequest {
        workload: on.workload,
        act,
        dry_run: on.dry_run,
        fallback,
    };
    let report: ActReport = client::post(socket, "/v1/act", &request)?;
    if json {
        return show::json(&report);
    }
    for impossible in &report.impossible {
        show::line(&show::printable(impossible));
    }
    let done = match (report.action, report.dry_run) {
        (Some(action), false) => action.name().to_owned(),
        (Some(action), true) => format!("would be {}", action.name()),
        (None, _) => "nothing to do".to_owned(),
    };
    let (name, path) = (&report.workload.name, &report.workload.cgroup);
    let place = if name == path {
        name.clone()
    } else {
        format!("{name} ({path})")
    };
    let line = format!("{done}: {place}: {}", report.note);
    show::line(&show::printable(line.trim_end_matches([':', ' '])));
    Ok(())
}
