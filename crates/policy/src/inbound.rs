//! What settings say of port scans against this host.

use std::time::Duration;

use hayward_model::Mode;
use ipnet::IpNet;
use serde::Deserialize;

use crate::Output;

/// The `inbound` guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// Where it looks.
    pub interfaces: Vec<InterfaceSelector>,
    /// By what it sees packets, and drops them.
    pub attach: Attach,
    /// Of a source's first contacts, how many may fail, whatever was answered.
    pub failures: u32,
    /// To so many ports a source may send SYN, whatever comes of it; none unless a profile says so.
    pub ports: Option<PortLimit>,
    /// For how long a source is remembered of which nothing more is heard.
    pub memory: Duration,
    /// For how long a source is banned that is known to exist, the first time; twice as long each further time.
    pub ban: Duration,
    /// The longest that it comes to.
    pub longest_ban: Duration,
    /// For how long another source makes no first contact.
    pub soft_ban: Duration,
    /// So many sources are remembered, or a few more.
    pub sources: u32,
    /// Bans that there may be.
    pub most_bans: u32,
    /// Bans for what was seen, in a minute.
    pub ban_rate: u32,
    /// Bits of an IPv6 address that tell sources apart: 64 or 128.
    pub ipv6_prefix: u8,
    /// Who is never banned.
    pub never: Vec<IpNet>,
    /// Private addresses may be banned too.
    pub ban_private: bool,
    /// A ban cuts what this host opened too.
    pub cut_replies: bool,
    /// Sets of the operator's own firewall, into which bans are entered.
    pub outputs: Vec<Output>,
}

/// Interfaces by what they are called, or that of the default route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceSelector {
    /// Those through which the default routes lead.
    DefaultRoute,
    /// A name, in which `*` stands for anything and `?` for one character.
    Name(String),
}

impl InterfaceSelector {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        /// The kernel's `IFNAMSIZ`, less one for its end.
        const LONGEST: usize = 15;
        let is_bad = |it: char| it == '/' || it.is_whitespace() || it.is_control();
        match text {
            "default" => Ok(Self::DefaultRoute),
            name if name.is_empty() || name.len() > LONGEST || name.chars().any(is_bad) => {
                Err(format!(
                    "`{name}` is no name of an interface; write one such as eth0, a glob such as \"en*\", or default for that of the default route"
                ))
            }
            "lo" => {
                Err("`lo` is not looked at: what arrives there is of this host itself".to_owned())
            }
            name => Ok(Self::Name(name.to_owned())),
        }
    }

    /// Whether it means an interface.
    pub fn selects(&self, name: &str, has_default_route: bool) -> bool {
        match self {
            Self::DefaultRoute => has_default_route,
            Self::Name(pattern) => name != "lo" && matches(pattern.as_bytes(), name.as_bytes()),
        }
    }

    /// Whether it means an interface of just this name.
    pub fn exact(&self) -> Option<&str> {
        match self {
            Self::Name(name) if !name.contains(['*', '?']) => Some(name),
            _ => None,
        }
    }
}

impl std::fmt::Display for InterfaceSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DefaultRoute => "default",
            Self::Name(name) => name,
        })
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|at| matches(rest, &name[at..])),
        (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
        (Some((one, rest)), Some((other, name))) => one == other && matches(rest, name),
        _ => false,
    }
}

/// By what packets are seen and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// `tc`; where that is impossible, `nftables`.
    Auto,
    /// XDP in the driver. Attaching it may interrupt a link for a moment.
    Native,
    /// XDP before the network stack, with any driver.
    Generic,
    /// A classifier at the interface.
    Tc,
    /// A table of nftables, which blocks and sees nothing.
    Nftables,
}

impl Attach {
    /// As settings spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
            Self::Nftables => "nftables",
        }
    }
}

/// Whose way of telling scanners is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InboundProfile {
    /// That of scanblocker: a limit on distinct ports.
    Scanblocker,
}

/// To how many distinct ports of this host one source may send SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortLimit {
    /// One more is too many.
    pub ports: u32,
    /// Within so much time.
    pub within: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_named_by_name_by_glob_or_by_the_default_route() {
        for (text, name, default, expected) in [
            ("eth0", "eth0", false, true),
            ("eth0", "eth01", false, false),
            ("en*", "enp3s0", false, true),
            ("e*0", "enp3s0", false, true),
            ("e*0", "enp3s1", false, false),
            ("eth?", "eth0", false, true),
            ("eth?", "eth", false, false),
            ("*", "lo", true, false),
            ("default", "ppp0", true, true),
            ("default", "ppp0", false, false),
        ] {
            let selector = InterfaceSelector::parse(text).expect(text);
            assert_eq!(selector.selects(name, default), expected, "{text} {name}");
        }
        for bad in ["", "lo", "a/b", "a b", "sixteen-letters-"] {
            InterfaceSelector::parse(bad).expect_err(bad);
        }
    }
}
