//! The kernel's counters, summed over processors. They go on while the agent is down.

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Pins,
    error::{Doing, KernelError},
};

/// Totals since the maps were first pinned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Program starts in scope that were judged.
    pub checked: u64,
    /// Program starts out of scope.
    pub out_of_scope: u64,
    /// Program starts in scope while the guard was off.
    pub off: u64,
    /// Killed before the first instruction.
    pub killed: u64,
    /// The kernel refused to send the signal.
    pub kill_failed: u64,
    /// Matched and spared by `observe`.
    pub observed: u64,
    /// Matched and spared by an allow pattern.
    pub spared: u64,
    /// Too long to be judged in the kernel.
    pub unscanned_long: u64,
    /// Unreadable in the kernel.
    pub unscanned_read: u64,
    /// Only observed because the lease had run out.
    pub lease_expired: u64,
    /// Events generated: sent and lost.
    pub events: u64,
    /// Events for which the ring had no room.
    pub lost_ring_full: u64,
    /// Cgroups that found no room in the scope map.
    pub scopes_full: u64,
    /// Program starts in scope while no table was in place.
    pub no_table: u64,
    /// Judgements that were timed.
    pub timed: u64,
    /// How long those took together, in ns.
    pub timed_ns: u64,
}

/// Names of the counters, in their order.
const NAMES: [&str; 16] = [
    "checked",
    "out_of_scope",
    "off",
    "killed",
    "kill_failed",
    "observed",
    "spared",
    "unscanned_long",
    "unscanned_read",
    "lease_expired",
    "events",
    "lost_ring_full",
    "scopes_full",
    "no_table",
    "timed",
    "timed_ns",
];

impl Counters {
    /// Reads the counters that an agent has pinned.
    pub fn read(pins: &Pins) -> Result<Self, KernelError> {
        let path = pins.map("counters");
        let map = MapHandle::from_pinned_path(&path)
            .doing(|| format!("open the pinned map {}", path.display()))?;
        Self::from_map(&map)
    }

    /// The totals by name, as `status` shows them.
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut copy = *self;
        let values = copy.in_order().map(|value| *value);
        NAMES.into_iter().zip(values)
    }

    pub(crate) fn from_map(map: &impl MapCore) -> Result<Self, KernelError> {
        let mut totals = Self::default();
        for (key, total) in totals.in_order().into_iter().enumerate() {
            let key = u32::try_from(key).unwrap_or(u32::MAX);
            let values = map
                .lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY)
                .doing(|| "read the kernel's counters".to_owned())?
                .unwrap_or_default();
            *total = values
                .into_iter()
                .filter_map(|bytes| bytes.try_into().ok().map(u64::from_ne_bytes))
                .sum();
        }
        Ok(totals)
    }

    /// The order of `enum counter` in `bpf/layout.h`.
    fn in_order(&mut self) -> [&mut u64; 16] {
        [
            &mut self.checked,
            &mut self.out_of_scope,
            &mut self.off,
            &mut self.killed,
            &mut self.kill_failed,
            &mut self.observed,
            &mut self.spared,
            &mut self.unscanned_long,
            &mut self.unscanned_read,
            &mut self.lease_expired,
            &mut self.events,
            &mut self.lost_ring_full,
            &mut self.scopes_full,
            &mut self.no_table,
            &mut self.timed,
            &mut self.timed_ns,
        ]
    }
}
