//! How things look to people: tables, colour on a terminal, one line a record.

use std::{
    io::{IsTerminal, Write},
    ops::ControlFlow,
};

use hayward_model::{Action, GuardStatus, Record};

/// Writes a line to standard output. A reader that has gone (`| head`) ends the command quietly.
pub(crate) fn line(text: &str) {
    let _ = try_line(text);
}

/// The same, and breaks when the reader has gone.
pub(crate) fn try_line(text: &str) -> ControlFlow<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}") {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// Writes a value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), crate::failure::Failure> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Text that somebody else may have chosen, such as a cgroup's name, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    text.chars().map(shown).collect()
}

/// A colour of the terminal, where there is one and `NO_COLOR` is not set.
fn coloured(text: &str, code: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A status in its colour.
pub(crate) fn status(status: GuardStatus) -> String {
    let code = match status {
        GuardStatus::Enforcing => "32",
        GuardStatus::Observing => "36",
        GuardStatus::Degraded => "33",
        GuardStatus::Absent => "31",
        GuardStatus::Off => "35",
    };
    coloured(status.name(), code)
}

/// What was found, in the colour of a record of it.
pub(crate) fn found(text: &str) -> String {
    coloured(text, "33")
}

/// One record, one line.
pub(crate) fn record(record: &Record) -> String {
    let code = match record.action {
        Action::Killed | Action::WorkloadKilled | Action::Evicted => "31",
        Action::Observed
        | Action::Missed
        | Action::Answered
        | Action::Refused
        | Action::Tripped
        | Action::Alarmed
        | Action::Frozen
        | Action::Throttled
        | Action::Quarantined
        | Action::Banned => "33",
        Action::Spared
        | Action::Cleared
        | Action::Thawed
        | Action::Released
        | Action::Forgiven
        | Action::Unbanned
        | Action::Allowed => "36",
        _ => "0",
    };
    let time = record.time.strftime("%Y-%m-%d %H:%M:%S");
    let action = coloured(&format!("{:12}", record.action.name()), code);
    let mut text = format!("{time}  {}  {action}", record.id);
    if let Some(rule) = &record.rule {
        text.push_str(&format!("  {rule}"));
    }
    if let Some(workload) = &record.workload {
        text.push_str(&format!("  {}", workload.name));
    }
    if let Some(process) = &record.process {
        text.push_str(&format!(
            "  pid {} uid {}  {}",
            process.pid, process.uid, process.command_line
        ));
    } else if let Some(source) = record.source() {
        text.push_str(&format!("  {source}"));
    }
    if let Some(actor) = &record.actor {
        text.push_str(&format!("  by {actor}"));
    }
    if let Some(detail) = record.detail_after_source() {
        text.push_str(&format!("  {detail}"));
    }
    text
}

/// `1 rule`, `2 rules`.
pub(crate) fn count(number: usize, what: &str) -> String {
    count_of(u64::try_from(number).unwrap_or(u64::MAX), what)
}

/// The same for what the agent counts.
pub(crate) fn count_of(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// Columns that line up.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count());
            cells.chain([head[column].len()]).max().unwrap_or(0)
        })
        .collect();
    let render = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(&coloured(&render(head.to_vec()), "1"));
    for row in rows {
        line(&render(row.iter().map(String::as_str).collect()));
    }
}
