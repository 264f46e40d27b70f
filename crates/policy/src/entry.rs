//! What settings name that may be reached: addresses and names, and ports of them.

use std::net::IpAddr;

use hayward_model::{Range, domain, prefix};
use ipnet::{IpNet, Ipv6Net};

/// Addresses, and what may be reached there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The addresses.
    pub net: IpNet,
    /// With none, everything.
    pub ranges: Vec<Range>,
}

/// A name, and what may be reached at its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedEntry {
    /// `example.org`, or with `*.` before it whatever is below.
    pub pattern: String,
    /// With none, everything.
    pub ranges: Vec<Range>,
}

/// What a list of settings has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Addresses.
    pub nets: Vec<Entry>,
    /// Names.
    pub names: Vec<NamedEntry>,
}

impl Entries {
    pub(crate) fn of(places: Vec<Place<Entry, NamedEntry>>) -> Self {
        let (nets, names) = Place::apart(places);
        Self { nets, names }
    }
}

/// Addresses or a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<N, P> {
    Net(N),
    Name(P),
}

impl<N, P> Place<N, P> {
    /// Both kinds for themselves.
    pub(crate) fn apart(places: Vec<Self>) -> (Vec<N>, Vec<P>) {
        let (mut nets, mut names) = (Vec::new(), Vec::new());
        for place in places {
            match place {
                Self::Net(net) => nets.push(net),
                Self::Name(name) => names.push(name),
            }
        }
        (nets, names)
    }
}

/// Names of protocols, with their numbers.
const PROTOCOLS: [(&str, u8); 6] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
];

/// What a protocol is called in settings; its number where it has no name there.
pub(crate) fn protocol_name(number: u8) -> String {
    let name = PROTOCOLS.iter().find(|(_, known)| *known == number);
    name.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

impl Entry {
    pub(crate) fn both(&self) -> (Ipv6Net, &[Range]) {
        (prefix(self.net), self.ranges.as_slice())
    }

    /// Reads `10.0.0.0/8`, `10.96.0.10 53`, `2001:db8::/32 443/tcp,8000-8999/tcp` or `192.0.2.0/24 icmp`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (net, ranges) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self {
            net: net_of(net)?,
            ranges: ranges_of(ranges)?,
        })
    }
}

/// Reads what [`Entry::parse`] does, or `pypi.org 443/tcp`, `*.example.org`.
pub(crate) fn entry_or_name(text: &str) -> Result<Place<Entry, NamedEntry>, String> {
    let (name, ranges) = text.split_once(' ').unwrap_or((text, ""));
    let Some(pattern) = pattern(name) else {
        let entry = Entry::parse(text).map(Place::Net);
        return entry
            .map_err(|error| format!("{error}, or a name such as example.org or *.example.org"));
    };
    let ranges = ranges_of(ranges)?;
    Ok(Place::Name(NamedEntry { pattern, ranges }))
}

/// Reads a prefix, an address alone, or a name, which stands for all below it too.
pub(crate) fn net_or_name(text: &str) -> Result<Place<IpNet, String>, String> {
    match domain(text) {
        Some(name) => Ok(Place::Name(name)),
        None => net_of(text).map(Place::Net),
    }
}

/// A name, with or without `*.` before it, in small letters.
fn pattern(text: &str) -> Option<String> {
    match text.strip_prefix("*.") {
        Some(name) => domain(name).map(|name| format!("*.{name}")),
        None => domain(text),
    }
}

fn ranges_of(text: &str) -> Result<Vec<Range>, String> {
    let ranges = text
        .split(',')
        .map(str::trim)
        .filter(|range| !range.is_empty());
    ranges.map(range).collect()
}

/// Reads a prefix, or an address alone.
pub(crate) fn net_of(text: &str) -> Result<IpNet, String> {
    let net = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| {
        format!("`{text}` is no address; write one such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")
    })?;
    if net.trunc() != net {
        return Err(format!(
            "`{text}` has bits past its prefix; write {}",
            net.trunc()
        ));
    }
    Ok(net)
}

fn range(text: &str) -> Result<Range, String> {
    let bad = || {
        let names = PROTOCOLS.map(|(name, _)| name).join(", ");
        format!(
            "`{text}` is no port; write one such as 443, 443/tcp, 8000-8999/tcp, or a protocol: {names}"
        )
    };
    let number = |name: &str| {
        let known = PROTOCOLS.iter().find(|(known, _)| *known == name);
        known.map(|(_, number)| *number)
    };
    if let Some(protocol) = number(text) {
        return Ok(Range {
            ports: (0, u16::MAX),
            protocol: Some(protocol),
        });
    }
    let (ports, protocol) = match text.split_once('/') {
        Some((ports, name)) => (ports, Some(number(name).ok_or_else(bad)?)),
        None => (text, None),
    };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok(), last.parse().ok());
    let ports = first.zip(last).filter(|(first, last)| first <= last);
    Ok(Range {
        ports: ports.ok_or_else(bad)?,
        protocol,
    })
}
