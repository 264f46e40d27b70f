//! `hayward bans import`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    path::Path,
    time::Duration,
};

use hayward_agent::{BanRequest, BansReport};
use hayward_model::BanOrigin;
use hayward_rules::{MOST_BAN_BYTES, parse_sources};
use hayward_yaml::Problem;
use ipnet::IpNet;

use super::{BANS, banned, seconds, texts};
use crate::{
    client,
    failure::{Failure, bad_file},
    show,
};

/// So many bad lines are told.
const MOST_TOLD: usize = 100;

pub(super) fn import(
    socket: &Path,
    json: bool,
    file: &Path,
    time: Duration,
    dry_run: bool,
    skip_bad: bool,
) -> Result<(), Failure> {
    let (name, bytes) = read(file)?;
    let (sources, mut problems) = parse_sources(&name, &bytes);
    if !problems.is_empty() && !skip_bad {
        return Err(refused(&problems));
    }
    let mut lines: BTreeMap<IpNet, usize> = BTreeMap::new();
    for (line, net) in sources {
        lines.entry(net).or_insert(line);
    }
    if lines.is_empty() {
        let message = "names nobody".to_owned();
        return Err(bad_file(
            file,
            message,
            "write an address or a prefix in each line",
        ));
    }
    let nets: Vec<IpNet> = lines.keys().copied().collect();
    let mut request = BanRequest {
        nets: texts(&nets),
        seconds: Some(seconds(time)),
        comment: Some(format!("list {name}")),
        origin: Some(BanOrigin::Import),
        skip_refused: true,
        dry_run: true,
        ..BanRequest::default()
    };
    // Asked first, so that whoever is never banned is told with the line.
    let mut report: BansReport = client::post(socket, BANS, &request)?;
    problems.extend(report.refused.iter().map(|refused| Problem {
        file: name.clone(),
        line: lines.get(&refused.net).copied().unwrap_or(0),
        message: refused.why.clone(),
        help: "remove it from the list, or leave such lines out with --skip-bad".to_owned(),
    }));
    problems.sort_by_key(|problem| problem.line);
    if !problems.is_empty() && !skip_bad {
        return Err(refused(&problems));
    }
    if !dry_run {
        request.dry_run = false;
        let refused: BTreeSet<String> = report
            .refused
            .iter()
            .map(|refused| refused.net.to_string())
            .collect();
        request.nets.retain(|net| !refused.contains(net));
        if !request.nets.is_empty() {
            let refused = report.refused;
            report = client::post(socket, BANS, &request)?;
            report.refused.extend(refused);
        }
    }
    if json {
        return show::json(&report);
    }
    banned(&report);
    if !problems.is_empty() {
        show::line(&format!(
            "left out: {}\n{}",
            show::count(problems.len(), "line"),
            told(&problems)
        ));
    }
    Ok(())
}

/// What the list is called, and what is in it.
fn read(file: &Path) -> Result<(String, Vec<u8>), Failure> {
    let mut bytes = Vec::new();
    let most = MOST_BAN_BYTES + 1;
    let name = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
        "standard input".to_owned()
    } else {
        let read = std::fs::File::open(file).and_then(|it| it.take(most).read_to_end(&mut bytes));
        read.map_err(|error| {
            let message = format!("cannot be read: {error}");
            bad_file(file, message, "check the path and its permissions")
        })?;
        file.display().to_string()
    };
    if bytes.len() as u64 > MOST_BAN_BYTES {
        let message = format!("is larger than {} MiB", MOST_BAN_BYTES >> 20);
        return Err(bad_file(file, message, "name a list of addresses"));
    }
    Ok((name, bytes))
}

fn refused(problems: &[Problem]) -> Failure {
    Failure::BadInput(format!(
        "nothing was imported: {} of the list cannot be\n{}",
        show::count(problems.len(), "line"),
        told(problems)
    ))
}

fn told(problems: &[Problem]) -> String {
    let mut text: Vec<String> = problems
        .iter()
        .take(MOST_TOLD)
        .map(ToString::to_string)
        .collect();
    if problems.len() > MOST_TOLD {
        text.push(format!("and {} more", problems.len() - MOST_TOLD));
    }
    let lines = text.iter().flat_map(|text| text.lines());
    lines.map(show::printable).collect::<Vec<_>>().join("\n")
}
