//! `hayward strikes` and `hayward forgive`.

use std::path::Path;

use hayward_agent::{ForgiveRequest, StrikesReport};
use hayward_policy::Step;

use crate::{client, failure::Failure, show};

pub(crate) fn strikes(socket: &Path, json: bool) -> Result<(), Failure> {
    let strikes: Vec<StrikesReport> = client::get(socket, "/v1/strikes")?;
    if json {
        return show::json(&strikes);
    }
    let rows: Vec<Vec<String>> = strikes.iter().map(row).collect();
    show::table(&["NAME", "STRIKES", "LAST", "NEXT", "ID", "CGROUP"], &rows);
    Ok(())
}

fn row(report: &StrikesReport) -> Vec<String> {
    let next = |next: &Step| format!("{} at {}", next.response.name(), next.after);
    vec![
        show::printable(&report.workload.name),
        report.strikes.to_string(),
        report.last.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        report.next.as_ref().map_or("-".to_owned(), next),
        report.workload.cgroup_id.to_string(),
        show::printable(&report.workload.cgroup),
    ]
}

pub(crate) fn forgive(socket: &Path, json: bool, workload: String) -> Result<(), Failure> {
    let request = ForgiveRequest { workload };
    let answer: serde_json::Value = client::post(socket, "/v1/forgive", &request)?;
    if json {
        return show::json(&answer);
    }
    let forgiven = answer["forgiven"].as_u64().unwrap_or(0);
    show::line(&format!("{} forgiven", show::count_of(forgiven, "strike")));
    Ok(())
}
