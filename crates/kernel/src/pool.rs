//! The domains of pools, by which the guard `pool` goes. They are in force without an agent.

use std::collections::BTreeSet;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Pins,
    error::{Doing, KernelError},
};

/// `NAME_START` and `NAME_FACTOR` of `bpf/layout.h`.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x100_0000_01b3;

/// The pinned map.
#[derive(Debug)]
pub struct PoolDomains {
    map: MapHandle,
}

impl PoolDomains {
    /// Opens the map that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        let map = pins.open("pool_domains")?;
        Ok(Self { map })
    }

    /// Has these domains, in small letters, be those of pools, and no others. What was one before and still is, is so
    /// all the time.
    pub fn set<'a>(&self, domains: impl IntoIterator<Item = &'a str>) -> Result<(), KernelError> {
        let wanted: BTreeSet<Vec<u8>> = domains
            .into_iter()
            .map(|domain| hash(domain).to_ne_bytes().to_vec())
            .collect();
        let old: Vec<Vec<u8>> = self
            .map
            .keys()
            .filter(|key| !wanted.contains(key))
            .collect();
        for key in old {
            let deleted = self.map.delete(&key);
            deleted.doing(|| "remove the domain of a pool".to_owned())?;
        }
        for key in wanted {
            self.map
                .update(&key, &1u32.to_ne_bytes(), MapFlags::ANY)
                .doing(|| "write the domain of a pool".to_owned())?;
        }
        Ok(())
    }
}

/// As the programs do it.
pub(crate) fn hash(domain: &str) -> u64 {
    let put = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(FACTOR);
    domain.bytes().fold(START, put)
}
