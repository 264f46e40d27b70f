//! `hayward breaker`: new rules that only observe, since they acted on too many workloads.

use std::path::Path;

use hayward_agent::{ResetRequest, TripReport};

use crate::{cli::BreakerCommand, client, failure::Failure, show};

pub(crate) fn breaker(
    socket: &Path,
    json: bool,
    command: Option<BreakerCommand>,
) -> Result<(), Failure> {
    let Some(BreakerCommand::Reset { rule }) = command else {
        return list(socket, json);
    };
    let request = ResetRequest { rule };
    let answer: serde_json::Value = client::post(socket, "/v1/breaker/reset", &request)?;
    if json {
        return show::json(&answer);
    }
    show::line(&format!("{} is in force", show::printable(&request.rule)));
    Ok(())
}

fn list(socket: &Path, json: bool) -> Result<(), Failure> {
    let trips: Vec<TripReport> = client::get(socket, "/v1/breaker")?;
    if json {
        return show::json(&trips);
    }
    let row = |trip: &TripReport| {
        vec![
            show::printable(&trip.rule),
            trip.workloads.to_string(),
            trip.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            trip.until.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = trips.iter().map(row).collect();
    show::table(&["RULE", "WORKLOADS", "TRIPPED", "UNTIL"], &rows);
    Ok(())
}
