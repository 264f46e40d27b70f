//! Loading, attaching and adopting: one set of programs decides at any moment, and there is never none.

use std::{fs, path::PathBuf, time::Duration};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, Object, RingBufferBuilder};

use crate::{
    Cell, Cells, Counters, KernelError, KernelPolicy, Pins,
    error::Doing,
    object::{COMMAND, Load, SCOPE},
    pins::{LAYOUT_VERSION, PinsLock, host_mounts, own_binary},
    scopes::write_policies,
    table::{self, size_class},
};

/// Size of the scope table, the smallest class.
const SCOPE_CLASS: usize = 256 << 10;

/// What the kernel side needs to start.
#[derive(Debug, Clone)]
pub struct KernelOptions {
    /// Folder for pins, below a BPF file system.
    pub pins: PathBuf,
    /// Id (inode) of the cgroup outside which nothing is acted on.
    pub root_cgroup: u64,
    /// How long the programs enforce without a sign of life from the agent; zero is for ever.
    pub lease: Duration,
    /// Users from this id on are in scope wherever they are.
    pub uid_min: Option<u32>,
    /// Policy of such users' processes.
    pub users_policy: u32,
    /// Programs started from memory are killed.
    pub fileless_kill: bool,
    /// Programs that could not be judged are killed.
    pub unscanned_kill: bool,
}

/// The kernel side of a running agent. Dropping it leaves everything in force.
#[derive(Debug)]
pub struct Kernel {
    pins: Pins,
    cells: Cells,
    command: Programs,
    scope: Programs,
    policies: usize,
    instance: u64,
    adopted: bool,
    _lock: PinsLock,
}

/// One loaded object and its attachments.
#[derive(Debug)]
struct Programs {
    object: Object,
    class: usize,
    links: Vec<Link>,
}

impl Kernel {
    /// Loads both sets of programs beside whatever is pinned. They decide nothing before [`Kernel::activate`].
    ///
    /// `command_words` and `scope_words` are the first tables; see the crate `hayward-rules` for their form.
    pub fn load(
        options: &KernelOptions,
        command_words: &[u32],
        scope_words: &[u32],
        policies: &[KernelPolicy],
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
        let scope = Programs::load(&pins, SCOPE, instance, "scope_tables", SCOPE_CLASS)?;
        let class = size_class(command_words.len() * 4)?;
        let command = Programs::load(&pins, COMMAND, instance, "command_tables", class)?;
        let cells = Cells::open(&pins)?;
        let mut kernel = Self {
            pins,
            cells,
            command,
            scope,
            policies: 0,
            instance,
            adopted,
            _lock: lock,
        };
        kernel.write_cells(options)?;
        kernel.replace_policies(policies)?;
        kernel.replace_scope_table(scope_words)?;
        table::swap(
            &kernel.command.map("command_tables")?,
            "command_table",
            class,
            command_words,
        )?;
        Ok(kernel)
    }

    /// Attaches and pins the new programs, makes them the ones that decide, and only then removes older ones.
    pub fn activate(&mut self) -> Result<(), KernelError> {
        self.scope.attach(&self.pins, self.instance)?;
        self.command.attach(&self.pins, self.instance)?;
        self.take_over()?;
        self.remove_other_tables()
    }

    /// Unpins tables of size classes that no programs use any more, whichever agent pinned them.
    fn remove_other_tables(&self) -> Result<(), KernelError> {
        let used = format!("command_tables-{}", self.command.class);
        for path in self.pins.pinned_maps("command_tables-") {
            if !path.ends_with(&used) {
                fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn take_over(&mut self) -> Result<(), KernelError> {
        self.cells.set(Cell::ActiveInstance, self.instance)?;
        for (path, instance) in self.pins.pinned_links() {
            if instance != self.instance {
                fs::remove_file(&path).doing(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Swaps the command table. One that outgrows its size class loads the same programs for the next class.
    pub fn replace_command_table(&mut self, words: &[u32]) -> Result<(), KernelError> {
        let class = size_class(words.len() * 4)?;
        if class == self.command.class {
            return table::swap(
                &self.command.map("command_tables")?,
                "command_table",
                class,
                words,
            );
        }
        let instance = self.instance + 1;
        let mut command = Programs::load(&self.pins, COMMAND, instance, "command_tables", class)?;
        let mut scope = Programs::load(&self.pins, SCOPE, instance, "scope_tables", SCOPE_CLASS)?;
        table::swap(
            &command.map("command_tables")?,
            "command_table",
            class,
            words,
        )?;
        scope.attach(&self.pins, instance)?;
        command.attach(&self.pins, instance)?;
        self.instance = instance;
        self.take_over()?;
        self.command = command;
        self.scope = scope;
        self.remove_other_tables()
    }

    /// Swaps the table that new cgroups are judged with. Existing ones keep their entries until rewritten.
    pub fn replace_scope_table(&mut self, words: &[u32]) -> Result<(), KernelError> {
        if words.len() * 4 > SCOPE_CLASS {
            return Err(KernelError::TableTooLarge {
                bytes: words.len() * 4,
                largest: SCOPE_CLASS,
            });
        }
        table::swap(
            &self.scope.map("scope_tables")?,
            "scope_table",
            SCOPE_CLASS,
            words,
        )
    }

    /// Writes all policies, from index 0 ("out of scope") on.
    pub fn replace_policies(&mut self, policies: &[KernelPolicy]) -> Result<(), KernelError> {
        write_policies(&self.scope.map("policies")?, policies, self.policies)?;
        self.policies = policies.len();
        Ok(())
    }

    /// Enters a cgroup that existed before the programs did.
    pub fn set_scope(&self, cgroup: u64, policy: u32) -> Result<(), KernelError> {
        self.scope
            .map("scopes")?
            .update(&cgroup.to_ne_bytes(), &policy.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("enter the cgroup {cgroup} in the scope map"))
    }

    /// Writes what settings say; switches that operators flipped are left alone.
    pub fn write_cells(&self, options: &KernelOptions) -> Result<(), KernelError> {
        let (device, inode) = own_binary().doing(|| "look at the agent's own binary".to_owned())?;
        let lease = u64::try_from(options.lease.as_nanos()).unwrap_or(u64::MAX);
        for (cell, value) in [
            (Cell::RootCgroup, options.root_cgroup),
            (Cell::AgentDevice, device),
            (Cell::AgentInode, inode),
            (Cell::UidMin, u64::from(options.uid_min.unwrap_or(0))),
            (Cell::UsersPolicy, u64::from(options.users_policy)),
            (Cell::FilelessKill, u64::from(options.fileless_kill)),
            (Cell::UnscannedKill, u64::from(options.unscanned_kill)),
            (Cell::Layout, u64::from(LAYOUT_VERSION)),
            (Cell::HostMounts, host_mounts()),
            (Cell::Lease, lease),
        ] {
            self.cells.set(cell, value)?;
        }
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

    /// A handle that hands the bytes of each event to `consume`, what was left over from an earlier agent first.
    pub fn events<'a>(
        &self,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<EventStream<'a>, KernelError> {
        let path = self.pins.map("command_events");
        let map = MapHandle::from_pinned_path(&path)
            .doing(|| format!("open the pinned map {}", path.display()))?;
        let mut consume = consume;
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                consume(bytes);
                0
            })
            .doing(|| "open the event ring".to_owned())?;
        let ring = builder.build().doing(|| "open the event ring".to_owned())?;
        Ok(EventStream { ring, _map: map })
    }
}

/// The ring of events, read by one thread.
#[derive(Debug)]
pub struct EventStream<'a> {
    ring: libbpf_rs::RingBuffer<'a>,
    /// Its descriptor is what the ring waits on.
    _map: MapHandle,
}

impl EventStream<'_> {
    /// Waits for events up to `timeout` and hands over all that there are.
    pub fn poll(&self, timeout: Duration) -> Result<(), KernelError> {
        match self.ring.poll(timeout) {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            result => result.doing(|| "read the event ring".to_owned()),
        }
    }
}

impl Programs {
    fn load(
        pins: &Pins,
        bytes: &'static [u8],
        instance: u64,
        tables: &'static str,
        class: usize,
    ) -> Result<Self, KernelError> {
        let object = Load {
            bytes,
            pins: Some(pins),
            instance,
            tables: (tables, class),
        }
        .load()?;
        Ok(Self {
            object,
            class,
            links: Vec::new(),
        })
    }

    /// Attaches every program that hangs on an event by itself, and pins the link.
    fn attach(&mut self, pins: &Pins, instance: u64) -> Result<(), KernelError> {
        for program in self.object.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            if !name.starts_with("on_") {
                continue;
            }
            let mut link = program
                .attach()
                .doing(|| format!("attach the program {name}"))?;
            let path = pins.links().join(format!("{name}-{instance}"));
            link.pin(&path)
                .doing(|| format!("pin the link {}", path.display()))?;
            self.links.push(link);
        }
        Ok(())
    }

    fn map(&self, name: &str) -> Result<libbpf_rs::Map<'_>, KernelError> {
        self.object
            .maps()
            .find(|map| map.name() == name)
            .ok_or_else(|| KernelError::Io {
                what: format!("find the map {name}"),
                source: std::io::ErrorKind::NotFound.into(),
            })
    }
}
