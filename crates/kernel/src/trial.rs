//! A guard's programs on packets, run on what a test makes up. They are attached to nothing, and nobody else has their maps.

use std::{cell::RefCell, time::Duration};

use hayward_model::{Event, Guard, ScopePolicy};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, ProgramInput};

use crate::{
    Cell, Counters, EventStream, InboundBans, InboundLimits, InboundNever, KernelError,
    OutboundLimits,
    error::Doing,
    object::{EGRESS, Embedded, INBOUND, Load, OUTBOUND, POOL},
    outbound,
    source_table::SourceTable,
    test_run,
    wire::decode,
};

/// A map's entry: its key and its value.
pub type MapEntry = (Vec<u8>, Vec<u8>);

/// The programs, and maps of their own.
#[derive(Debug)]
pub struct PacketTrial {
    object: Object,
    events: &'static str,
}

impl PacketTrial {
    /// Loads the programs of a guard that looks at packets.
    ///
    /// # Panics
    /// Where it is none.
    pub fn new(guard: Guard, limits: &OutboundLimits) -> Result<Self, KernelError> {
        let (programs, events) = match guard {
            Guard::Egress => (&EGRESS, "egress_events"),
            Guard::Outbound => (&OUTBOUND, "outbound_events"),
            Guard::Pool => (&POOL, "pool_events"),
            Guard::Command | Guard::Randomx | Guard::Inbound => {
                panic!("{guard:?} looks at no packets")
            }
        };
        let cells = outbound::cells(limits);
        Self::load(programs, events, &cells, SourceTable::default())
    }

    /// Loads the programs of the guard `inbound`.
    pub fn inbound(limits: &InboundLimits) -> Result<Self, KernelError> {
        let leased = [(Cell::InboundLeased, u64::MAX), (Cell::InboundSeed, 1)];
        let cells = [limits.cells().as_slice(), &leased].concat();
        let sources = SourceTable::of(limits.sources);
        Self::load(&INBOUND, "inbound_events", &cells, sources)
    }

    fn load(
        programs: &'static Embedded,
        events: &'static str,
        cells: &[(Cell, u64)],
        sources: SourceTable,
    ) -> Result<Self, KernelError> {
        let (object, _) = Load {
            table_bytes: 4,
            sources,
            ..Load::unpinned(programs)
        }
        .load()?;
        let trial = Self { object, events };
        for (cell, value) in cells {
            trial.put("cells", &(*cell as u32).to_ne_bytes(), &value.to_ne_bytes())?;
        }
        Ok(trial)
    }

    /// The bans that the programs of the guard `inbound` obey.
    pub fn bans(&self, ipv6_prefix: u8) -> Result<InboundBans, KernelError> {
        InboundBans::of(|map| self.map(map), ipv6_prefix)
    }

    /// Who it never bans.
    pub fn never(&self) -> Result<InboundNever, KernelError> {
        Ok(InboundNever {
            map: self.map("inbound_never")?,
        })
    }

    /// Runs a program on a frame so many times, and says how long it takes each time.
    pub fn time(
        &mut self,
        name: &str,
        frame: &[u8],
        times: u32,
    ) -> Result<(i32, Duration), KernelError> {
        let input = ProgramInput {
            data_in: Some(frame),
            repeat: times,
            ..Default::default()
        };
        let output = test_run::run(&self.object, name, input)?;
        Ok((output.return_value.cast_signed(), output.duration))
    }

    /// Has the programs judge a cgroup.
    pub fn judge(&self, cgroup: u64, policy: ScopePolicy) -> Result<(), KernelError> {
        let policy = policy.bits().to_ne_bytes();
        self.put("scopes", &cgroup.to_ne_bytes(), &policy)
    }

    /// Names of the programs.
    pub fn programs(&self) -> Vec<String> {
        let names = self.object.progs();
        names
            .map(|program| program.name().to_string_lossy().into_owned())
            .collect()
    }

    /// Runs a program on a frame, as if this process had sent or got it. Returns what it answers.
    pub fn run(&mut self, name: &str, frame: &[u8]) -> Result<i32, KernelError> {
        Ok(test_run::run_on_frame(&self.object, name, frame)?.cast_signed())
    }

    /// Writes an entry.
    pub fn put(&self, map: &str, key: &[u8], value: &[u8]) -> Result<(), KernelError> {
        let map = self.map(map)?;
        map.update(key, value, MapFlags::ANY)
            .doing(|| "write a map".to_owned())
    }

    /// All entries of a map, which is empty then.
    pub fn take(&self, map: &str) -> Result<Vec<MapEntry>, KernelError> {
        let map = self.map(map)?;
        let keys: Vec<_> = map.keys().collect();
        let mut entries = Vec::new();
        for key in keys {
            let value = map.lookup(&key, MapFlags::ANY);
            let value = value.doing(|| "read a map".to_owned())?;
            map.delete(&key).doing(|| "empty a map".to_owned())?;
            entries.push((key, value.unwrap_or_default()));
        }
        Ok(entries)
    }

    /// What was told since this was last asked.
    pub fn events(&self) -> Result<Vec<Event>, KernelError> {
        self.told_by(self.events)
    }

    /// The first contacts that the programs of the guard `inbound` have logged since this was last asked.
    pub fn contacts(&self) -> Result<Vec<Event>, KernelError> {
        self.told_by("inbound_log")
    }

    fn told_by(&self, ring: &str) -> Result<Vec<Event>, KernelError> {
        let events = RefCell::new(Vec::new());
        let take = |bytes: &[u8]| events.borrow_mut().extend(decode(bytes));
        let stream = EventStream::open(vec![self.map(ring)?], take)?;
        stream.drain(usize::MAX)?;
        drop(stream);
        Ok(events.into_inner())
    }

    /// What was counted.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        Counters::from_map(&self.map("counters")?)
    }

    fn map(&self, name: &str) -> Result<MapHandle, KernelError> {
        let map = self.object.maps().find(|map| map.name() == name);
        let map = map.ok_or_else(|| missing(name))?;
        let handle = MapHandle::try_from(&map);
        handle.doing(|| format!("open the map {name}"))
    }
}

fn missing(name: &str) -> KernelError {
    KernelError::Io {
        what: format!("find {name}"),
        source: std::io::ErrorKind::NotFound.into(),
    }
}
