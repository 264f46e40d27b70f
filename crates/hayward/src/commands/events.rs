//! `hayward events`, `explain` and `report`: what happened, and why.

use std::{collections::HashSet, path::Path, time::Duration};

use hayward_model::Record;
use hayward_record::report::Row;

use crate::{cli::Filter, client, failure::Failure, show};

/// How often a following client asks.
const ASK_AGAIN: Duration = Duration::from_millis(250);

pub(crate) fn events(
    socket: &Path,
    json: bool,
    filter: &Filter,
    follow: bool,
) -> Result<(), Failure> {
    let mut records: Vec<Record> = client::get_lines(socket, &query(filter, true))?;
    records.reverse();
    print(&records, json)?;
    let mut last = records.last().map(|record| record.time);
    let mut seen: HashSet<String> = records.into_iter().map(|record| record.id).collect();
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(ASK_AGAIN);
        // Records of one instant may come one after the other, so the last instant is asked for again.
        let next = Filter {
            since: last.or(filter.since),
            limit: usize::MAX,
            ..filter.clone()
        };
        let mut records: Vec<Record> = client::get_lines(socket, &query(&next, false))?;
        records.retain(|record| !seen.contains(&record.id));
        print(&records, json)?;
        if let Some(record) = records.last() {
            last = Some(record.time);
            seen.retain(|id| records.iter().any(|record| record.id == *id));
        }
        seen.extend(records.into_iter().map(|record| record.id));
    }
}

fn query(filter: &Filter, newest: bool) -> String {
    let mut path = format!("/v1/events?newest={newest}&limit={}", filter.limit);
    if let Some(since) = filter.since {
        path.push_str(&format!("&since={since}"));
    }
    for (key, value) in [("rule", &filter.rule), ("workload", &filter.workload)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", encoded(value)));
        }
    }
    path
}

/// Percent-encoding of everything that a query does not hold as it is.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn print(records: &[Record], json: bool) -> Result<(), Failure> {
    for record in records {
        if json {
            show::line(&serde_json::to_string(record)?);
        } else {
            show::line(&show::record(record));
        }
    }
    Ok(())
}

pub(crate) fn explain(socket: &Path, json: bool, id: &str) -> Result<(), Failure> {
    let records: Vec<Record> =
        client::get_lines(socket, &format!("/v1/events?id={}", encoded(id)))?;
    let Some(record) = records.first() else {
        return Err(Failure::NotSo(format!(
            "there is no record {id}; `hayward events` lists them"
        )));
    };
    if json {
        return show::json(record);
    }
    show::line(&show::record(record));
    let text = serde_json::to_value(record)?;
    for (key, value) in text.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Object(fields) => {
                show::line(&format!("{key}:"));
                for (key, value) in fields {
                    show::line(&format!("  {key}: {}", plain(value)));
                }
            }
            value => show::line(&format!("{key}: {}", plain(value))),
        }
    }
    Ok(())
}

fn plain(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) fn report(socket: &Path, json: bool, since: jiff::Timestamp) -> Result<(), Failure> {
    let records: Vec<Record> = client::get_lines(socket, &format!("/v1/events?since={since}"))?;
    let report = hayward_record::summarise(records);
    if json {
        return show::json(&report);
    }
    for (title, rows) in [
        ("RULE", &report.rules),
        ("KIND", &report.images),
        ("NAMESPACE", &report.namespaces),
    ] {
        if rows.is_empty() && title == "NAMESPACE" {
            continue;
        }
        let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
        show::table(
            &[title, "KILLED", "OBSERVED", "SPARED", "MISSED", "LAST SEEN"],
            &rows,
        );
        show::line("");
    }
    Ok(())
}

fn cells(row: &Row) -> Vec<String> {
    let counts = [
        row.counts.killed,
        row.counts.observed,
        row.counts.spared,
        row.counts.missed,
    ];
    let mut cells = vec![row.name.clone()];
    cells.extend(counts.iter().map(u64::to_string));
    cells.push(row.last.strftime("%Y-%m-%d %H:%M").to_string());
    cells
}
