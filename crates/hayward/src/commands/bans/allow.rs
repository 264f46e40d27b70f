//! `hayward bans allow`.

use std::path::Path;

use hayward_agent::{Allow, AllowReport, AllowRequest, LiftReport, LiftRequest};

use super::{lifted, notes, seconds, source, texts, until};
use crate::{cli::AllowCommand, client, failure::Failure, show};

/// Where the agent has them.
const ALLOW: &str = "/v1/inbound/allow";

pub(super) fn allow(socket: &Path, json: bool, command: AllowCommand) -> Result<(), Failure> {
    match command {
        AllowCommand::Add(asked) => {
            let request = AllowRequest {
                nets: texts(&asked.nets),
                seconds: asked.time.map(seconds),
                comment: asked.comment,
            };
            let report: AllowReport = client::post(socket, ALLOW, &request)?;
            if json {
                return show::json(&report);
            }
            for net in &report.allowed {
                show::line(&format!("{} is never banned", source(*net)));
            }
            for net in &report.lifted {
                show::line(&format!("{} is banned no more", source(*net)));
            }
            notes(&report.notes);
            Ok(())
        }
        AllowCommand::List => {
            let allows: Vec<Allow> = client::get(socket, ALLOW)?;
            if json {
                return show::json(&allows);
            }
            let text = |text: &Option<String>| show::printable(text.as_deref().unwrap_or("-"));
            let row = |allow: &Allow| {
                let (net, until) = (source(allow.net), until(allow.until));
                vec![net, until, text(&allow.actor), text(&allow.comment)]
            };
            let rows: Vec<Vec<String>> = allows.iter().map(row).collect();
            show::table(&["SOURCE", "UNTIL", "BY", "COMMENT"], &rows);
            Ok(())
        }
        AllowCommand::Remove { nets } => {
            let request = LiftRequest { nets: texts(&nets) };
            let report: LiftReport = client::delete(socket, ALLOW, &request)?;
            lifted(&report, "allowed", json)
        }
    }
}
