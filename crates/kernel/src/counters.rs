//! The kernel's counters, summed over processors. They go on while the agent is down.

use libbpf_rs::{MapCore, MapFlags};

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
    /// Threads in scope that were interrupted in user mode, so that it could be seen where they round to.
    pub rounding_samples: u64,
    /// Of those, threads that had been seen rounding in another way than to nearest.
    pub rounding_suspect: u64,
    /// Events generated about them: sent and lost.
    pub rounding_events: u64,
    /// Events about them for which the ring had no room.
    pub rounding_lost: u64,
    /// Threads of which nothing could be kept.
    pub rounding_no_room: u64,
    /// How often the sensor was called: most threads that are switched out wait for something.
    pub rounding_calls: u64,
    /// Connects, sends and packets in scope that the guard `egress` judged.
    pub egress_checked: u64,
    /// Of those, refused.
    pub egress_denied: u64,
    /// Would have been refused, and were not, by `observe`.
    pub egress_observed: u64,
    /// Of these, because the lease had run out.
    pub egress_lease_expired: u64,
    /// Events generated about them: sent and lost.
    pub egress_events: u64,
    /// Events about them for which the ring had no room.
    pub egress_lost: u64,
    /// Cgroups that found no room in the map of grants.
    pub egress_grants_full: u64,
    /// First contacts in scope that the guard `outbound` let through.
    pub outbound_contacts: u64,
    /// Connects, sends and packets that it refused, of whoever scans.
    pub outbound_denied: u64,
    /// Would have been refused, and were not, by `observe`.
    pub outbound_observed: u64,
    /// Packets that it dropped since too many contacts waited for an answer, or came at once.
    pub outbound_paced: u64,
    /// Refusals that were not, because the lease had run out.
    pub outbound_lease_expired: u64,
    /// Events generated about who scans: sent and lost.
    pub outbound_events: u64,
    /// Events about them for which the ring had no room.
    pub outbound_lost: u64,
    /// Workloads of which nothing could be kept.
    pub outbound_no_room: u64,
    /// New cgroups that the agent was to be told of, and was not: it finds them when it looks at all of them.
    pub cgroups_untold: u64,
    /// Packets in scope that the guard `pool` looked into.
    pub pool_checked: u64,
    /// Of those and of what followed on the same connections, refused.
    pub pool_denied: u64,
    /// Connections that would have been refused, and were not, by `observe`.
    pub pool_observed: u64,
    /// Of these, because the lease had run out.
    pub pool_lease_expired: u64,
    /// Events generated about them: sent and lost.
    pub pool_events: u64,
    /// Events about them for which the ring had no room.
    pub pool_lost: u64,
    /// Connections of which nothing could be kept.
    pub pool_no_room: u64,
    /// First contacts that were handed to the agent for its log: sent and lost.
    pub outbound_logged: u64,
    /// Of those, for which the ring had no room.
    pub outbound_log_lost: u64,
    /// Addresses that became known by a name that is allowed.
    pub egress_learnt: u64,
    /// Of those, what found no room.
    pub egress_learnt_full: u64,
    /// Sockets of no type that were asked for, as BPF LSM tells: so it is seen whether it does.
    pub outbound_asked: u64,
    /// First contacts with this host that the guard `inbound` counted.
    pub inbound_contacts: u64,
    /// Packets of banned sources that it dropped, and probes.
    pub inbound_dropped: u64,
    /// Bans that the kernel made by itself.
    pub inbound_bans: u64,
    /// Bans that it did not make, since there were too many, or too many of late.
    pub inbound_no_room: u64,
    /// Sources that were forgotten, for others to have room.
    pub inbound_evicted: u64,
    /// Events generated about who scans: sent and lost.
    pub inbound_events: u64,
    /// Events about them for which the ring had no room.
    pub inbound_lost: u64,
    /// First contacts for which the log's ring had no room.
    pub inbound_log_lost: u64,
}

/// What the `randomx` guard's sensor saw on one processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundingCounts {
    /// Threads in scope that were interrupted in user mode.
    pub samples: u64,
    /// Of those, threads that had been seen rounding in another way than to nearest.
    pub suspect: u64,
    /// How often the sensor was called.
    pub calls: u64,
}

/// Names of the counters, in their order.
const NAMES: [&str; 58] = [
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
    "rounding_samples",
    "rounding_suspect",
    "rounding_events",
    "rounding_lost",
    "rounding_no_room",
    "rounding_calls",
    "egress_checked",
    "egress_denied",
    "egress_observed",
    "egress_lease_expired",
    "egress_events",
    "egress_lost",
    "egress_grants_full",
    "outbound_contacts",
    "outbound_denied",
    "outbound_observed",
    "outbound_paced",
    "outbound_lease_expired",
    "outbound_events",
    "outbound_lost",
    "outbound_no_room",
    "cgroups_untold",
    "pool_checked",
    "pool_denied",
    "pool_observed",
    "pool_lease_expired",
    "pool_events",
    "pool_lost",
    "pool_no_room",
    "outbound_logged",
    "outbound_log_lost",
    "egress_learnt",
    "egress_learnt_full",
    "outbound_asked",
    "inbound_contacts",
    "inbound_dropped",
    "inbound_bans",
    "inbound_no_room",
    "inbound_evicted",
    "inbound_events",
    "inbound_lost",
    "inbound_log_lost",
];

impl Counters {
    /// Reads the counters that an agent has pinned.
    pub fn read(pins: &Pins) -> Result<Self, KernelError> {
        let map = pins.open("counters")?;
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
        for (index, total) in totals.in_order().into_iter().enumerate() {
            *total = by_processor(map, index)?.into_iter().sum();
        }
        Ok(totals)
    }

    /// What was seen of rounding on each processor.
    pub(crate) fn rounding_by_processor(
        map: &impl MapCore,
    ) -> Result<Vec<RoundingCounts>, KernelError> {
        let of = |wanted| {
            let index = NAMES.iter().position(|name| *name == wanted);
            by_processor(map, index.unwrap_or(usize::MAX))
        };
        let suspects = of("rounding_suspect")?.into_iter();
        let calls = of("rounding_calls")?.into_iter();
        let counts = of("rounding_samples")?.into_iter().zip(suspects).zip(calls);
        let counts = counts.map(|((samples, suspect), calls)| RoundingCounts {
            samples,
            suspect,
            calls,
        });
        Ok(counts.collect())
    }

    /// The order of `enum counter` in `bpf/layout.h`.
    fn in_order(&mut self) -> [&mut u64; 58] {
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
            &mut self.rounding_samples,
            &mut self.rounding_suspect,
            &mut self.rounding_events,
            &mut self.rounding_lost,
            &mut self.rounding_no_room,
            &mut self.rounding_calls,
            &mut self.egress_checked,
            &mut self.egress_denied,
            &mut self.egress_observed,
            &mut self.egress_lease_expired,
            &mut self.egress_events,
            &mut self.egress_lost,
            &mut self.egress_grants_full,
            &mut self.outbound_contacts,
            &mut self.outbound_denied,
            &mut self.outbound_observed,
            &mut self.outbound_paced,
            &mut self.outbound_lease_expired,
            &mut self.outbound_events,
            &mut self.outbound_lost,
            &mut self.outbound_no_room,
            &mut self.cgroups_untold,
            &mut self.pool_checked,
            &mut self.pool_denied,
            &mut self.pool_observed,
            &mut self.pool_lease_expired,
            &mut self.pool_events,
            &mut self.pool_lost,
            &mut self.pool_no_room,
            &mut self.outbound_logged,
            &mut self.outbound_log_lost,
            &mut self.egress_learnt,
            &mut self.egress_learnt_full,
            &mut self.outbound_asked,
            &mut self.inbound_contacts,
            &mut self.inbound_dropped,
            &mut self.inbound_bans,
            &mut self.inbound_no_room,
            &mut self.inbound_evicted,
            &mut self.inbound_events,
            &mut self.inbound_lost,
            &mut self.inbound_log_lost,
        ]
    }
}

/// One counter on each processor.
pub(crate) fn by_processor(map: &impl MapCore, index: usize) -> Result<Vec<u64>, KernelError> {
    let key = u32::try_from(index).unwrap_or(u32::MAX);
    let values = map
        .lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY)
        .doing(|| "read the kernel's counters".to_owned())?
        .unwrap_or_default();
    let values = values.into_iter();
    let values = values.map(|bytes| bytes.try_into().map_or(0, u64::from_ne_bytes));
    Ok(values.collect())
}
