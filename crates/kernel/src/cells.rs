//! The pinned cells that every program obeys: switches, lease, root. They work without an agent.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    time::Duration,
};

use hayward_model::Guard;
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    Pins,
    error::{Doing, KernelError},
};

/// One cell; `bpf/layout.h` says what each holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Cell {
    /// The set of programs that decides.
    ActiveInstance = 0,
    /// CLOCK_BOOTTIME ns until which everything is off.
    OffAll,
    /// The same for the `command` guard.
    OffCommand,
    /// CLOCK_BOOTTIME ns of the agent's last sign of life.
    Heartbeat,
    /// Ns after which a silent agent's programs only observe; 0 = never.
    Lease,
    /// Id of the cgroup outside which nothing is acted on.
    RootCgroup,
    /// Device of Hayward's own binary, in the kernel's encoding.
    AgentDevice,
    /// Inode of Hayward's own binary.
    AgentInode,
    /// Users from this id on are in scope; 0 = users are not.
    UidMin,
    /// Policy of users' processes in cgroups that are neither in scope nor excluded.
    UsersPolicy,
    /// Not 0: programs started from memory are killed.
    FilelessKill,
    /// Not 0: programs that could not be judged are killed.
    UnscannedKill,
    /// Version of the layout.
    Layout,
    /// Number of the host's mount namespace; 0 = unknown.
    HostMounts,
    /// As `OffCommand`, for the `randomx` guard.
    OffRandomx,
    /// Not 0: the agent decides some cgroups by name, and is told of new ones.
    Names,
    /// As `OffCommand`, for the `egress` guard.
    OffEgress,
    /// As `OffCommand`, for the `outbound` guard.
    OffOutbound,
    /// CLOCK_BOOTTIME ns of when it last changed what may be reached.
    EgressChanges,
    /// First contacts of a workload that may wait for an answer at a time.
    OutboundInFlight,
    /// How many of its first contacts may fail within `OutboundPer`.
    OutboundFailed,
    /// Ns.
    OutboundPer,
    /// First contacts of a workload in a minute.
    OutboundRate,
    /// Ns for which whoever scans makes no first contact.
    OutboundBlock,
    /// As `OffCommand`, for the `pool` guard.
    OffPool,
    /// What becomes of packet and raw sockets: 0 = what they send is judged as other packets are, 1 = denied.
    PacketSockets,
    /// Not 0: first contacts are handed to the agent, for its log.
    OutboundLog,
    /// Not 0: lists allow or ban names, so that questions and answers of DNS are looked at.
    EgressNames,
    /// The cookie of the network that is the host's; 0 is the first one's.
    HostNetwork,
    /// To how many different public addresses and ports a process may connect within `OutboundLookback`; 0: any number.
    OutboundUnique,
    /// Ns.
    OutboundLookback,
    /// As `OffCommand`, for the `inbound` guard.
    OffInbound,
    /// What the `inbound` guard does: see `INBOUND_*` of `bpf/inbound_layout.h`.
    InboundFlags,
    /// Distinct contacts of a source that may fail, whatever was answered.
    InboundFailures,
    /// To so many distinct ports a source may send SYN within `InboundWithin`; 0: to any number.
    InboundPorts,
    /// Ns.
    InboundWithin,
    /// Ns for which a source is remembered of which nothing more is heard.
    InboundMemory,
    /// Ns for which a source is banned that is known to exist, the first time.
    InboundBan,
    /// Ns for which another makes no first contact.
    InboundSoftBan,
    /// Bits of an IPv6 address that tell sources apart.
    InboundPrefix,
    /// Bans that the kernel makes by itself in a minute.
    InboundBanRate,
    /// Bans that there may be.
    InboundMostBans,
    /// As many as there are, as the agent has counted last.
    InboundBans,
    /// CLOCK_MONOTONIC ns until which bans are obeyed without a further sign of life.
    InboundLeased,
    /// A secret number, by which sources are spread over the kernel's table.
    InboundSeed,
}

/// Off for good, until `on`.
const FOREVER: u64 = u64::MAX;

/// The cells of one agent.
#[derive(Debug)]
pub struct Cells {
    map: MapHandle,
}

impl Cells {
    /// Opens the cells that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        if !pins.map("cells").exists() {
            return Err(KernelError::NothingPinned {
                path: pins.folder().to_owned(),
            });
        }
        let map = pins.open("cells")?;
        Ok(Self { map })
    }

    /// Reads a cell.
    pub fn get(&self, cell: Cell) -> Result<u64, KernelError> {
        let value = self
            .map
            .lookup(&(cell as u32).to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("read the cell {cell:?}"))?;
        Ok(value
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_ne_bytes))
    }

    /// Writes a cell: in force from the next event on.
    pub fn set(&self, cell: Cell, value: u64) -> Result<(), KernelError> {
        self.map
            .update(
                &(cell as u32).to_ne_bytes(),
                &value.to_ne_bytes(),
                MapFlags::ANY,
            )
            .doing(|| format!("write the cell {cell:?}"))
    }

    /// Switches a guard, or everything, off: for a time, or until [`Cells::on`].
    pub fn off(&self, guard: Option<Guard>, duration: Option<Duration>) -> Result<(), KernelError> {
        let until = duration.map_or(FOREVER, |duration| {
            boot_ns().saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(FOREVER))
        });
        self.set(switch(guard), until)
    }

    /// Switches a guard, or everything, on again. Everything includes guards that were switched off one by one.
    pub fn on(&self, guard: Option<Guard>) -> Result<(), KernelError> {
        self.set(switch(guard), 0)?;
        if guard.is_none() {
            for guard in Guard::ALL {
                self.set(switch(Some(guard)), 0)?;
            }
        }
        Ok(())
    }

    /// Until when (CLOCK_BOOTTIME ns) a guard is off; none when it is on. `u64::MAX` is for good.
    pub fn off_until(&self, guard: Guard) -> Result<Option<u64>, KernelError> {
        let until = self.get(switch(None))?.max(self.get(switch(Some(guard)))?);
        Ok((until > boot_ns()).then_some(until))
    }

    /// Takes over what operators switched off under another version, whose cells are pinned at `path`. These cells have
    /// had their places since the first.
    pub(crate) fn take_switches(&self, path: &Path) -> Result<(), KernelError> {
        let Ok(map) = MapHandle::from_pinned_path(path) else {
            return Ok(());
        };
        let other = Self { map };
        for cell in [Cell::OffAll, Cell::OffCommand] {
            self.set(cell, other.get(cell)?)?;
        }
        Ok(())
    }

    /// Has the kernel decide anew what open connections may reach: what that goes by was changed.
    pub(crate) fn egress_changed(&self) -> Result<(), KernelError> {
        // A time, which nobody wrote before: of two who count, one may write a number that was there already.
        self.set(Cell::EgressChanges, boot_ns())
    }

    /// Says that the agent lives.
    pub fn beat(&self) -> Result<(), KernelError> {
        self.set(Cell::Heartbeat, boot_ns())?;
        let until = match self.get(Cell::Lease)? {
            0 => FOREVER,
            lease => monotonic_ns().saturating_add(lease),
        };
        self.set(Cell::InboundLeased, until)
    }

    /// Sows the secret by which sources are spread over the kernel's table, where there is none yet.
    pub(crate) fn sow(&self) -> Result<(), KernelError> {
        if self.get(Cell::InboundSeed)? != 0 {
            return Ok(());
        }
        // The standard library's own, which nobody can foresee.
        self.set(
            Cell::InboundSeed,
            RandomState::new().build_hasher().finish() | 1,
        )
    }
}

const fn switch(guard: Option<Guard>) -> Cell {
    match guard {
        None => Cell::OffAll,
        Some(Guard::Command) => Cell::OffCommand,
        Some(Guard::Randomx) => Cell::OffRandomx,
        Some(Guard::Egress) => Cell::OffEgress,
        Some(Guard::Outbound) => Cell::OffOutbound,
        Some(Guard::Pool) => Cell::OffPool,
        Some(Guard::Inbound) => Cell::OffInbound,
    }
}

/// Nanoseconds since boot, without time asleep: the clock of what the guard `inbound` bans, which its programs read fastest.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Nanoseconds since boot, time asleep included: the clock of events and cells.
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
