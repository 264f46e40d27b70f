//! What nobody may reach, by lists that others publish, and how often each list refused something.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cells, Pins,
    counters::by_processor,
    error::{Doing, KernelError},
};

/// The pinned maps.
#[derive(Debug)]
pub struct BanMap {
    bans: MapHandle,
    counts: MapHandle,
    cells: Cells,
}

impl BanMap {
    /// Opens the maps that an agent has pinned.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        Ok(Self {
            bans: pins.open("egress_bans")?,
            counts: pins.open("egress_ban_counts")?,
            cells: Cells::open(pins)?,
        })
    }

    /// Has the map say this and nothing else: by prefix the number of the list that bans it, or none for an exception. What
    /// is in both is there all the while.
    pub fn replace(&self, wanted: &BTreeMap<Ipv6Net, Option<u8>>) -> Result<(), KernelError> {
        let old: Vec<Vec<u8>> = self.bans.keys().collect();
        for key in old {
            if !prefix(&key).is_some_and(|prefix| wanted.contains_key(&prefix)) {
                let deleted = self.bans.delete(&key);
                deleted.doing(|| "remove a ban".to_owned())?;
            }
        }
        for (prefix, list) in wanted {
            let number = list.map_or(0, |list| u32::from(list) + 1);
            self.bans
                .update(&key(*prefix), &number.to_ne_bytes(), MapFlags::ANY)
                .doing(|| format!("ban {prefix}"))?;
        }
        self.cells.egress_changed()
    }

    /// What a list has refused, on all processors together.
    pub fn refused(&self, list: u8) -> Result<u64, KernelError> {
        let counts = by_processor(&self.counts, usize::from(list))?;
        Ok(counts.into_iter().sum())
    }

    /// Counts from nothing again: the number is another list's now.
    pub fn forget(&self, list: u8) -> Result<(), KernelError> {
        let doing = || "count what a ban list refuses".to_owned();
        let key = u32::from(list).to_ne_bytes();
        let processors = libbpf_rs::num_possible_cpus().doing(doing)?;
        self.counts
            .update_percpu(&key, &vec![vec![0; 8]; processors], MapFlags::ANY)
            .doing(doing)
    }
}

/// `struct egress_ban_key`.
fn key(prefix: Ipv6Net) -> Vec<u8> {
    let mut bytes = u32::from(prefix.prefix_len()).to_ne_bytes().to_vec();
    bytes.extend(prefix.addr().octets());
    bytes
}

fn prefix(key: &[u8]) -> Option<Ipv6Net> {
    let bits = u32::from_ne_bytes(key.get(..4)?.try_into().ok()?);
    let address: [u8; 16] = key.get(4..20)?.try_into().ok()?;
    Ipv6Net::new(address.into(), u8::try_from(bits).ok()?).ok()
}
