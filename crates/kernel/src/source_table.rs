//! How large the table is in which the guard `inbound` remembers sources.

use std::{fs, io};

use crate::{
    InboundLimits, Pins,
    error::{Doing, KernelError},
};

/// The map.
pub(crate) const MAP: &str = "inbound_sources";
/// `INBOUND_WAYS`: so many sources share a bucket.
const WAYS: u32 = 8;
/// `struct inbound_bucket` of `bpf/inbound_layout.h`.
const BUCKET_BYTES: u64 = 1600;
/// So much of what is left of a machine's memory it may take: one part of so many.
const SHARE: u64 = 2;

/// The table's size. The kernel takes it from a hash's bits, so it is a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourceTable {
    buckets: u32,
}

impl Default for SourceTable {
    fn default() -> Self {
        Self::of(InboundLimits::DEFAULT.sources)
    }
}

impl SourceTable {
    /// With room for so many sources, or a few more.
    pub(crate) fn of(sources: u32) -> Self {
        let buckets = sources.div_ceil(WAYS).next_power_of_two();
        Self { buckets }
    }

    pub(crate) fn buckets(self) -> u32 {
        self.buckets
    }

    /// What it is called among the pins: tables of different sizes are different maps.
    pub(crate) fn pin(self) -> String {
        format!("{MAP}-{}", self.buckets)
    }

    /// Fails where the machine cannot well give what the table takes. One that is there already takes nothing more.
    pub(crate) fn require_memory(self, pins: &Pins) -> Result<(), KernelError> {
        if pins.map(&self.pin()).exists() {
            return Ok(());
        }
        let doing = || "read how much memory is available".to_owned();
        let text = fs::read_to_string("/proc/meminfo").doing(doing)?;
        let available = available(&text)
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
            .doing(doing)?;
        self.require_of(available)
    }

    fn require_of(self, available: u64) -> Result<(), KernelError> {
        const MIB: u64 = 1 << 20;
        let bytes = u64::from(self.buckets) * BUCKET_BYTES;
        if bytes <= available / SHARE {
            return Ok(());
        }
        Err(KernelError::TooManySources {
            sources: u64::from(self.buckets) * u64::from(WAYS),
            wanted: bytes / MIB,
            available: available / MIB,
        })
    }
}

/// Bytes that `/proc/meminfo` says can be had without swapping.
fn available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_size_is_a_power_of_two_with_room_for_all() {
        assert_eq!(SourceTable::default(), SourceTable::of(65_536));
        for (sources, buckets) in [
            (65_536, 8192),
            (1, 1),
            (8, 1),
            (9, 2),
            (65_537, 16_384),
            (4_194_304, 524_288),
        ] {
            assert_eq!(SourceTable::of(sources).buckets(), buckets, "{sources}");
        }
        let layout = include_str!("../bpf/inbound_layout.h");
        assert!(layout.contains("#define INBOUND_BUCKETS 8192 "));
        assert!(layout.contains(&format!("#define INBOUND_WAYS {WAYS}\n")));
    }

    #[test]
    fn more_than_the_machine_has_is_refused_with_what_would_do() {
        let table = SourceTable::of(65_536);
        table.require_of(27 << 20).expect("there is room");
        let refused = table.require_of(20 << 20).expect_err("too much");
        assert_eq!(
            refused.to_string(),
            "the table for 65536 sources takes 12 MiB, which is more than half of the 20 MiB that this machine has left: set `sources` of the guard inbound lower"
        );
    }

    #[test]
    fn available_memory_is_read_in_bytes() {
        let text = "MemTotal:       24607396 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(available(text), Some(23_000_000 * 1024));
        assert_eq!(available("MemFree: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: much\n"), None);
    }
}
