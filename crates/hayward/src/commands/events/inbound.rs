//! What a record of the guard `inbound` comes to: whether it still holds, and how to undo it. A record says what was done then.

use std::path::Path;

use hayward_agent::{ListedBan, StatusReport, WhyBanned};
use hayward_model::{Action, BanStrength, Guard, GuardStatus, Record, source_in_words};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    client,
    commands::bans::{left, source},
    show,
};

/// What holds now and what may be done, in lines; none for records of something else.
pub(super) fn sequel(socket: &Path, record: &Record) -> Vec<String> {
    if record.guard != Some(Guard::Inbound) {
        return Vec::new();
    }
    let nets = nets(record);
    let mut lines: Vec<String> = nets.iter().filter_map(|net| now(socket, *net)).collect();
    lines.extend(disobeyed(socket));
    let names: Vec<String> = nets.iter().copied().map(source).collect();
    lines.extend(advice(record, &names.join(" ")));
    lines
}

/// Whom it is about, where that can be told: of many that were banned at once, the first.
fn nets(record: &Record) -> Vec<IpNet> {
    let inbound = record.evidence.as_ref().and_then(|it| it.inbound.as_ref());
    if let Some(inbound) = inbound {
        // Of many together, one is no more to blame than another.
        let alone = inbound.sources.is_none().then_some(inbound.source);
        return alone.into_iter().collect();
    }
    record.nets.clone()
}

fn now(socket: &Path, net: IpNet) -> Option<String> {
    let path = format!("/v1/inbound/bans/why?address={}", net.addr());
    let why: WhyBanned = client::get(socket, &path).ok()?;
    let name = source_in_words(net);
    let Some(ban) = why.bans.iter().find(|it| it.ban.net.contains(&net)) else {
        let all = if why.bans.is_empty() {
            ""
        } else {
            ", but for parts of it"
        };
        return Some(format!("now: {name} is not banned{all}"));
    };
    Some(format!("now: {name} is banned {}", holds(ban, net)))
}

/// Bans are kept where the guard does not enforce, and nothing is dropped.
fn disobeyed(socket: &Path) -> Option<String> {
    let status: StatusReport = client::get(socket, "/v1/status").ok()?;
    let guard = status.guards.get(Guard::Inbound.name())?;
    let why = match guard.status {
        GuardStatus::Observing => "only observes",
        GuardStatus::Off => "is off",
        GuardStatus::Absent => "cannot run here (`hayward status`)",
        GuardStatus::Enforcing | GuardStatus::Degraded => return None,
    };
    Some(format!(
        "now: nothing is dropped, since the guard `inbound` {why}"
    ))
}

/// For how long, of what, and by which ban.
fn holds(listed: &ListedBan, net: IpNet) -> String {
    let ban = &listed.ban;
    let mut text = match ban.until {
        Some(until) => format!(
            "until {} UTC, for another {}",
            until.strftime("%Y-%m-%d %H:%M:%S"),
            left(ban.until, Timestamp::now())
        ),
        None => "until that is removed".to_owned(),
    };
    if ban.net != net {
        text.push_str(&format!(", as part of {}", source(ban.net)));
    }
    text.push_str(match ban.strength {
        BanStrength::Full => {
            "; all that it sends is dropped, but for answers to what this host opened"
        }
        BanStrength::Soft => "; its first contacts are dropped, and what is open goes on",
    });
    if let Some(dropped) = listed.dropped {
        text.push_str(&format!(" ({} so far)", show::count_of(dropped, "packet")));
    }
    text
}

fn advice(record: &Record, names: &str) -> Vec<String> {
    let whom = if names.is_empty() { "ADDRESS" } else { names };
    let line = |what: &str, command: &str| format!("{what}: hayward bans {command} {whom}");
    let allow = || line("to never ban it", "allow add");
    match record.action {
        Action::Banned => vec![line("to undo it", "remove"), allow()],
        Action::Observed | Action::Missed | Action::Denied => {
            vec![line("to ban it by hand", "add --for 1h"), allow()]
        }
        Action::Unbanned => vec![line("to undo it", "add")],
        Action::Allowed => vec![line("to undo it", "allow remove")],
        Action::Disallowed => vec![line("to undo it", "allow add")],
        _ => Vec::new(),
    }
}
