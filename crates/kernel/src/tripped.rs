//! Rules that the kernel only observes for a while, whatever their mode says: the breaker's map, which works without an
//! agent.

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{Pins, error::Doing, error::KernelError};

/// The pinned map.
#[derive(Debug)]
pub struct Tripped {
    map: MapHandle,
}

impl Tripped {
    /// Opens the map that an agent has pinned.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        let map = pins.open("tripped")?;
        Ok(Self { map })
    }

    /// From the next program start on, this rule of the table of this generation is observed, until that time
    /// (CLOCK_BOOTTIME in ns).
    pub fn trip(&self, generation: u32, rule: u32, until: u64) -> Result<(), KernelError> {
        self.map
            .update(&key(generation, rule), &until.to_ne_bytes(), MapFlags::ANY)
            .doing(|| "trip the breaker of a rule".to_owned())
    }

    /// Puts all rules in force again but those of one generation.
    pub fn keep(&self, generation: u32) -> Result<(), KernelError> {
        self.remove(|of, _| of != generation)
    }

    /// Puts one rule in force again.
    pub fn reset(&self, generation: u32, rule: u32) -> Result<(), KernelError> {
        self.remove(|of, place| (of, place) == (generation, rule))
    }

    fn remove(&self, is_over: impl Fn(u32, u32) -> bool) -> Result<(), KernelError> {
        let keys: Vec<Vec<u8>> = self.map.keys().collect();
        for key in keys {
            let Ok(bytes) = <[u8; 8]>::try_from(key.as_slice()) else {
                continue;
            };
            let number = u64::from_ne_bytes(bytes);
            let (generation, rule) = (high(number), high(number << 32));
            if is_over(generation, rule) {
                self.map
                    .delete(&key)
                    .doing(|| "put a rule in force again".to_owned())?;
            }
        }
        Ok(())
    }
}

fn key(generation: u32, rule: u32) -> [u8; 8] {
    (u64::from(generation) << 32 | u64::from(rule)).to_ne_bytes()
}

/// The upper half.
fn high(number: u64) -> u32 {
    u32::try_from(number >> 32).unwrap_or(u32::MAX)
}
