//! What the guard `inbound` goes by, and who is never banned.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hayward_model::prefix;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cell, Pins,
    error::{Doing, KernelError},
};

/// Flags of `CELL_INBOUND_FLAGS`.
const FLAG_ENFORCE: u64 = 1;
const FLAG_CUT_REPLIES: u64 = 2;
const FLAG_LOG: u64 = 4;

/// What settings say of who scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboundLimits {
    /// Scanners are banned; else they are only told.
    pub enforce: bool,
    /// A ban cuts what this host opened too.
    pub cut_replies: bool,
    /// First contacts are handed out by [`crate::Kernel::inbound_contacts`].
    pub log: bool,
    /// Of a source's first contacts, how many may fail, whatever was answered.
    pub failures: u32,
    /// To how many ports a source may send SYN within `within`; 0: to any number.
    pub ports: u32,
    /// See there.
    pub within: Duration,
    /// For how long a source is remembered of which nothing more is heard.
    pub memory: Duration,
    /// For how long the kernel bans a source that is known to exist.
    pub ban: Duration,
    /// For how long another makes no first contact.
    pub soft_ban: Duration,
    /// Bits of an IPv6 address that tell sources apart.
    pub ipv6_prefix: u8,
    /// Bans that the kernel makes in a minute.
    pub ban_rate: u32,
    /// Bans that there may be.
    pub most_bans: u32,
    /// Sources that are remembered, while the programs stay loaded.
    pub sources: u32,
}

impl InboundLimits {
    /// What holds where settings say nothing.
    pub const DEFAULT: Self = Self {
        enforce: true,
        cut_replies: false,
        log: false,
        failures: 20,
        ports: 0,
        within: Duration::from_secs(60),
        memory: Duration::from_secs(24 * 3600),
        ban: Duration::from_secs(3600),
        soft_ban: Duration::from_secs(60),
        ipv6_prefix: 64,
        ban_rate: 600,
        most_bans: 262_144,
        sources: 65_536,
    };

    /// The cells that say so.
    pub(crate) fn cells(&self) -> [(Cell, u64); 10] {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let flags = flag(self.enforce, FLAG_ENFORCE)
            | flag(self.cut_replies, FLAG_CUT_REPLIES)
            | flag(self.log, FLAG_LOG);
        [
            (Cell::InboundFlags, flags),
            (Cell::InboundFailures, self.failures.into()),
            (Cell::InboundPorts, self.ports.into()),
            (Cell::InboundWithin, ns(self.within)),
            (Cell::InboundMemory, ns(self.memory)),
            (Cell::InboundBan, ns(self.ban)),
            (Cell::InboundSoftBan, ns(self.soft_ban)),
            (Cell::InboundPrefix, self.ipv6_prefix.into()),
            (Cell::InboundBanRate, self.ban_rate.into()),
            (Cell::InboundMostBans, self.most_bans.into()),
        ]
    }
}

/// By what an interface's packets are seen and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// XDP in the driver.
    Native,
    /// XDP with any driver.
    Generic,
    /// A classifier.
    Tc,
}

/// Who is never banned.
#[derive(Debug)]
pub struct InboundNever {
    pub(crate) map: MapHandle,
}

impl InboundNever {
    /// Opens the map that an agent has pinned.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        let map = pins.open("inbound_never")?;
        Ok(Self { map })
    }

    /// Makes these the ones that the kernel never bans. Bans that there are already stay.
    pub fn set(&self, nets: &BTreeSet<IpNet>) -> Result<(), KernelError> {
        let doing = || "write who is never banned".to_owned();
        // A short prefix of IPv6 does not mean all of IPv4, which lies within it here.
        let ipv4 = Ipv4Net::default().into();
        let mut wanted = BTreeMap::from([(trie_key(prefix(ipv4)), 0)]);
        wanted.extend(nets.iter().map(|net| (trie_key(prefix(*net)), 1)));
        for (key, value) in &wanted {
            self.map
                .update(key, &[*value], MapFlags::ANY)
                .doing(doing)?;
        }
        let there: Vec<Vec<u8>> = self.map.keys().collect();
        for key in there.iter().filter(|key| !wanted.contains_key(*key)) {
            self.map.delete(key).doing(doing)?;
        }
        Ok(())
    }
}

/// `struct inbound_prefix`.
fn trie_key(net: Ipv6Net) -> Vec<u8> {
    let mut bytes = u32::from(net.prefix_len()).to_ne_bytes().to_vec();
    bytes.extend(net.network().octets());
    bytes
}
