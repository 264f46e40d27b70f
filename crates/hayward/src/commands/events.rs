//! `hayward events`, `explain` and `report`: what happened, and why.

mod inbound;

use std::{ops::ControlFlow, path::Path, time::Duration};

use hayward_model::Record;
use hayward_record::{Summary, report::Row};
use rustix::event::{PollFd, PollFlags};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli::Filter, client, failure::Failure, show};

pub(crate) fn events(
    socket: &Path,
    json: bool,
    filter: &Filter,
    follow: bool,
) -> Result<(), Failure> {
    if follow {
        return follow_events(socket, json, filter);
    }
    let path = format!("{}&newest=true", query(filter));
    let mut records: Vec<Record> = client::get_lines(socket, &path)?;
    records.reverse();
    for record in &records {
        if print(record, json)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn follow_events(socket: &Path, json: bool, filter: &Filter) -> Result<(), Failure> {
    let path = format!("{}&follow=true", query(filter));
    follow(socket, &path, None, |line| {
        print(&serde_json::from_slice(line)?, json)
    })
}

/// Hands over lines until the agent stops (a failure), the time is over, the reader of the output goes, or a signal asks
/// for an end.
pub(super) fn follow(
    socket: &Path,
    path: &str,
    time: Option<Duration>,
    line: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let runtime = client::runtime()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (gone, reader_gone) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            wait_for_reader_to_go();
            let _ = gone.send(());
        });
        let over = async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = client::follow(socket, path, line) => result,
            () = over => Ok(()),
            _ = reader_gone => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}

/// Returns when nobody reads standard output any more, even if nothing is written to it.
fn wait_for_reader_to_go() {
    let output = std::io::stdout();
    loop {
        let mut polled = [PollFd::new(&output, PollFlags::empty())];
        match rustix::event::poll(&mut polled, None) {
            Ok(_) if polled[0].revents().contains(PollFlags::ERR) => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn query(filter: &Filter) -> String {
    let mut path = format!("/v1/events?limit={}", filter.limit);
    if let Some(since) = filter.since {
        path.push_str(&format!("&since={since}"));
    }
    let guard = filter.guard.map(|guard| guard.name().to_owned());
    let action = filter.action.map(|action| action.name().to_owned());
    for (key, value) in [
        ("guard", &guard),
        ("action", &action),
        ("rule", &filter.rule),
        ("workload", &filter.workload),
        ("user", &filter.user),
        ("id", &filter.id),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", client::encoded(value)));
        }
    }
    path
}

/// Breaks where nobody reads any more.
fn print(record: &Record, json: bool) -> Result<ControlFlow<()>, Failure> {
    let text = if json {
        serde_json::to_string(record)?
    } else {
        show::record(record)
    };
    Ok(show::try_line(&text))
}

pub(crate) fn explain(socket: &Path, json: bool, id: &str) -> Result<(), Failure> {
    let records: Vec<Record> =
        client::get_lines(socket, &format!("/v1/events?id={}", client::encoded(id)))?;
    let Some(record) = records.first() else {
        return Err(Failure::NotSo(format!(
            "there is no record {id}; `hayward events` lists them"
        )));
    };
    if json {
        return show::json(record);
    }
    show::line(&show::record(record));
    for text in inbound::sequel(socket, record) {
        show::line(&text);
    }
    fields(&serde_json::to_value(record)?, 0);
    Ok(())
}

/// Each field in a line, and what it holds below it.
fn fields(value: &serde_json::Value, depth: usize) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let indent = "  ".repeat(depth);
        if value.is_object() {
            show::line(&format!("{indent}{key}:"));
            fields(value, depth + 1);
        } else {
            show::line(&format!("{indent}{key}: {}", plain(value)));
        }
    }
}

fn plain(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn report(socket: &Path, json: bool, since: jiff::Timestamp) -> Result<(), Failure> {
    let mut summary = Summary::default();
    client::for_each_line(socket, &format!("/v1/events?since={since}"), |record| {
        summary.add(&record);
    })?;
    let report = summary.report();
    if json {
        return show::json(&report);
    }
    for (title, rows) in [
        ("RULE", &report.rules),
        ("IMAGE", &report.images),
        ("NAMESPACE", &report.namespaces),
    ] {
        // Who is banned belongs to no image.
        let is_optional = title == "NAMESPACE" || report.total.banned > 0;
        if rows.is_empty() && is_optional {
            continue;
        }
        // Most hosts ban nobody.
        let has_bans = report.total.banned > 0 && title == "RULE";
        let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(row, has_bans)).collect();
        let mut head = vec![title, "KILLED", "OBSERVED", "SPARED", "MISSED"];
        head.extend(has_bans.then_some("BANNED"));
        head.push("LAST SEEN");
        show::table(&head, &rows);
        show::line("");
    }
    Ok(())
}

fn cells(row: &Row, has_bans: bool) -> Vec<String> {
    let counts = [
        row.counts.killed,
        row.counts.observed,
        row.counts.spared,
        row.counts.missed,
    ];
    let mut cells = vec![row.name.clone()];
    cells.extend(counts.iter().map(u64::to_string));
    cells.extend(has_bans.then(|| row.counts.banned.to_string()));
    cells.push(row.last.strftime("%Y-%m-%d %H:%M").to_string());
    cells
}
