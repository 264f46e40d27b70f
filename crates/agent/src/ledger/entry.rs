//! What the ledger holds, and the lines by which its file says so.

use std::net::IpAddr;

use hayward_model::{BanOrigin, BanStrength, canonical};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A source, or a prefix of sources, of which nothing comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Who.
    pub net: IpNet,
    /// How it came to be.
    pub origin: BanOrigin,
    /// What is dropped.
    pub strength: BanStrength,
    /// Since when.
    pub made: Timestamp,
    /// Until when; none for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How often it was banned for scans and this, as far as is remembered.
    pub times: u32,
    /// Id of the record that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Ban {
    /// Whether it holds at a time.
    pub fn holds(&self, now: Timestamp) -> bool {
        holds(self.until, now)
    }

    /// Whether it lasts until then or longer; none is for ever.
    pub fn outlasts(&self, until: Option<Timestamp>) -> bool {
        match (self.until, until) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(other)) => own >= other,
        }
    }
}

/// Who is not banned, whatever is seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// Who.
    pub net: IpNet,
    /// Since when.
    pub made: Timestamp,
    /// Until when; none until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Allow {
    /// Whether it holds at a time.
    pub fn holds(&self, now: Timestamp) -> bool {
        holds(self.until, now)
    }
}

/// How often a source was banned for scans, and when the last of those bans is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Who.
    pub net: IpNet,
    /// How often.
    pub times: u32,
    /// The end of the last.
    pub until: Timestamp,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// Takes the place of an earlier one of the same prefix.
    Ban(Ban),
    /// A ban was ended by hand, and what led to it is forgotten.
    Lifted(IpNet),
    /// All were.
    Flushed(Timestamp),
    /// Takes the place of an earlier one of the same prefix.
    Allow(Allow),
    /// An allow was ended by hand.
    Disallow(IpNet),
    /// What is known of earlier bans.
    Past(Past),
}

fn holds(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// A prefix as the ledger knows it: IPv4 as such, and no bits past its length.
pub(crate) fn plain(net: IpNet) -> IpNet {
    match net.trunc() {
        IpNet::V6(net) => canonical(net),
        net => net,
    }
}

/// An address without its length; a prefix with it.
pub(crate) fn shown(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

/// Reads an address or a prefix.
///
/// # Errors
/// What is wrong, and what would be right.
pub fn parse_source(text: &str) -> Result<IpNet, String> {
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| {
        format!(
            "`{text}` is neither an address nor a prefix: write one such as 192.0.2.7, 198.51.100.0/24 or 2001:db8::/32"
        )
    })?;
    if net.trunc() != net {
        return Err(format!(
            "`{text}` has bits past its prefix: write {}, or the address alone where that is meant",
            net.trunc()
        ));
    }
    Ok(plain(net))
}
