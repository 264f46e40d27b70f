//! Who is banned, as the kernel has it.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use hayward_model::{BanStrength, canonical, prefix};
use ipnet::{IpNet, Ipv6Net};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Pins,
    cells::monotonic_ns,
    error::{Doing, KernelError},
    inbound_proof::Proof,
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
/// `struct inbound_ban_key_ipv4`.
const IPV4_KEY: usize = 8;
/// Where prefixes of IPv4 begin.
const MAPPED: u8 = 96;
/// A ban that has no end.
const FOREVER: u64 = u64::MAX;

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
    ipv4: MapHandle,
    ipv6: MapHandle,
    lengths: MapHandle,
    /// How many there are of each family and length, but for single sources.
    counts: BTreeMap<(bool, u8), usize>,
    /// Bits of an IPv6 address that are a source.
    ipv6_prefix: u8,
}

impl InboundBans {
    /// Opens the maps that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins, ipv6_prefix: u8) -> Result<Self, KernelError> {
        Self::of(|map| pins.open(map), ipv6_prefix)
    }

    pub(crate) fn of(
        open: impl Fn(&str) -> Result<MapHandle, KernelError>,
        ipv6_prefix: u8,
    ) -> Result<Self, KernelError> {
        let mut opened = Self {
            ipv4: open("inbound_bans_ipv4")?,
            ipv6: open("inbound_bans_ipv6")?,
            lengths: open("inbound_lengths")?,
            counts: BTreeMap::new(),
            ipv6_prefix,
        };
        for net in opened.nets() {
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
        let former = self.lookup(net)?;
        if let Some(length) = self.length(net).filter(|_| former.is_none()) {
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
        let dropped = former.map_or(0, |ban| ban.dropped);
        let mut value = [0; BAN_BYTES];
        value[..DROPPED].copy_from_slice(&until.to_ne_bytes());
        value[DROPPED..STRENGTH].copy_from_slice(&dropped.to_ne_bytes());
        let strength = match strength {
            _ if net == prefix(Proof::net()) => PROOF,
            BanStrength::Soft => SOFT,
            BanStrength::Full => FULL,
        };
        value[STRENGTH..BY_KERNEL].copy_from_slice(&strength.to_ne_bytes());
        let put = self.map(net).update(&key(net), &value, MapFlags::ANY);
        put.doing(|| format!("ban {}", canonical(net)))
    }

    /// Bans a source or a prefix no more. Says whether it was banned.
    pub fn remove(&mut self, net: IpNet) -> Result<bool, KernelError> {
        let net = prefix(net);
        if self.lookup(net)?.is_none() {
            return Ok(false);
        }
        let removed = self.map(net).delete(&key(net));
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
        let nets = self.nets().into_iter();
        nets.filter_map(|net| self.lookup(net).ok()?).collect()
    }

    fn nets(&self) -> Vec<Ipv6Net> {
        let keys = self.ipv4.keys().chain(self.ipv6.keys());
        keys.filter_map(|key| net_of(&key)).collect()
    }

    /// The map that it is in.
    fn map(&self, net: Ipv6Net) -> &MapHandle {
        if is_ipv4(net) { &self.ipv4 } else { &self.ipv6 }
    }

    fn lookup(&self, net: Ipv6Net) -> Result<Option<KernelBan>, KernelError> {
        let value = self.map(net).lookup(&key(net), MapFlags::ANY);
        let value = value.doing(|| format!("look for the ban of {}", canonical(net)))?;
        Ok(value.and_then(|value| ban(net, &value)))
    }

    /// Whether it is of IPv4, and its length; none of what the kernel always looks for.
    fn length(&self, net: Ipv6Net) -> Option<(bool, u8)> {
        let source = if is_ipv4(net) {
            ADDRESS
        } else {
            self.ipv6_prefix
        };
        (net.prefix_len() != source).then_some((is_ipv4(net), net.prefix_len()))
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

/// `struct inbound_ban_key_ipv4`, or `struct inbound_ban_key`.
fn key(net: Ipv6Net) -> Vec<u8> {
    let octets = net.network().octets();
    let length = u32::from(net.prefix_len());
    if is_ipv4(net) {
        [octets[12..].to_vec(), length.to_ne_bytes().to_vec()].concat()
    } else {
        [octets.to_vec(), [length.to_ne_bytes(), [0; 4]].concat()].concat()
    }
}

fn net_of(key: &[u8]) -> Option<Ipv6Net> {
    let (octets, length) = key.split_at_checked(if key.len() == IPV4_KEY { 4 } else { 16 })?;
    let address = match <[u8; 4]>::try_from(octets) {
        Ok(ipv4) => Ipv4Addr::from(ipv4).to_ipv6_mapped(),
        Err(_) => <[u8; 16]>::try_from(octets).ok()?.into(),
    };
    let length = u32::from_ne_bytes(length.get(..4)?.try_into().ok()?);
    Ipv6Net::new(address, u8::try_from(length).ok()?).ok()
}

/// Whether it is a prefix of IPv4.
fn is_ipv4(net: Ipv6Net) -> bool {
    net.addr().to_ipv4_mapped().is_some() && net.prefix_len() >= MAPPED
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
