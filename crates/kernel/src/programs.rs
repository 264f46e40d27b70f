//! Loaded objects: their tables, and how they are put on their events.

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use libbpf_rs::{Link, MapCore, Object, ProgramMut};

use crate::{
    KernelError, Pins, Variant,
    error::Doing,
    frames,
    object::{COMMAND, Embedded, Load, RANDOMX, SCOPE},
    source_table::SourceTable,
    table::{self, size_class},
    test_run,
};

/// One loaded object and its attachments.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) object: Object,
    embedded: &'static Embedded,
    class: usize,
    pub(crate) links: Vec<Link>,
}

/// One instance of every object, not attached yet.
pub(crate) struct Loaded {
    pub(crate) command: Programs,
    pub(crate) scope: Programs,
    pub(crate) randomx: Result<Programs, KernelError>,
}

impl Loaded {
    pub(crate) fn load(
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        command_words: &[u32],
        scope_words: &[u32],
    ) -> Result<Self, KernelError> {
        Ok(Self {
            scope: Programs::load(&SCOPE, variants, pins, instance, scope_words)?,
            command: Programs::load(&COMMAND, variants, pins, instance, command_words)?,
            randomx: Programs::load(&RANDOMX, variants, pins, instance, &[]),
        })
    }
}

/// Programs on the sockets and packets of a cgroup and of those below it.
#[derive(Debug)]
pub(crate) struct OnCgroup {
    programs: Programs,
    cgroup: File,
}

impl OnCgroup {
    pub(crate) fn load(
        embedded: &'static Embedded,
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        cgroup: &Path,
    ) -> Result<Self, KernelError> {
        let programs = Programs::load(embedded, variants, pins, instance, &[]);
        Ok(Self {
            programs: programs.map_err(KernelError::on_cgroups)?,
            cgroup: File::open(cgroup).doing(|| format!("open {}", cgroup.display()))?,
        })
    }

    /// Attaches every program, and pins the link.
    pub(crate) fn attach(&mut self, pins: &Pins, instance: u64) -> Result<(), KernelError> {
        let cgroup = self.cgroup.as_raw_fd();
        let links = self
            .programs
            .attached(|program| program.attach_cgroup(cgroup))?;
        self.programs.pin(links, pins, instance)
    }

    /// Puts those that look at frames on a network device, and pins them.
    pub(crate) fn attach_to_device(
        &mut self,
        device: u32,
        pins: &Pins,
        instance: u64,
        as_filters: bool,
    ) -> Result<(), KernelError> {
        let links = pins.links();
        self.programs
            .object
            .progs_mut()
            .filter(frames::looks_at_frames)
            .try_for_each(|mut program| {
                frames::attach(&mut program, device, &links, instance, as_filters)
            })
    }

    /// Runs a program that hangs on no event, as if this were a frame.
    pub(crate) fn run(&self, name: &str, frame: &[u8]) -> Result<(), KernelError> {
        test_run::run_on_frame(&self.programs.object, name, frame)?;
        Ok(())
    }

    /// Takes them off.
    pub(crate) fn detach(&mut self) {
        self.programs.links.clear();
    }

    /// The same as another instance, attached.
    pub(crate) fn again(
        self,
        pins: &Pins,
        instance: u64,
        variants: &[Variant],
    ) -> Result<Self, KernelError> {
        let embedded = self.programs.embedded;
        let programs = Programs::load(embedded, variants, pins, instance, &[])?;
        let mut again = Self { programs, ..self };
        again.attach(pins, instance)?;
        Ok(again)
    }
}

impl Programs {
    pub(crate) fn load(
        embedded: &'static Embedded,
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        words: &[u32],
    ) -> Result<Self, KernelError> {
        Self::of(&Load {
            programs: embedded,
            variants,
            pins: Some(pins),
            instance,
            table_bytes: words.len() * 4,
            sources: SourceTable::default(),
        })
    }

    pub(crate) fn of(load: &Load<'_>) -> Result<Self, KernelError> {
        let (object, _) = load.load()?;
        Ok(Self {
            object,
            embedded: load.programs,
            class: size_class(load.table_bytes)?,
            links: Vec::new(),
        })
    }

    /// Whether a table of these words is of the size class that the programs were loaded for.
    pub(crate) fn holds(&self, words: &[u32]) -> Result<bool, KernelError> {
        Ok(size_class(words.len() * 4)? == self.class)
    }

    /// Swaps the table for one of the same size class.
    pub(crate) fn swap(&self, words: &[u32]) -> Result<(), KernelError> {
        let tables = self.embedded.tables;
        table::swap(&self.map(tables)?, tables, self.class, words)
    }

    /// Where the map of tables is pinned.
    pub(crate) fn tables(&self, pins: &Pins) -> PathBuf {
        pins.map(&format!("{}-{}", self.embedded.tables, self.class))
    }

    /// Attaches every program, and pins the link.
    pub(crate) fn attach(&mut self, pins: &Pins, instance: u64) -> Result<(), KernelError> {
        let links = self.attached(|program| program.attach())?;
        self.pin(links, pins, instance)
    }

    pub(crate) fn pin(
        &mut self,
        links: Vec<(String, Link)>,
        pins: &Pins,
        instance: u64,
    ) -> Result<(), KernelError> {
        for (name, mut link) in links {
            let path = pins.links().join(format!("{name}-{instance}"));
            link.pin(&path)
                .doing(|| format!("pin the link {}", path.display()))?;
            self.links.push(link);
        }
        Ok(())
    }

    /// Attaches every program for as long as the links are held.
    pub(crate) fn attach_for_now(&mut self) -> Result<(), KernelError> {
        let links = self.attached(|program| program.attach())?;
        self.links = links.into_iter().map(|(_, link)| link).collect();
        Ok(())
    }

    /// A link for every program that hangs on an event by itself, with its name.
    pub(crate) fn attached(
        &mut self,
        attach: impl Fn(&ProgramMut<'_>) -> libbpf_rs::Result<Link>,
    ) -> Result<Vec<(String, Link)>, KernelError> {
        let mut links = Vec::new();
        for program in self.object.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            let by_itself = name.starts_with("on_") && !frames::looks_at_frames(&program);
            if !by_itself || !program.autoload() {
                continue;
            }
            let link = attach(&program).doing(|| format!("attach the program {name}"))?;
            links.push((name, link));
        }
        Ok(links)
    }

    pub(crate) fn map(&self, name: &str) -> Result<libbpf_rs::Map<'_>, KernelError> {
        self.object
            .maps()
            .find(|map| map.name() == name)
            .ok_or_else(|| KernelError::Io {
                what: format!("find the map {name}"),
                source: std::io::ErrorKind::NotFound.into(),
            })
    }
}
