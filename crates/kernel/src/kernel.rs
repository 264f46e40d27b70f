//! Loading, attaching and adopting: one set of programs decides at any moment, and there is never none.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd,
    time::Duration,
};

use hayward_model::{Guard, ScopePolicy};
use libbpf_rs::{MapCore, MapFlags};

use crate::{
    Cell, Cells, Counters, EventStream, KernelError, KernelOptions, Pins, RoundingCounts, RunTime,
    Sightings, Variant,
    error::Doing,
    frames,
    inbound_devices::{Inbound, is_inbound},
    network_cookie::network_cookie,
    object::{EGRESS, Embedded, OUTBOUND, POOL},
    outbound,
    packet_socket::PacketSocket,
    pins::{self, LAYOUT_VERSION, PinsLock, host_mounts, own_binary},
    programs::{Loaded, OnCgroup, Programs},
    source_table::SourceTable,
    statistics,
};

/// The kernel side of a running agent. Dropping it leaves everything in force.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) pins: Pins,
    cells: Cells,
    command: Programs,
    scope: Programs,
    /// Its failure concerns its guard alone.
    randomx: Result<Programs, KernelError>,
    /// So does each of these: guards that look at sockets and packets.
    pub(crate) network: BTreeMap<Guard, Result<OnCgroup, KernelError>>,
    /// What the guard `outbound` has beside it, where the kernel runs it.
    packet_socket: Option<PacketSocket>,
    /// The guard `inbound`, where settings list it.
    pub(crate) inbound: Option<Result<Inbound, KernelError>>,
    /// Network devices that these are on.
    devices: BTreeSet<u32>,
    pub(crate) filters: bool,
    pub(crate) instance: u64,
    variants: &'static [Variant],
    adopted: bool,
    _lock: PinsLock,
}

impl Kernel {
    /// Loads both sets of programs beside whatever is pinned. They decide nothing before [`Kernel::activate`].
    ///
    /// `command_words` and `scope_words` are the first tables; see the crate `hayward-rules` for their form.
    pub fn load(
        options: &KernelOptions,
        command_words: &[u32],
        scope_words: &[u32],
    ) -> Result<Self, KernelError> {
        let pins = Pins::new(&options.pins);
        pins.create()?;
        let lock = pins.lock()?;
        let adopted = !pins.pinned_links().is_empty();
        let instance = pins
            .pinned_links()
            .iter()
            .map(|(_, n)| *n)
            .max()
            .unwrap_or(0)
            + 1;
        let variants = options.variants;
        let Loaded {
            command,
            scope,
            randomx,
        } = Loaded::load(variants, &pins, instance, command_words, scope_words)?;
        let network = options.network.iter().filter_map(|guard| {
            let embedded = on_cgroup(*guard)?;
            let loaded = OnCgroup::load(embedded, variants, &pins, instance, &options.root);
            Some((*guard, loaded))
        });
        let network = network.collect();
        let packet_socket = options
            .network
            .contains(&Guard::Outbound)
            .then(|| PacketSocket::load(variants, &pins, instance));
        let inbound = options.network.contains(&Guard::Inbound).then(|| {
            Inbound::load(
                variants,
                &pins,
                instance,
                SourceTable::of(options.inbound.sources),
            )
        });
        let cells = Cells::open(&pins)?;
        let kernel = Self {
            pins,
            cells,
            command,
            scope,
            randomx,
            network,
            packet_socket,
            inbound,
            devices: BTreeSet::new(),
            filters: options.filters,
            instance,
            variants,
            adopted,
            _lock: lock,
        };
        kernel.write_cells(options)?;
        for folder in kernel.pins.other_maps() {
            kernel.cells.take_switches(&folder.join("cells"))?;
        }
        kernel.scope.swap(scope_words)?;
        kernel.command.swap(command_words)?;
        Ok(kernel)
    }

    /// Why a guard's programs are not in force, where they are not.
    pub fn failure(&self, guard: Guard) -> Option<&KernelError> {
        match guard {
            // Without them there is no `Kernel`.
            Guard::Command => None,
            Guard::Randomx => self.randomx.as_ref().err(),
            Guard::Egress | Guard::Outbound | Guard::Pool => {
                self.network.get(&guard)?.as_ref().err()
            }
            Guard::Inbound => self.inbound.as_ref()?.as_ref().err(),
        }
    }

    /// Why packet sockets are not refused where they are made, where they are not and the guard `outbound` is there.
    pub fn packet_socket_failure(&self) -> Option<&KernelError> {
        self.packet_socket.as_ref()?.failure()
    }

    /// Whether some guard looks at frames, see [`Kernel::judge_frames`].
    pub fn judges_frames(&self) -> bool {
        [Guard::Egress, Guard::Outbound]
            .iter()
            .any(|guard| matches!(self.network.get(guard), Some(Ok(_))))
    }

    /// Whether what leaves workloads is judged, so that one can be quarantined.
    pub fn judges_packets(&self) -> bool {
        matches!(self.network.get(&Guard::Egress), Some(Ok(_)))
    }

    /// Attaches and pins the new programs, makes them the ones that decide, and only then removes older ones.
    ///
    /// The sensor is attached by [`Kernel::attach_sensor`].
    pub fn activate(&mut self) -> Result<(), KernelError> {
        self.scope.attach(&self.pins, self.instance)?;
        self.command.attach(&self.pins, self.instance)?;
        for programs in self.network.values_mut().flatten() {
            programs.attach(&self.pins, self.instance)?;
        }
        if let Some(packet_socket) = &mut self.packet_socket {
            packet_socket.attach(&self.pins, self.instance);
        }
        if let Some(Ok(inbound)) = &mut self.inbound {
            inbound.attach(&self.pins, self.instance)?;
        }
        self.take_over()
    }

    /// Has frames judged that come out of these network devices, the host's ends of pairs of veth devices, and forgets others.
    /// Where that fails for one, the rest are seen to all the same.
    pub fn judge_frames(&mut self, devices: &BTreeSet<u32>) -> Result<(), KernelError> {
        let pinned = self.pins.pinned_links().into_iter();
        let pinned = pinned.map(|(path, _)| path);
        frames::forget(pinned.filter(|path| !is_inbound(path)), |it| {
            devices.contains(&it)
        });
        self.devices.retain(|device| devices.contains(device));
        let mut result = Ok(());
        for device in devices {
            if self.devices.contains(device) {
                continue;
            }
            let mut programs = self.network.values_mut().flatten();
            let (pins, instance) = (&self.pins, self.instance);
            let attached = programs
                .try_for_each(|it| it.attach_to_device(*device, pins, instance, self.filters));
            match attached {
                Ok(()) => {
                    self.devices.insert(*device);
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Puts the sensor of the guard `randomx` on its event, if it is not there already.
    ///
    /// It is not pinned: nobody judges what it sees but the agent, with which it ends.
    pub fn attach_sensor(&mut self) -> Result<(), KernelError> {
        match &mut self.randomx {
            Ok(programs) if programs.links.is_empty() => programs.attach_for_now(),
            _ => Ok(()),
        }
    }

    /// Takes the sensor off its event.
    pub fn detach_sensor(&mut self) {
        if let Ok(programs) = &mut self.randomx {
            programs.links.clear();
        }
    }

    /// What the sensor counts on each processor, for [`crate::Nudger::start`].
    pub fn sightings(&self) -> Result<Sightings, KernelError> {
        let map = self.pins.open("rounding_seen")?;
        Ok(Sightings { map })
    }

    /// What the kernel says of the sensor's cost; it counts while a [`crate::Statistics`] lives.
    pub fn sensor_run_time(&self) -> Result<RunTime, KernelError> {
        let mut total = RunTime::default();
        let programs = self
            .randomx
            .iter()
            .flat_map(|randomx| randomx.object.progs())
            .filter(|program| program.autoload());
        for program in programs {
            let one = statistics::run_time(program.as_fd())?;
            total.ns += one.ns;
            total.runs += one.runs;
        }
        Ok(total)
    }

    /// Takes the programs off their events. They stay loaded, and [`Kernel::activate`] puts them back: so are a machine
    /// with them and one without compared many times in a minute.
    pub fn detach(&mut self) -> Result<(), KernelError> {
        for (path, _) in self.pins.pinned_links() {
            frames::remove(&path)?;
        }
        self.devices.clear();
        self.scope.links.clear();
        self.command.links.clear();
        for programs in self.network.values_mut().flatten() {
            programs.detach();
        }
        if let Some(packet_socket) = &mut self.packet_socket {
            packet_socket.detach();
        }
        if let Some(Ok(inbound)) = &mut self.inbound {
            inbound.detach();
        }
        self.detach_sensor();
        Ok(())
    }

    fn take_over(&mut self) -> Result<(), KernelError> {
        self.cells.set(Cell::ActiveInstance, self.instance)?;
        let links = self.pins.pinned_links().into_iter();
        let former = links
            .filter(|(_, instance)| *instance != self.instance)
            .map(|(path, _)| path);
        let inbound = self.inbound.iter().flatten();
        let mut in_use: Vec<_> = inbound.map(|it| it.source_table(&self.pins)).collect();
        in_use.push(self.command.tables(&self.pins));
        in_use.push(self.scope.tables(&self.pins));
        let outgrown = self.pins.pinned_tables().into_iter();
        let outgrown = outgrown.filter(|path| !in_use.contains(path));
        for path in former.chain(outgrown) {
            frames::remove(&path)?;
        }
        for folder in self.pins.other_maps() {
            pins::remove(&folder)?;
        }
        Ok(())
    }

    /// Swaps both tables. Where one outgrows its size class, the same programs are loaded for the next class.
    ///
    /// Cgroups that exist keep their entries until those are rewritten.
    pub fn replace_tables(
        &mut self,
        command_words: &[u32],
        scope_words: &[u32],
    ) -> Result<(), KernelError> {
        if self.command.holds(command_words)? && self.scope.holds(scope_words)? {
            self.command.swap(command_words)?;
            return self.scope.swap(scope_words);
        }
        let instance = self.instance + 1;
        let (pins, variants) = (&self.pins, self.variants);
        let mut loaded = Loaded::load(variants, pins, instance, command_words, scope_words)?;
        loaded.command.swap(command_words)?;
        loaded.scope.swap(scope_words)?;
        loaded.scope.attach(pins, instance)?;
        loaded.command.attach(pins, instance)?;
        let network = std::mem::take(&mut self.network).into_iter();
        let network = network.map(|(guard, programs)| {
            let again = programs.and_then(|it| it.again(pins, instance, variants));
            (guard, again)
        });
        let network = network.collect();
        self.instance = instance;
        self.command = loaded.command;
        self.scope = loaded.scope;
        let attached = matches!(&self.randomx, Ok(programs) if !programs.links.is_empty());
        self.randomx = loaded.randomx;
        self.network = network;
        if let Some(packet_socket) = &mut self.packet_socket {
            *packet_socket = PacketSocket::load(variants, &self.pins, instance);
            packet_socket.attach(&self.pins, instance);
        }
        if let Some(Ok(inbound)) = &mut self.inbound {
            inbound.reload(variants, &self.pins, instance, self.filters)?;
        }
        let devices = std::mem::take(&mut self.devices);
        self.judge_frames(&devices)?;
        if attached {
            self.attach_sensor()?;
        }
        self.take_over()
    }

    /// Enters a cgroup that existed before the programs did.
    pub fn set_scope(&self, cgroup: u64, policy: ScopePolicy) -> Result<(), KernelError> {
        let bits = policy.bits().to_ne_bytes();
        self.scope
            .map("scopes")?
            .update(&cgroup.to_ne_bytes(), &bits, MapFlags::ANY)
            .doing(|| format!("enter the cgroup {cgroup} in the scope map"))?;
        self.cells.egress_changed()
    }

    /// Says which cgroup is the whole workload of one that existed before the programs did, where it is another.
    pub fn set_whole(&self, cgroup: u64, whole: u64) -> Result<(), KernelError> {
        self.scope
            .map("wholes")?
            .update(&cgroup.to_ne_bytes(), &whole.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("enter the workload of the cgroup {cgroup}"))
    }

    /// The entry of a cgroup itself; none where it falls under an ancestor's.
    pub fn scope(&self, cgroup: u64) -> Result<Option<ScopePolicy>, KernelError> {
        let entry = self
            .scope
            .map("scopes")?
            .lookup(&cgroup.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("look for the cgroup {cgroup} in the scope map"))?;
        let bits = entry.and_then(|bytes| bytes.try_into().ok());
        Ok(bits.map(|bits| ScopePolicy::from_bits(u32::from_ne_bytes(bits))))
    }

    /// Writes what settings say; switches that operators flipped are left alone.
    pub fn write_cells(&self, options: &KernelOptions) -> Result<(), KernelError> {
        let (device, inode) = own_binary().doing(|| "look at the agent's own binary".to_owned())?;
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let lease = ns(options.lease);
        for (cell, value) in [
            (Cell::RootCgroup, options.root_cgroup),
            (Cell::AgentDevice, device),
            (Cell::AgentInode, inode),
            (Cell::UidMin, u64::from(options.uid_min.unwrap_or(0))),
            (Cell::UsersPolicy, u64::from(options.users_policy.bits())),
            (Cell::Names, u64::from(options.by_name)),
            (Cell::FilelessKill, u64::from(options.fileless_kill)),
            (Cell::UnscannedKill, u64::from(options.unscanned_kill)),
            (Cell::Layout, u64::from(LAYOUT_VERSION)),
            (Cell::HostMounts, host_mounts()),
            (Cell::HostNetwork, network_cookie()),
            (Cell::Lease, lease),
        ]
        .into_iter()
        .chain(outbound::cells(&options.outbound))
        .chain(options.inbound.cells())
        {
            self.cells.set(cell, value)?;
        }
        self.cells.egress_changed()?;
        self.cells.sow()?;
        self.cells.beat()
    }

    /// Whether programs of an earlier agent were found in force.
    pub fn adopted(&self) -> bool {
        self.adopted
    }

    /// The pinned cells.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The kernel's counters.
    pub fn counters(&self) -> Result<Counters, KernelError> {
        Counters::from_map(&self.scope.map("counters")?)
    }

    /// What the `randomx` guard's sensor saw on each processor.
    pub fn rounding_by_processor(&self) -> Result<Vec<RoundingCounts>, KernelError> {
        Counters::rounding_by_processor(&self.scope.map("counters")?)
    }

    /// A handle that hands the bytes of each event to `consume`, what was left over from an earlier agent first.
    pub fn events<'a>(
        &self,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<EventStream<'a>, KernelError> {
        let randomx = self.randomx.is_ok().then_some("randomx_events");
        let network = self.network.iter().filter(|(_, programs)| programs.is_ok());
        let network = network.map(|(guard, _)| format!("{guard}_events"));
        let inbound = matches!(self.inbound, Some(Ok(_))).then(|| "inbound_events".to_owned());
        let mut maps = Vec::new();
        for ring in ["scope_events", "command_events"]
            .into_iter()
            .chain(randomx)
            .map(str::to_owned)
            .chain(network)
            .chain(inbound)
        {
            let map = self.pins.open(&ring)?;
            maps.push(map);
        }
        EventStream::open(maps, consume)
    }

    /// The same for first contacts. Nobody is woken for these: they wait for [`EventStream::drain`].
    pub fn contacts<'a>(
        &self,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<EventStream<'a>, KernelError> {
        EventStream::open(vec![self.pins.open("outbound_log")?], consume)
    }
}

/// The programs of a guard that looks at sockets and packets.
fn on_cgroup(guard: Guard) -> Option<&'static Embedded> {
    match guard {
        Guard::Egress => Some(&EGRESS),
        Guard::Outbound => Some(&OUTBOUND),
        Guard::Pool => Some(&POOL),
        Guard::Command | Guard::Randomx | Guard::Inbound => None,
    }
}
