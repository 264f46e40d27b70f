//! What a set holds, as `nft` and `ipset` say.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hayward_policy::{AddressFamily, FirewallSet, Output};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value;

use super::{
    call::{CallError, ipset_list, nft_list},
    standing::{Cause, Problem},
};

/// A set, and whose its elements are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) family: AddressFamily,
    /// Ours, with what is left of their times; none for ever.
    pub(crate) ours: BTreeMap<IpNet, Option<Duration>>,
    /// Those of others, which stay as they are.
    pub(crate) foreign: BTreeSet<IpNet>,
}

/// Reads a set.
///
/// # Errors
/// What is wrong with it, and what to run.
pub(crate) fn list(output: &Output, mark: &str) -> Result<Listing, Problem> {
    let listed = match &output.set {
        FirewallSet::Nftables { family, table, set } => {
            nft_list(&["-j", "list", "set", family, table, set])
        }
        FirewallSet::Ipset { name } => ipset_list(name),
    };
    let text = listed.map_err(|error| told(output, &error))?;
    let listing = match &output.set {
        FirewallSet::Nftables { .. } => of_nft(&text, mark),
        FirewallSet::Ipset { .. } => of_ipset(&text, mark),
    };
    let listing = listing.map_err(|why| {
        let set = &output.set;
        unfit(format!(
            "the set `{set}` {why}: remove it and run `{}`",
            make(output)
        ))
    })?;
    if output.family.is_some_and(|family| family != listing.family) {
        let set = &output.set;
        return Err(unfit(format!(
            "the set `{set}` holds addresses of the other family: exchange the two in `outputs`, or remove it and run `{}`",
            make(output)
        )));
    }
    Ok(listing)
}

fn told(output: &Output, error: &CallError) -> Problem {
    let set = &output.set;
    let text = if error.is_absent() {
        format!("there is no set `{set}`: run `{}`", make(output))
    } else {
        format!("bans are not entered in the set `{set}`: {error}")
    };
    Problem {
        cause: Some(error.cause()),
        text,
    }
}

const fn unfit(text: String) -> Problem {
    Problem {
        cause: Some(Cause::Unfit),
        text,
    }
}

/// The command by which such a set is made.
fn make(output: &Output) -> String {
    let is_ipv6 = output.family == Some(AddressFamily::Ipv6);
    match &output.set {
        FirewallSet::Nftables { family, table, set } => {
            let kind = if is_ipv6 { "ipv6_addr" } else { "ipv4_addr" };
            format!(
                "nft add table {family} {table}; nft add set {family} {table} {set} '{{ type {kind}; flags interval, timeout; }}'"
            )
        }
        FirewallSet::Ipset { name } => {
            let family = if is_ipv6 { " family inet6" } else { "" };
            format!("ipset create {name} hash:net{family} timeout 0 comment maxelem 262144")
        }
    }
}

fn of_nft(text: &str, mark: &str) -> Result<Listing, String> {
    let value: Value = serde_json::from_str(text).map_err(|_| "cannot be read".to_owned())?;
    let mut objects = value["nftables"].as_array().into_iter().flatten();
    let set = objects
        .find_map(|object| object.get("set"))
        .ok_or("cannot be read")?;
    let family = match set["type"].as_str() {
        Some("ipv4_addr") => AddressFamily::Ipv4,
        Some("ipv6_addr") => AddressFamily::Ipv6,
        _ => return Err("holds no addresses".to_owned()),
    };
    let flags = set["flags"].as_array();
    for flag in ["interval", "timeout"] {
        if !flags.is_some_and(|flags| flags.iter().any(|it| it == flag)) {
            return Err(format!("has no flag {flag}"));
        }
    }
    if set["auto-merge"] == Value::Bool(true) {
        return Err(
            "merges elements (auto-merge), so that nobody could tell whose they are".into(),
        );
    }
    let mut listing = Listing::of(family);
    for element in set["elem"].as_array().into_iter().flatten() {
        let inner = element.get("elem").unwrap_or(element);
        let nets = nets(inner.get("val").unwrap_or(inner));
        let left = inner["expires"].as_u64().map(Duration::from_secs);
        let is_ours = inner["comment"].as_str() == Some(mark);
        match nets.as_slice() {
            [net] if is_ours => {
                listing.ours.insert(*net, left);
            }
            nets => listing.foreign.extend(nets),
        }
    }
    Ok(listing)
}

/// An address, a prefix or a range.
fn nets(value: &Value) -> Vec<IpNet> {
    let address = |value: &Value| value.as_str()?.parse::<std::net::IpAddr>().ok();
    if let Some(address) = address(value) {
        return vec![IpNet::from(address)];
    }
    let prefix = &value["prefix"];
    if let Some(address) = address(&prefix["addr"]) {
        let length = prefix["len"].as_u64().and_then(|it| u8::try_from(it).ok());
        let net = length.and_then(|length| IpNet::new(address, length).ok());
        return net.map(|net| net.trunc()).into_iter().collect();
    }
    match (address(&value["range"][0]), address(&value["range"][1])) {
        (Some(std::net::IpAddr::V4(from)), Some(std::net::IpAddr::V4(to))) => {
            Ipv4Subnets::new(from, to, 0).map(IpNet::V4).collect()
        }
        (Some(std::net::IpAddr::V6(from)), Some(std::net::IpAddr::V6(to))) => {
            Ipv6Subnets::new(from, to, 0).map(IpNet::V6).collect()
        }
        _ => Vec::new(),
    }
}

fn of_ipset(text: &str, mark: &str) -> Result<Listing, String> {
    let mut lines = text.lines();
    let create: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    if create.get(2) != Some(&"hash:net") {
        return Err("is no hash:net".to_owned());
    }
    for word in ["timeout", "comment"] {
        if !create.contains(&word) {
            return Err(format!("was made without `{word}`"));
        }
    }
    let family = if create.contains(&"inet6") {
        AddressFamily::Ipv6
    } else {
        AddressFamily::Ipv4
    };
    let mut listing = Listing::of(family);
    for line in lines {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let ["add", _, net, rest] = words.as_slice() else {
            continue;
        };
        let address = || net.parse::<std::net::IpAddr>().map(IpNet::from);
        let Ok(net) = net.parse::<IpNet>().or_else(|_| address()) else {
            continue;
        };
        let (options, comment) = rest.split_once(" comment ").unwrap_or((rest, ""));
        let left = options.split_once("timeout ").map(|(_, left)| left);
        let left = left.and_then(|left| left.split(' ').next()?.parse().ok());
        if comment.trim_matches('"') == mark {
            let left = left.filter(|left| *left != 0).map(Duration::from_secs);
            listing.ours.insert(net, left);
        } else {
            listing.foreign.insert(net);
        }
    }
    Ok(listing)
}

impl Listing {
    fn of(family: AddressFamily) -> Self {
        Self {
            family,
            ours: BTreeMap::new(),
            foreign: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("a prefix")
    }

    #[test]
    fn of_nft_what_is_marked_is_ours_and_all_else_is_of_others() {
        let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"set": {"family": "inet", "name": "s", "table": "t", "type": "ipv4_addr", "handle": 1, "flags": ["interval", "timeout"], "elem": [
            {"elem": {"val": "192.0.2.7", "timeout": 3600, "expires": 3599, "comment": "hayward"}},
            {"elem": {"val": {"prefix": {"addr": "198.51.100.0", "len": 24}}, "comment": "hayward"}},
            {"elem": {"val": "192.0.2.8", "timeout": 60, "expires": 59, "comment": "hayward_other"}},
            {"prefix": {"addr": "203.0.113.0", "len": 25}}, {"range": ["10.0.0.1", "10.0.0.2"]}, "192.0.2.9"]}}]}"#;
        let listing = of_nft(text, "hayward").expect("a good set");
        assert_eq!(listing.family, AddressFamily::Ipv4);
        let ours = [
            (net("192.0.2.7/32"), seconds(3599)),
            (net("198.51.100.0/24"), None),
        ];
        assert_eq!(listing.ours, BTreeMap::from(ours));
        let foreign = [
            "192.0.2.8/32",
            "203.0.113.0/25",
            "10.0.0.1/32",
            "10.0.0.2/32",
            "192.0.2.9/32",
        ];
        assert_eq!(listing.foreign, foreign.map(net).into());
    }

    #[test]
    fn sets_that_cannot_serve_are_told_with_what_to_run() {
        let set = |more: &str| format!(r#"{{"nftables": [{{"set": {{{more}}}}}]}}"#);
        for (text, why) in [
            (set(r#""type": "inet_service""#), "holds no addresses"),
            (
                set(r#""type": "ipv4_addr", "flags": ["timeout"]"#),
                "has no flag interval",
            ),
            (
                set(r#""type": "ipv6_addr", "flags": ["interval"]"#),
                "has no flag timeout",
            ),
            (
                set(r#""type": "ipv4_addr", "flags": ["interval", "timeout"], "auto-merge": true"#),
                "merges",
            ),
            ("nothing".to_owned(), "cannot be read"),
        ] {
            let error = of_nft(&text, "hayward").expect_err(why);
            assert!(error.starts_with(why), "{error}");
        }
        for (text, why) in [
            (
                "create b hash:ip family inet timeout 0 comment",
                "is no hash:net",
            ),
            (
                "create b hash:net family inet comment",
                "was made without `timeout`",
            ),
            (
                "create b hash:net family inet timeout 0",
                "was made without `comment`",
            ),
        ] {
            assert_eq!(of_ipset(text, "hayward").expect_err(why), why);
        }
        let output = |set, family| Output { set, family };
        let set = FirewallSet::nftables("inet f six").expect("a set");
        assert_eq!(
            make(&output(set, Some(AddressFamily::Ipv6))),
            "nft add table inet f; nft add set inet f six '{ type ipv6_addr; flags interval, timeout; }'"
        );
        let set = FirewallSet::ipset("banned").expect("a set");
        assert_eq!(
            make(&output(set, None)),
            "ipset create banned hash:net timeout 0 comment maxelem 262144"
        );
    }

    #[test]
    fn of_ipset_what_is_marked_is_ours_and_all_else_is_of_others() {
        let text = "create b hash:net family inet6 hashsize 1024 maxelem 65536 timeout 0 comment bucketsize 12\n\
            add b 2001:db8::1 timeout 59 comment \"hayward\"\n\
            add b 2001:db8:1::/64 timeout 0 comment \"hayward\"\n\
            add b 2001:db8:2::/64 timeout 9 comment \"a timeout 5 of mine\"\n\
            add b 2001:db8::2 timeout 0\n";
        let listing = of_ipset(text, "hayward").expect("a good set");
        assert_eq!(listing.family, AddressFamily::Ipv6);
        let ours = [
            (net("2001:db8::1/128"), seconds(59)),
            (net("2001:db8:1::/64"), None),
        ];
        assert_eq!(listing.ours, BTreeMap::from(ours));
        let foreign = ["2001:db8:2::/64", "2001:db8::2/128"];
        assert_eq!(listing.foreign, foreign.map(net).into());
    }
}
