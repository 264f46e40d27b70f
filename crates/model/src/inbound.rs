//! Who probes this host, what was seen of it, and who is banned for that.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// Somebody probes this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundEvent {
    /// Nanoseconds since boot.
    pub boot_ns: u64,
    /// What the kernel has done about it.
    pub verdict: InboundVerdict,
    /// Number of the interface.
    pub device: u32,
    /// For how long the kernel has banned the source, in ns; 0 where it has not.
    pub banned_ns: u64,
    /// What was seen.
    pub evidence: InboundEvidence,
}

/// A source has got in touch with this host for the first time at a port, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundContact {
    /// Nanoseconds since boot.
    pub boot_ns: u64,
    /// Who.
    pub source: IpAddr,
    /// Its port.
    pub source_port: u16,
    /// Where.
    pub target: IpAddr,
    /// Which port; 0 where there are none.
    pub port: u16,
    /// How.
    pub kind: ProbeKind,
    /// Number of the interface.
    pub device: u32,
}

/// What the kernel has done about somebody who probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InboundVerdict {
    /// Nothing of it comes in any more.
    Banned,
    /// It makes no first contacts: its packets may be made up by somebody else.
    SoftBanned,
    /// Nothing: by `observe`, because the lease had run out, or since nobody is to be banned for it.
    Observed,
    /// Nothing: it is never banned.
    Spared,
    /// Nothing: there is no room for another ban, or there were too many of late.
    NoRoom,
    /// Its probes are dropped and it is not banned: others send the same ones, as decoys.
    Decoys,
}

/// How somebody gets in touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// TCP, as connections begin.
    Syn,
    /// TCP, with FIN alone.
    Fin,
    /// TCP, with no flags.
    Null,
    /// TCP, with FIN, PSH and URG, or others that do not go together.
    Xmas,
    /// TCP, as if there were a connection.
    Ack,
    /// UDP.
    Udp,
    /// An echo request of ICMP.
    Ping,
    /// The header of TCP in fragments.
    Fragment,
    /// SCTP, as associations begin.
    Sctp,
}

impl ProbeKind {
    /// Every kind, in the order of `enum inbound_kind` of the kernel's layout.
    pub const ALL: [Self; 9] = [
        Self::Syn,
        Self::Fin,
        Self::Null,
        Self::Xmas,
        Self::Ack,
        Self::Udp,
        Self::Ping,
        Self::Fragment,
        Self::Sctp,
    ];

    /// As records and metrics spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Fin => "fin",
            Self::Null => "null",
            Self::Xmas => "xmas",
            Self::Ack => "ack",
            Self::Udp => "udp",
            Self::Ping => "ping",
            Self::Fragment => "fragment",
            Self::Sctp => "sctp",
        }
    }
}

/// By which limit somebody is taken for one who scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InboundLimit {
    /// Far more of its first contacts failed than were answered.
    Unanswered,
    /// Too many failed, whatever was answered.
    Failures,
    /// It sent SYN to too many ports, by a profile.
    Ports,
    /// Many sources together probe many ports; each of them few.
    Distributed,
}

/// Over what a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScanShape {
    /// Over ports of one address.
    Vertical,
    /// Over addresses, at one port.
    Horizontal,
    /// Over both.
    Block,
}

/// Why a source is taken for one that scans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundEvidence {
    /// Who: an address, or the prefix that stands for one.
    pub source: IpNet,
    /// The address of this host that was probed last.
    pub target: IpAddr,
    /// By what it was found.
    pub limit: InboundLimit,
    /// How it probed.
    pub kinds: Vec<ProbeKind>,
    /// Over what.
    pub shape: ScanShape,
    /// First contacts that it made.
    pub contacts: u32,
    /// Of those, answered.
    pub answered: u32,
    /// Of those, refused or not answered.
    pub failed: u32,
    /// The ports of the last of those, in ascending order.
    pub ports: Vec<u16>,
    /// From the first to the last, in milliseconds.
    pub milliseconds: u64,
    /// It has completed a handshake with this host: its address is its own.
    pub proven: bool,
    /// Others sent the same probes at the same time: all but one of them are made up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decoys: bool,
    /// How many sources did, where it was many together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    /// The interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

/// How a ban came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BanOrigin {
    /// Hayward found a scan.
    Scan,
    /// An operator.
    Operator,
    /// A list that an operator imported.
    Import,
}

impl BanOrigin {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Scan, Self::Operator, Self::Import];

    /// As metrics and lists spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Operator => "operator",
            Self::Import => "import",
        }
    }
}

/// What is dropped of a banned source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BanStrength {
    /// Everything, but for answers to what this host opened.
    Full,
    /// First contacts: what is open goes on.
    Soft,
}

impl BanStrength {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Full, Self::Soft];

    /// As metrics and lists spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Soft => "soft",
        }
    }
}

/// Such a prefix of an IPv6 address, or of an IPv4 one where it is `::ffff:0:0/96` or longer.
#[must_use]
pub fn canonical(net: Ipv6Net) -> IpNet {
    const MAPPED: u8 = 96;
    let mapped = net.addr().to_ipv4_mapped();
    match (mapped, net.prefix_len().checked_sub(MAPPED)) {
        (Some(address), Some(length)) => {
            Ipv4Net::new(address, length).map_or(IpNet::V6(net), IpNet::V4)
        }
        _ => IpNet::V6(net),
    }
}

/// The source that an address counts as: itself, or of IPv6 a prefix of so many bits.
#[must_use]
pub fn source_of(address: IpAddr, ipv6_prefix: u8) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => IpNet::V4(address.into()),
        IpAddr::V6(address) => {
            let net = Ipv6Net::new(address, ipv6_prefix);
            net.map_or_else(|_| IpNet::V6(address.into()), |net| IpNet::V6(net.trunc()))
        }
    }
}

/// A source as people write it: an address where the prefix is one.
#[must_use]
pub fn source_in_words(source: IpNet) -> String {
    if source.prefix_len() == source.max_prefix_len() {
        source.addr().to_string()
    } else {
        source.to_string()
    }
}

/// An address as the kernel's maps have it: of IPv4, `::ffff:a.b.c.d`.
#[must_use]
pub fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    #[test]
    fn prefixes_come_back_as_they_went() {
        for text in [
            "192.0.2.0/24",
            "192.0.2.1/32",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
        ] {
            let net: IpNet = text.parse().expect("a prefix");
            assert_eq!(canonical(prefix(net)), net, "{text}");
        }
    }

    #[test]
    fn a_source_of_ipv6_is_a_prefix() {
        let source = |text: &str| source_of(text.parse().expect("an address"), 64).to_string();
        assert_eq!(source("192.0.2.1"), "192.0.2.1/32");
        assert_eq!(source("::ffff:192.0.2.1"), "192.0.2.1/32");
        assert_eq!(source("2001:db8::1:2:3:4"), "2001:db8::/64");
    }
}
