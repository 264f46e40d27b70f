//! One list, line by line.
//!
//! ```text
//! # a comment, and so is what follows # or ; in a line
//! 192.0.2.7
//! 198.51.100.0/24 ; an entry
//! 2001:db8::/32
//! miners.example
//! 0.0.0.0 pool.example other.example
//! ```

use std::net::IpAddr;

use hayward_model::{domain, domain_hash, prefix};
use hayward_yaml::Problem;
use ipnet::{IpNet, Ipv6Net};

use super::{BanList, MOST_BANS, Widest, header};

/// So many problems of one file are told.
const MOST_PROBLEMS: usize = 20;
/// Where names lead that hosts files block.
const NOWHERE: [&str; 4] = ["0.0.0.0", "127.0.0.1", "::", "::1"];
/// Below these, anybody can have a name: who bans one of them bans all who have.
const SHARED: [&str; 12] = [
    "ddns.net",
    "duckdns.org",
    "dynu.net",
    "dyndns.org",
    "freemyip.com",
    "github.io",
    "hopto.org",
    "ngrok.io",
    "no-ip.org",
    "nip.io",
    "sslip.io",
    "zapto.org",
];

/// What a line is.
pub(super) enum Line {
    Nothing,
    Net(Ipv6Net),
    Names(Vec<u64>),
}

pub(super) fn parse(name: &str, bytes: &[u8], widest: Widest) -> Result<BanList, Vec<Problem>> {
    let mut list = BanList {
        name: name.to_owned(),
        source: None,
        date: None,
        nets: Vec::new(),
        names: Vec::new(),
    };
    let mut problems = Vec::new();
    let mut untold = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        // A comment may be in any encoding; what counts is ASCII.
        let line = String::from_utf8_lossy(line);
        let (entry, comment) = apart(&line);
        if list.nets.is_empty() && !comment.is_empty() {
            list.source = list.source.or_else(|| header::source(comment));
            list.date = list.date.or_else(|| header::date(comment));
        }
        match of(entry.trim(), widest) {
            Ok(Line::Nothing) => {}
            Ok(Line::Net(net)) => list.nets.push(net),
            Ok(Line::Names(names)) => list.names.extend(names),
            Err(_) if problems.len() >= MOST_PROBLEMS => untold += 1,
            Err((message, help)) => problems.push(Problem {
                file: name.to_owned(),
                line: number + 1,
                message,
                help: help.to_owned(),
            }),
        }
        if list.nets.len() > MOST_BANS || list.names.len() > MOST_BANS {
            // It is refused for this by whoever loads it.
            break;
        }
    }
    if untold > 0 {
        problems.push(Problem {
            file: name.to_owned(),
            line: 0,
            message: format!("{untold} more of its lines are wrong"),
            help: String::new(),
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    list.nets.sort_unstable();
    list.nets.dedup();
    list.nets.shrink_to_fit();
    list.names.sort_unstable();
    list.names.dedup();
    list.names.shrink_to_fit();
    Ok(list)
}

/// What a line says, and the comment behind it.
pub(super) fn apart(line: &str) -> (&str, &str) {
    match line.find(['#', ';']) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, ""),
    }
}

pub(super) fn of(entry: &str, widest: Widest) -> Result<Line, (String, &'static str)> {
    let mut words = entry.split_whitespace();
    let Some(first) = words.next() else {
        return Ok(Line::Nothing);
    };
    let rest: Vec<&str> = words.collect();
    if !rest.is_empty() {
        if !NOWHERE.contains(&first) {
            let message = format!("`{entry}` is more than an address or a name");
            let help = "write one in each line, or names to block as a hosts file has them: 0.0.0.0 pool.example";
            return Err((message, help));
        }
        // A hosts file names its own host too.
        let others = rest.into_iter().filter(|name| name.contains('.'));
        let others = others.filter(|name| !name.starts_with("localhost.") && *name != "0.0.0.0");
        let names = others.map(banned_name).collect::<Result<_, _>>()?;
        return Ok(Line::Names(names));
    }
    let net = first
        .parse::<IpNet>()
        .or_else(|_| first.parse::<IpAddr>().map(IpNet::from));
    match net {
        Ok(net) => check_net(net, widest).map(Line::Net),
        Err(_) => banned_name(first).map(|name| Line::Names(vec![name])),
    }
}

fn check_net(net: IpNet, widest: Widest) -> Result<Ipv6Net, (String, &'static str)> {
    if net.trunc() != net {
        let message = format!("`{net}` has bits past its prefix; write {}", net.trunc());
        return Err((message, "or the address alone, where that is meant"));
    }
    let both = prefix(net);
    // What is written as IPv6 and means IPv4 is as wide as it means.
    let is_v4 = both.addr().to_ipv4_mapped().is_some() && both.prefix_len() >= 96;
    let (bits, widest, key) = if is_v4 {
        (both.prefix_len() - 96, widest.v4, "IPv4")
    } else {
        (both.prefix_len(), widest.v6, "IPv6")
    };
    if bits < widest {
        let message =
            format!("`{net}` is wider than /{widest}, which is as much as a list may ban of {key}");
        return Err((
            message,
            "remove it, write what is meant of it, or set `widest_ban` in the settings of the guard `egress`",
        ));
    }
    Ok(both)
}

/// The hash of a name, which is banned with all below it.
fn banned_name(text: &str) -> Result<u64, (String, &'static str)> {
    let Some(name) = domain(text.strip_prefix("*.").unwrap_or(text)) else {
        let message = format!("`{text}` is neither an address, nor a prefix, nor a name");
        return Err((
            message,
            "write one such as 192.0.2.7, 198.51.100.0/24, 2001:db8::/32 or pool.example, and comments behind #",
        ));
    };
    if SHARED.contains(&name.as_str()) {
        let message = format!("`{name}` would be banned for all who have a name below it");
        return Err((message, "write the whole name that is meant"));
    }
    Ok(domain_hash(&name))
}
