//! `hayward grants` and `hayward quarantine`.

use std::{path::Path, time::Duration};

use hayward_agent::{GrantReport, GrantRequest, Holds};

use crate::{client, failure::Failure, show};

pub(crate) fn list(socket: &Path, json: bool) -> Result<(), Failure> {
    let grants: Vec<GrantReport> = client::get(socket, "/v1/grants")?;
    if json {
        return show::json(&grants);
    }
    let rows: Vec<Vec<String>> = grants.iter().map(row).collect();
    show::table(&["NAME", "HOLDS", "UNTIL", "TO", "ID", "CGROUP"], &rows);
    Ok(())
}

fn row(report: &GrantReport) -> Vec<String> {
    vec![
        show::printable(&report.workload.name),
        word(report.holds).to_owned(),
        until(report),
        match (report.holds, report.to.is_empty()) {
            (Holds::Granted, true) => "everything".to_owned(),
            (_, true) => "-".to_owned(),
            (_, false) => report.to.join("; "),
        },
        report.workload.cgroup_id.to_string(),
        show::printable(&report.workload.cgroup),
    ]
}

const fn word(holds: Holds) -> &'static str {
    match holds {
        Holds::Granted => "granted",
        Holds::Quarantined => "quarantined",
        Holds::List => "by settings",
    }
}

fn until(report: &GrantReport) -> String {
    report.until.map_or("revoked".to_owned(), |until| {
        until.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// Has something hold for a workload.
pub(crate) fn set(
    socket: &Path,
    json: bool,
    workload: String,
    holds: Holds,
    time: Option<Duration>,
    to: Vec<String>,
) -> Result<(), Failure> {
    let request = GrantRequest {
        workload,
        holds,
        seconds: time.map(|time| time.as_secs()),
        to,
    };
    let report: GrantReport = client::post(socket, "/v1/grants", &request)?;
    if json {
        return show::json(&report);
    }
    let name = show::printable(&report.workload.name);
    show::line(&match report.holds {
        Holds::List => format!("{name}: what the settings say holds again"),
        holds => {
            let to = match report.to.join("; ") {
                to if to.is_empty() => to,
                to => format!(": {to}"),
            };
            format!("{}: {name}: until {}{to}", word(holds), until(&report))
        }
    });
    Ok(())
}
