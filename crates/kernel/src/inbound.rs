//! What the guard `inbound` knows of sources: who is banned, who never is, and what it goes by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use hayward_model::{BanStrength, canonical, prefix};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cell, Pins,
    cells::monotonic_ns,
    error::{Doing, KernelError},
};

/// `struct inbound_ban` of `bpf/inbound_layout.h`, and where in it is what.
const BAN_BYTES: usize = 32;
const DROPPED: usize = 8;
const STRENGTH: usize = 16;
const BY_KERNEL: usize = 20;
const SOFT: u32 = 1;
const FULL: u32 = 2;
const PROOF: u32 = 4;
/// Bits of a prefix that is one address.
const ADDRESS: u8 = 128;
/// `INBOUND_LENGTHS`: so many lengths of prefixes there may be of each family, beside that of one source.
const MOST_LENGTHS: usize = 32;
/// Where prefixes of IPv4 begin.
const MAPPED: u8 = 96;
/// A ban that has no end.
const FOREVER: u64 = u64::MAX;
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

/// A ban as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelBan {
    /// Who.
    pub net: IpNet,
    /// For how long it still holds; none for ever.
    pub remaining: Option<Duration>,
    /// What is dropped.
    pub strength: BanStrength,
    /// The kernel made it by itself.
    pub by_kernel: bool,
    /// Packets that were dropped by it.
    pub dropped: u64,
}

/// The bans that the kernel obeys.
#[derive(Debug)]
pub struct InboundBans {
    bans: MapHandle,
    lengths: MapHandle,
    /// How many there are of each family and length, but for single sources.
    counts: BTreeMap<(bool, u8), usize>,
    /// Bits of an IPv6 address that are a source.
    ipv6_prefix: u8,
}

impl InboundBans {
    /// Opens the maps that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins, ipv6_prefix: u8) -> Result<Self, KernelError> {
        let bans = pins.open("inbound_bans")?;
        Self::of(bans, pins.open("inbound_lengths")?, ipv6_prefix)
    }

    pub(crate) fn of(
        bans: MapHandle,
        lengths: MapHandle,
        ipv6_prefix: u8,
    ) -> Result<Self, KernelError> {
        let mut opened = Self {
            bans,
            lengths,
            counts: BTreeMap::new(),
            ipv6_prefix,
        };
        let all: Vec<_> = opened.bans.keys().filter_map(|key| net_of(&key)).collect();
        for net in all {
            if let Some(length) = opened.length(net) {
                *opened.counts.entry(length).or_default() += 1;
            }
        }
        opened.write_lengths()?;
        Ok(opened)
    }

    /// Bans a source or a prefix from now on, for so long; for ever with none. One that is banned already is banned anew.
    ///
    /// # Errors
    /// Where there are too many bans, or prefixes of too many lengths.
    pub fn put(
        &mut self,
        net: IpNet,
        time: Option<Duration>,
        strength: BanStrength,
    ) -> Result<(), KernelError> {
        let net = prefix(net);
        let is_new = self.lookup(net)?.is_none();
        if let Some(length) = self.length(net).filter(|_| is_new) {
            let lengths = self.counts.keys().filter(|other| other.0 == length.0);
            let lengths = lengths.count();
            if !self.counts.contains_key(&length) && lengths >= MOST_LENGTHS {
                return Err(KernelError::TooManyLengths { most: MOST_LENGTHS });
            }
            *self.counts.entry(length).or_default() += 1;
            self.write_lengths()?;
        }
        let until = time.map_or(FOREVER, |time| {
            let ns = u64::try_from(time.as_nanos()).unwrap_or(FOREVER);
            monotonic_ns().saturating_add(ns)
        });
        let dropped = self.lookup(net)?.map_or(0, |ban| ban.dropped);
        let mut value = [0; BAN_BYTES];
        value[..DROPPED].copy_from_slice(&until.to_ne_bytes());
        value[DROPPED..STRENGTH].copy_from_slice(&dropped.to_ne_bytes());
        let strength = match strength {
            _ if net == prefix(Proof::net()) => PROOF,
            BanStrength::Soft => SOFT,
            BanStrength::Full => FULL,
        };
        value[STRENGTH..BY_KERNEL].copy_from_slice(&strength.to_ne_bytes());
        let put = self.bans.update(&key(net), &value, MapFlags::ANY);
        put.doing(|| format!("ban {}", canonical(net)))
    }

    /// Bans a source or a prefix no more. Says whether it was banned.
    pub fn remove(&mut self, net: IpNet) -> Result<bool, KernelError> {
        let net = prefix(net);
        if self.lookup(net)?.is_none() {
            return Ok(false);
        }
        let removed = self.bans.delete(&key(net));
        removed.doing(|| format!("lift the ban of {}", canonical(net)))?;
        if let Some(length) = self.length(net) {
            let count = self.counts.entry(length).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&length);
                self.write_lengths()?;
            }
        }
        Ok(true)
    }

    /// The ban of just this source or prefix.
    pub fn get(&self, net: IpNet) -> Result<Option<KernelBan>, KernelError> {
        self.lookup(prefix(net))
    }

    /// All bans, with those that are over and were not removed yet.
    pub fn all(&self) -> Vec<KernelBan> {
        let keys = self.bans.keys();
        let bans = keys.filter_map(|key| {
            let value = self.bans.lookup(&key, MapFlags::ANY).ok()??;
            ban(net_of(&key)?, &value)
        });
        bans.collect()
    }

    fn lookup(&self, net: Ipv6Net) -> Result<Option<KernelBan>, KernelError> {
        let value = self.bans.lookup(&key(net), MapFlags::ANY);
        let value = value.doing(|| format!("look for the ban of {}", canonical(net)))?;
        Ok(value.and_then(|value| ban(net, &value)))
    }

    /// Whether it is of IPv4, and its length; none of what the kernel always looks for.
    fn length(&self, net: Ipv6Net) -> Option<(bool, u8)> {
        let is_ipv4 = net.addr().to_ipv4_mapped().is_some() && net.prefix_len() >= MAPPED;
        let source = if is_ipv4 { ADDRESS } else { self.ipv6_prefix };
        (net.prefix_len() != source).then_some((is_ipv4, net.prefix_len()))
    }

    /// `struct inbound_lengths`: how many of IPv4, how many of IPv6, and the lengths of each.
    fn write_lengths(&self) -> Result<(), KernelError> {
        let of = |ipv4: bool| {
            let lengths = self.counts.keys().filter(|length| length.0 == ipv4);
            lengths.map(|length| length.1).collect::<Vec<u8>>()
        };
        let (ipv4, ipv6) = (of(true), of(false));
        let count = |all: &[u8]| u32::try_from(all.len()).unwrap_or(0).to_ne_bytes();
        let mut value = [count(&ipv4), count(&ipv6)].concat();
        for lengths in [ipv4, ipv6] {
            let mut field = [0; MOST_LENGTHS];
            for (to, from) in field.iter_mut().zip(lengths) {
                *to = from;
            }
            value.extend(field);
        }
        let written = self
            .lengths
            .update(&0_u32.to_ne_bytes(), &value, MapFlags::ANY);
        written.doing(|| "write which lengths banned prefixes have".to_owned())
    }
}

/// A ban for a moment, of an address that no packet comes from (RFC 6890: `0.0.0.0/8` is this network's own), by which the programs
/// show that they work.
pub(crate) struct Proof {
    bans: InboundBans,
}

impl Proof {
    const BANNED: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 2);

    pub(crate) fn begin(pins: &Pins) -> Result<Self, KernelError> {
        let mut bans = InboundBans::open(pins, ADDRESS)?;
        let minute = Some(Duration::from_secs(60));
        bans.put(Self::net(), minute, BanStrength::Full)?;
        Ok(Self { bans })
    }

    fn net() -> IpNet {
        IpNet::V4(Self::BANNED.into())
    }

    /// A segment of TCP within a connection, in a frame.
    pub(crate) fn frame(&self, of_banned: bool) -> Vec<u8> {
        const ACK: u8 = 0x10;
        let from = if of_banned { Self::BANNED } else { Self::OTHER };
        let mut frame = [[0; 12].as_slice(), &[0x08, 0x00]].concat();
        frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend(from.octets());
        frame.extend([0, 0, 0, 3]);
        frame.extend([0; 12]);
        frame.extend([0x50, ACK, 0, 0, 0, 0, 0, 0]);
        frame
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        // It ends by itself too.
        let _ = self.bans.remove(Self::net());
    }
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

/// `struct inbound_ban_key`.
fn key(net: Ipv6Net) -> Vec<u8> {
    let mut bytes = net.network().octets().to_vec();
    bytes.extend(u32::from(net.prefix_len()).to_ne_bytes());
    bytes
}

fn net_of(key: &[u8]) -> Option<Ipv6Net> {
    let address: [u8; 16] = key.get(..16)?.try_into().ok()?;
    let length = u32::from_ne_bytes(key.get(16..20)?.try_into().ok()?);
    Ipv6Net::new(address.into(), u8::try_from(length).ok()?).ok()
}

/// `struct inbound_prefix`.
fn trie_key(net: Ipv6Net) -> Vec<u8> {
    let mut bytes = u32::from(net.prefix_len()).to_ne_bytes().to_vec();
    bytes.extend(net.network().octets());
    bytes
}

fn ban(net: Ipv6Net, value: &[u8]) -> Option<KernelBan> {
    let long = |at: usize| Some(u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(value.get(at..at + 4)?.try_into().ok()?));
    let until = long(0)?;
    let left = Duration::from_nanos(until.saturating_sub(monotonic_ns()));
    Some(KernelBan {
        net: canonical(net),
        remaining: (until != FOREVER).then_some(left),
        strength: if word(STRENGTH)? == FULL {
            BanStrength::Full
        } else {
            BanStrength::Soft
        },
        by_kernel: word(BY_KERNEL)? != 0,
        dropped: long(DROPPED)?,
    })
}
