//! `hayward samples` and `judge randomx`: what the sensor of the guard `randomx` sees, and what its detector makes of it.

use std::{io::Read, ops::ControlFlow, path::Path, time::Duration};

use hayward_detect::randomx::{Recorded, Settings, judge_recorded};
use hayward_model::RoundingEvent;
use serde::Deserialize;

use crate::{
    commands::events,
    failure::{Failure, bad_file, bad_line, read},
    show,
};

/// A line: what was seen of a thread, or of how many the agent could not tell in time.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Seen(RoundingEvent),
    Lost {
        #[serde(rename = "lost")]
        events: u64,
    },
}

pub(crate) fn samples(
    socket: &Path,
    pid: Option<u32>,
    time: Option<Duration>,
) -> Result<(), Failure> {
    events::follow(socket, "/v1/rounding", time, |line| {
        let wanted = match serde_json::from_slice(line)? {
            Line::Seen(event) => pid.is_none_or(|pid| pid == event.pid),
            Line::Lost { .. } => true,
        };
        if !wanted {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(show::try_line(&String::from_utf8_lossy(line)))
    })
}

pub(crate) fn judge(file: &Path, json: bool) -> Result<(), Failure> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        bytes
    } else {
        read(file)?
    };
    let mut seen = Vec::new();
    let mut lost = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(Line::Seen(event)) => seen.push(event),
            Ok(Line::Lost { events }) => lost += events,
            Err(_) => {
                let message = "this is no line of `hayward samples`".to_owned();
                return Err(bad_line(
                    file,
                    number + 1,
                    message,
                    "leave it out, or record again",
                ));
            }
        }
    }
    if seen.is_empty() {
        let help = "record while the process runs: hayward samples --for 30s";
        return Err(bad_file(file, "nothing is recorded in it".to_owned(), help));
    }
    let judged = judge_recorded(&seen, &Settings::default());
    if json {
        return show::json(&serde_json::json!({ "processes": judged, "events_lost": lost }));
    }
    let rows: Vec<Vec<String>> = judged.iter().map(row).collect();
    let titles = [
        "PID", "NAME", "THREADS", "SECONDS", "NEAREST", "DOWN", "UP", "ZERO", "FLUSHED", "VERDICT",
    ];
    show::table(&titles, &rows);
    if lost > 0 {
        show::line(&format!(
            "{} lost, for want of a reader",
            show::count_of(lost, "event")
        ));
    }
    Ok(())
}

fn row(recorded: &Recorded) -> Vec<String> {
    let verdict = match (recorded.found_after_seconds, &recorded.explanation) {
        (Some(seconds), _) => format!(
            "mines: found after {seconds:.1} s, {} samples",
            recorded.found_after_samples.unwrap_or(0)
        ),
        (None, Some(explanation)) => format!("not found: {explanation}"),
        (None, None) => "not found".to_owned(),
    };
    let numbers = recorded.modes.into_iter().chain([recorded.flushed]);
    let mut cells = vec![
        recorded.pid.to_string(),
        recorded.comm.replace(char::is_control, "?"),
        recorded.threads.to_string(),
        format!("{:.1}", recorded.seconds),
    ];
    cells.extend(numbers.map(|number| number.to_string()));
    cells.push(verdict);
    cells
}
