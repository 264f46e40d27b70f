//! `hayward bans`: the ban lists of the guard `egress`, and the bans of the guard `inbound`.

mod allow;
mod export;
mod import;

use std::{
    io::{BufRead, IsTerminal, Write},
    net::IpAddr,
    path::Path,
    time::Duration,
};

use hayward_agent::{
    BanReport, BanRequest, BansReport, FlushReport, LiftReport, LiftRequest, ListedBan, WhyBanned,
};
use hayward_model::{BanOrigin, BanStrength};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{cli::BansCommand, client, failure::Failure, show};

/// Where the agent has bans.
const BANS: &str = "/v1/inbound/bans";

pub(crate) fn bans(socket: &Path, json: bool, command: BansCommand) -> Result<(), Failure> {
    match command {
        BansCommand::Lists => lists(socket, json),
        BansCommand::List => list(socket, json),
        BansCommand::Add {
            nets,
            time,
            soft,
            comment,
        } => {
            let request = BanRequest {
                nets: texts(&nets),
                seconds: time.map(seconds),
                soft,
                comment,
                ..BanRequest::default()
            };
            let report: BansReport = client::post(socket, BANS, &request)?;
            if json {
                return show::json(&report);
            }
            banned(&report);
            Ok(())
        }
        BansCommand::Remove { nets } => {
            let request = LiftRequest { nets: texts(&nets) };
            let report: LiftReport = client::post(socket, "/v1/inbound/bans/lift", &request)?;
            lifted(&report, "banned", json)
        }
        BansCommand::Why { address } => why(socket, json, address),
        BansCommand::Import {
            file,
            time,
            dry_run,
            skip_bad,
        } => import::import(socket, json, &file, time, dry_run, skip_bad),
        BansCommand::Export { format } => export::export(socket, format, json),
        BansCommand::Flush { yes } => flush(socket, json, yes),
        BansCommand::Allow { command } => allow::allow(socket, json, command),
    }
}

fn lists(socket: &Path, json: bool) -> Result<(), Failure> {
    let lists: Vec<BanReport> = client::get(socket, "/v1/bans")?;
    if json {
        return show::json(&lists);
    }
    let rows: Vec<Vec<String>> = lists.iter().map(list_row).collect();
    show::table(
        &["LIST", "DATE", "PREFIXES", "NAMES", "REFUSED", "SOURCE"],
        &rows,
    );
    Ok(())
}

fn list_row(list: &BanReport) -> Vec<String> {
    let date = list
        .date
        .map(|date| date.strftime("%Y-%m-%d %H:%M").to_string());
    vec![
        show::printable(&list.name),
        date.unwrap_or_else(|| "-".to_owned()),
        list.prefixes.to_string(),
        list.names.to_string(),
        list.refused.to_string(),
        show::printable(list.source.as_deref().unwrap_or("-")),
    ]
}

fn list(socket: &Path, json: bool) -> Result<(), Failure> {
    let bans: Vec<ListedBan> = client::get(socket, BANS)?;
    if json {
        return show::json(&bans);
    }
    table(&bans);
    Ok(())
}

fn table(bans: &[ListedBan]) {
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> = bans.iter().map(|ban| row(ban, now)).collect();
    show::table(
        &[
            "SOURCE", "LEFT", "STRENGTH", "ORIGIN", "TIMES", "DROPPED", "REASON",
        ],
        &rows,
    );
}

fn row(listed: &ListedBan, now: Timestamp) -> Vec<String> {
    let ban = &listed.ban;
    let dropped = listed.dropped.map(|dropped| dropped.to_string());
    vec![
        source(ban.net),
        left(ban.until, now),
        strength(ban.strength).to_owned(),
        origin(ban.origin).to_owned(),
        ban.times.to_string(),
        dropped.unwrap_or_else(|| "-".to_owned()),
        why_text(listed),
    ]
}

/// Why, by whom, and the record that tells more.
fn why_text(listed: &ListedBan) -> String {
    let ban = &listed.ban;
    let mut text = show::printable(ban.reason.as_deref().unwrap_or("-"));
    if let Some(actor) = &ban.actor {
        text.push_str(&format!(", by {}", show::printable(actor)));
    }
    if let Some(record) = &ban.record {
        text.push_str(&format!(", {}", show::printable(record)));
    }
    text
}

fn why(socket: &Path, json: bool, address: IpAddr) -> Result<(), Failure> {
    let path = format!(
        "{BANS}/why?address={}",
        client::encoded(&address.to_string())
    );
    let why: WhyBanned = client::get(socket, &path)?;
    let is_banned = !why.bans.is_empty();
    if json {
        show::json(&why)?;
    } else {
        if is_banned {
            table(&why.bans);
        }
        for never in &why.never {
            let what = show::printable(&never.why);
            show::line(&format!("never banned: {} is {what}", source(never.net)));
        }
        for allow in &why.allows {
            let comment = show::printable(allow.comment.as_deref().unwrap_or("-"));
            let (net, until) = (source(allow.net), until(allow.until));
            show::line(&format!("allowed: {net}, until {until}: {comment}"));
        }
        for past in &why.past {
            show::line(&format!(
                "banned for scans {}, the last time until {}",
                show::count_of(past.times.into(), "time"),
                until(Some(past.until))
            ));
        }
    }
    if is_banned {
        return Ok(());
    }
    Err(Failure::NotSo(format!("{} is not banned", why.address)))
}

fn flush(socket: &Path, json: bool, yes: bool) -> Result<(), Failure> {
    if !yes {
        let input = std::io::stdin();
        if !input.is_terminal() {
            return Err(Failure::Other(anyhow::anyhow!(
                "nothing was done: say --yes to remove all bans without being asked"
            )));
        }
        let bans: Vec<ListedBan> = client::get(socket, BANS)?;
        let mut told = std::io::stderr().lock();
        write!(
            told,
            "Remove all {}? [y/N] ",
            show::count(bans.len(), "ban")
        )?;
        told.flush()?;
        let mut answer = String::new();
        input.lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::NotSo("nothing was done".to_owned()));
        }
    }
    let report: FlushReport =
        client::post(socket, "/v1/inbound/bans/flush", &serde_json::json!({}))?;
    if json {
        return show::json(&report);
    }
    show::line(&format!("{} removed", show::count(report.lifted, "ban")));
    Ok(())
}

/// What was banned, or would be.
fn banned(report: &BansReport) {
    let would = if report.dry_run { "would be " } else { "" };
    let sources = show::count(report.banned, "source");
    let mut text = format!("{sources} {would}banned, until {}", until(report.until));
    if report.unchanged > 0 {
        text.push_str(&format!("; {} banned for longer already", report.unchanged));
    }
    show::line(&text);
    notes(&report.notes);
}

/// What is banned, or allowed, no more; fails where some of it never was.
fn lifted(report: &LiftReport, what: &str, json: bool) -> Result<(), Failure> {
    if json {
        show::json(report)?;
    } else {
        for net in &report.nets {
            show::line(&format!("{} is {what} no more", source(*net)));
        }
        notes(&report.notes);
    }
    if report.unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::NotSo(report.unknown.join("\n")))
}

fn notes(notes: &[String]) {
    for note in notes {
        show::line(&format!("note: {}", show::printable(note)));
    }
}

fn texts(nets: &[IpNet]) -> Vec<String> {
    nets.iter().map(ToString::to_string).collect()
}

/// Whole ones, and not none of a time that is shorter.
fn seconds(time: Duration) -> u64 {
    time.as_secs().max(u64::from(!time.is_zero()))
}

/// An address without its length; a prefix with it.
pub(crate) fn source(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

fn until(until: Option<Timestamp>) -> String {
    until.map_or("it is removed".to_owned(), |until| {
        until.strftime("%Y-%m-%d %H:%M:%S").to_string()
    })
}

/// The two largest units of what is left.
pub(crate) fn left(until: Option<Timestamp>, now: Timestamp) -> String {
    let Some(until) = until else {
        return "for ever".to_owned();
    };
    let seconds = until.duration_since(now).as_secs().max(0);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

const fn strength(strength: BanStrength) -> &'static str {
    match strength {
        BanStrength::Full => "full",
        BanStrength::Soft => "soft",
    }
}

const fn origin(origin: BanOrigin) -> &'static str {
    match origin {
        BanOrigin::Scan => "scan",
        BanOrigin::Operator => "operator",
        BanOrigin::Import => "import",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_in_two_units() {
        let now = Timestamp::UNIX_EPOCH;
        let in_seconds = |seconds| left(Timestamp::from_second(seconds).ok(), now);
        assert_eq!(in_seconds(-5), "0s");
        assert_eq!(in_seconds(59), "59s");
        assert_eq!(in_seconds(3599), "59m 59s");
        assert_eq!(in_seconds(86_399), "23h 59m");
        assert_eq!(in_seconds(86_400 * 30 + 3600), "30d 1h");
        assert_eq!(left(None, now), "for ever");
    }

    #[test]
    fn a_time_that_is_shorter_than_a_second_is_not_none() {
        assert_eq!(seconds(Duration::from_millis(500)), 1);
        assert_eq!(seconds(Duration::ZERO), 0);
    }
}
