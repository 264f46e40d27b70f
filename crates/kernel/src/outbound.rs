//! What the guard `outbound` knows of workloads, and what it goes by.

use std::{ops::Range, time::Duration};

use hayward_model::{Destination, Guard};
use ipnet::Ipv6Net;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cell, Kernel, Pins, boot_ns,
    error::{Doing, KernelError},
    wire,
};

/// Bytes of `struct outbound_state`, and where in it stands what the agent reads or writes.
const STATE_BYTES: usize = 192;
const BLOCKED_UNTIL: usize = 8;
const UNANSWERED: Range<usize> = 40..56;
const REASON: usize = 100;
/// `OUTBOUND_PROOF`.
const PROOF: u32 = 3;
/// Bytes of `struct outbound_target` and of `struct outbound_contact`, and the states in the latter.
const TARGET_BYTES: usize = 32;
const CONTACT_STATE: usize = 8;
const CONTACT_ANSWERED: u32 = 1;

/// Entries of a map that are looked at, twice as many as there is room for: where the last one was pushed out meanwhile, the
/// kernel begins again.
const MOST_LOOKED_AT: usize = 131_072;

/// What settings say of first contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundLimits {
    /// Of a workload, how many may wait for an answer at a time; half of them while nobody answers.
    pub in_flight: u32,
    /// How many may fail within `per`.
    pub failed: u32,
    /// See there.
    pub per: Duration,
    /// How many there may be in a minute.
    pub rate: u32,
    /// For how long whoever scans makes none.
    pub block: Duration,
    /// Neither packet nor raw sockets are made, and no frame of the former leaves a network of a workload's own, whatever it is.
    pub deny_packet_sockets: bool,
    /// First contacts are handed out by [`crate::Kernel::contacts`].
    pub log: bool,
    /// To how many different public addresses and ports a process may connect within `lookback`; 0: to any number.
    pub unique: u32,
    /// See there.
    pub lookback: Duration,
}

impl OutboundLimits {
    /// What holds where settings say nothing, without the log.
    pub const DEFAULT: Self = Self {
        in_flight: 128,
        failed: 100,
        per: Duration::from_secs(600),
        rate: 1_000,
        block: Duration::from_secs(600),
        deny_packet_sockets: false,
        log: false,
        unique: 0,
        lookback: Duration::ZERO,
    };
}

/// The cells that say so.
pub(crate) fn cells(limits: &OutboundLimits) -> [(Cell, u64); 9] {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    [
        (Cell::OutboundInFlight, limits.in_flight.into()),
        (Cell::OutboundFailed, limits.failed.into()),
        (Cell::OutboundPer, ns(limits.per)),
        (Cell::OutboundRate, limits.rate.into()),
        (Cell::OutboundBlock, ns(limits.block)),
        (Cell::PacketSockets, limits.deny_packet_sockets.into()),
        (Cell::OutboundLog, limits.log.into()),
        (Cell::OutboundUnique, limits.unique.into()),
        (Cell::OutboundLookback, ns(limits.lookback)),
    ]
}

impl Kernel {
    /// Has workloads judged whose contacts nobody answers, where these make no more of them.
    pub fn settle_contacts(&mut self) -> Result<(), KernelError> {
        let Some(Ok(outbound)) = self.network.get_mut(&Guard::Outbound) else {
            return Ok(());
        };
        for workload in Outbound::open(&self.pins)?.waiting() {
            // The kernel takes no frame that is shorter than its header.
            let mut frame = [0; 14];
            frame[..8].copy_from_slice(&workload.to_ne_bytes());
            outbound.run("settle_contacts", &frame)?;
        }
        Ok(())
    }
}

/// The pinned maps.
#[derive(Debug)]
pub struct Outbound {
    states: MapHandle,
    contacts: MapHandle,
    weights: MapHandle,
    walks: MapHandle,
}

impl Outbound {
    /// Opens the maps that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        Ok(Self {
            states: pins.open("outbound_states")?,
            contacts: pins.open("outbound_contacts")?,
            weights: pins.open("outbound_weights")?,
            walks: pins.open("outbound_walks")?,
        })
    }

    /// Until when (CLOCK_BOOTTIME in ns) a workload makes no first contact, by the id of its cgroup; none where it may.
    pub fn blocked_until(&self, workload: u64) -> Result<Option<u64>, KernelError> {
        let state = self
            .states
            .lookup(&workload.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("read what is known of the cgroup {workload}"))?;
        let until = state.and_then(|bytes| {
            let field = bytes.get(BLOCKED_UNTIL..BLOCKED_UNTIL + 8)?;
            Some(u64::from_ne_bytes(field.try_into().ok()?))
        });
        Ok(until.filter(|until| *until > boot_ns()))
    }

    /// Forgets what a workload and its processes were found to do: they begin anew. Says whether any was blocked.
    pub fn forget(&self, workload: u64) -> Result<bool, KernelError> {
        let doing = || format!("forget what is known of the cgroup {workload}");
        let mut was_blocked = self.blocked_until(workload)?.is_some();
        if was_blocked {
            self.states.delete(&workload.to_ne_bytes()).doing(doing)?;
        }
        let walks = self.walks.keys().take(MOST_LOOKED_AT);
        let walks: Vec<_> = walks
            .filter(|key| key.starts_with(&workload.to_ne_bytes()))
            .collect();
        for key in walks {
            // One that others pushed out meanwhile has gone too.
            let walk = self.walks.lookup(&key, MapFlags::ANY).ok().flatten();
            let until = walk.and_then(|bytes| bytes.get(..8)?.try_into().ok());
            was_blocked |= until.is_some_and(|until| u64::from_ne_bytes(until) > boot_ns());
            let _ = self.walks.delete(&key);
        }
        Ok(was_blocked)
    }

    /// Has all packets to its own host stopped that leave a cgroup, and told: a proof that the programs see them.
    pub fn prove(&self, cgroup: u64) -> Result<(), KernelError> {
        let mut state = vec![0; STATE_BYTES];
        state[REASON..REASON + 4].copy_from_slice(&PROOF.to_ne_bytes());
        self.states
            .update(&cgroup.to_ne_bytes(), &state, MapFlags::ANY)
            .doing(|| format!("have the cgroup {cgroup} prove that packets are stopped"))
    }

    /// Workloads that wait for an answer, by the ids of their cgroups.
    pub(crate) fn waiting(&self) -> Vec<u64> {
        let keys = self.states.keys().take(MOST_LOOKED_AT);
        keys.filter(|key| {
            let state = self.states.lookup(key, MapFlags::ANY).ok().flatten();
            let waiting =
                state.and_then(|bytes| Some(bytes.get(UNANSWERED)?.iter().any(|it| *it != 0)));
            waiting == Some(true)
        })
        .filter_map(|key| Some(u64::from_ne_bytes(key.try_into().ok()?)))
        .collect()
    }

    /// Some of those with whom a workload got in touch, and who have not answered; with which process is not known.
    pub fn unanswered(&self, workload: u64, most: usize) -> Vec<Destination> {
        let keys =
            self.contacts.keys().take(MOST_LOOKED_AT).filter(|key| {
                key.len() == TARGET_BYTES && key.starts_with(&workload.to_ne_bytes())
            });
        let open = keys.filter(|key| {
            let contact = self.contacts.lookup(key, MapFlags::ANY).ok().flatten();
            contact.is_some_and(|contact| {
                let state = contact.get(CONTACT_STATE..CONTACT_STATE + 4);
                state != Some(&CONTACT_ANSWERED.to_ne_bytes())
            })
        });
        let destinations = open.filter_map(|key| wire::target(&key[8..]).ok());
        destinations.take(most).collect()
    }

    /// Sets the prefixes in which a contact counts twice, since nobody is to be expected there; within one of `once` it
    /// counts once.
    pub fn weigh(&self, twice: &[Ipv6Net], once: &[Ipv6Net]) -> Result<(), KernelError> {
        let doing = || "write where contacts count twice".to_owned();
        let wanted = twice.iter().map(|prefix| (key(*prefix), 2_u32));
        let wanted: Vec<_> = wanted
            .chain(once.iter().map(|prefix| (key(*prefix), 1)))
            .collect();
        for old in self.weights.keys().collect::<Vec<_>>() {
            if !wanted.iter().any(|(key, _)| *key == old) {
                self.weights.delete(&old).doing(doing)?;
            }
        }
        for (key, weight) in wanted {
            let weight = weight.to_ne_bytes();
            self.weights
                .update(&key, &weight, MapFlags::ANY)
                .doing(doing)?;
        }
        Ok(())
    }
}

/// Whether the word of `struct outbound_contact` says so that holds its state.
pub(crate) fn is_answered(word: u64) -> bool {
    word.to_ne_bytes()[..4] == CONTACT_ANSWERED.to_ne_bytes()
}

/// `struct outbound_prefix`.
fn key(prefix: Ipv6Net) -> Vec<u8> {
    let mut bytes = u32::from(prefix.prefix_len()).to_ne_bytes().to_vec();
    bytes.extend(prefix.addr().octets());
    bytes
}
