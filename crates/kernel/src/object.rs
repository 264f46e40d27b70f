//! Opening an embedded object, with its maps pinned by name and its constants set, in the variant that the kernel takes.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::Once,
};

use libbpf_rs::{
    MapHandle, Object, ObjectBuilder, OpenObject,
    btf::{Btf, types::Struct},
};

use miniz_oxide::inflate::decompress_to_vec;

use crate::{
    Pins,
    error::{Doing, KernelError},
    sensor,
    source_table::{self, SourceTable},
    table,
};

/// The same programs, compiled for kernels with and without a helper.
#[derive(Debug)]
pub(crate) struct Embedded {
    /// The map of tables, where it has one.
    pub tables: &'static str,
    with_bpf_loop: &'static [u8],
    without_bpf_loop: &'static [u8],
}

macro_rules! compiled {
    ($name:literal, $suffix:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, $suffix))
    };
}

macro_rules! embedded {
    ($name:literal) => {
        Embedded {
            tables: concat!($name, "_tables"),
            with_bpf_loop: compiled!($name, ".bpf.o"),
            without_bpf_loop: compiled!($name, ".without-bpf-loop.bpf.o"),
        }
    };
}

/// One that repeats nothing.
macro_rules! embedded_once {
    ($name:literal) => {{
        static PROGRAMS: &[u8] = compiled!($name, ".bpf.o");
        Embedded {
            tables: concat!($name, "_tables"),
            with_bpf_loop: PROGRAMS,
            without_bpf_loop: PROGRAMS,
        }
    }};
}

pub(crate) static COMMAND: Embedded = embedded!("command");
pub(crate) static EGRESS: Embedded = embedded_once!("egress");
pub(crate) static INBOUND: Embedded = embedded_once!("inbound");
pub(crate) static OUTBOUND: Embedded = embedded_once!("outbound");
pub(crate) static PACKET_SOCKET: Embedded = embedded_once!("packet_socket");
pub(crate) static POOL: Embedded = embedded_once!("pool");
pub(crate) static RANDOMX: Embedded = embedded!("randomx");
pub(crate) static SCOPE: Embedded = embedded!("scope");

/// How the programs repeat a step; the verdicts are the same. See `bpf/repeat.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// By the helper `bpf_loop`, which came with Linux 5.17.
    WithBpfLoop,
    /// By loops around global functions: slower, and good from Linux 5.10 on.
    WithoutBpfLoop,
}

impl Variant {
    /// In the order in which they are tried.
    pub const ALL: &'static [Self] = &[Self::WithBpfLoop, Self::WithoutBpfLoop];

    fn of(self, programs: &Embedded) -> io::Result<Vec<u8>> {
        let packed = match self {
            Self::WithBpfLoop => programs.with_bpf_loop,
            Self::WithoutBpfLoop => programs.without_bpf_loop,
        };
        decompress_to_vec(packed).map_err(|error| io::Error::other(error.to_string()))
    }
}

/// What differs from one load of an object to the next.
pub(crate) struct Load<'a> {
    /// The programs.
    pub programs: &'static Embedded,
    /// Which variants are tried; the first that the kernel takes is loaded.
    pub variants: &'a [Variant],
    /// Where maps are pinned; none for tests, whose maps live as long as the object.
    pub pins: Option<&'a Pins>,
    /// Number of this set of programs.
    pub instance: u64,
    /// Size of the first table; those that replace it are of the same size class.
    pub table_bytes: usize,
    /// How many sources the guard `inbound` remembers.
    pub sources: SourceTable,
}

/// Where `bpf/randomx.bpf.c` keeps what it saw of threads: with the threads, or in a table of its own.
const TASKS: &str = "rounding_tasks";
const THREADS: &str = "rounding_threads";

/// The section of `constants` in `bpf/maps.h`, as the name of its map shows it.
const CONSTANTS: &str = "rodata.con";

impl Load<'_> {
    /// Programs for nobody but who loads them: in any variant, with maps that live as long as the object.
    pub(crate) fn unpinned(programs: &'static Embedded) -> Self {
        Self {
            programs,
            variants: Variant::ALL,
            pins: None,
            instance: 0,
            table_bytes: 0,
            sources: SourceTable::default(),
        }
    }

    /// Opens and loads the object; nothing is attached yet. Where the kernel takes no variant, the error is that of the
    /// last: what kept the others from loading matters less.
    pub(crate) fn load(&self) -> Result<(Object, Variant), KernelError> {
        if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(KernelError::NoTypeInformation);
        }
        send_libbpf_log_to_tracing();
        let (template, class) = table::template(self.table_bytes)?;
        let mut last = Err(io::Error::from(io::ErrorKind::InvalidInput))
            .doing(|| "load no variant of the kernel programs".to_owned());
        for variant in self.variants {
            last = self
                .open(*variant, &template, class)?
                .load()
                .doing(|| "load the kernel programs".to_owned())
                .map(|object| (object, *variant));
            match &last {
                Ok(_) => break,
                Err(error) => tracing::debug!("the kernel does not take {variant:?}: {error}"),
            }
        }
        last
    }

    fn open(
        &self,
        variant: Variant,
        template: &MapHandle,
        class: usize,
    ) -> Result<OpenObject, KernelError> {
        let tables = self.programs.tables;
        let doing = || "open the embedded kernel programs".to_owned();
        let programs = variant.of(self.programs).doing(doing)?;
        let mut open = ObjectBuilder::default()
            .open_memory(&programs)
            .doing(doing)?;
        let task_storage = open.maps().any(|map| map.name() == TASKS) && has_safe_task_storage();
        self.set_constants(&mut open, class, task_storage)?;
        for mut program in open.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            // These are for tests, and cost the verifier as much again.
            let for_tests = self.pins.is_some() && name.starts_with("judge_");
            program.set_autoload(!for_tests && sensor::is_wanted(&name));
        }
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if name == tables {
                map.set_inner_map_fd(template.as_fd())
                    .doing(|| format!("set the size class of {name}"))?;
            }
            if name == source_table::MAP {
                map.set_max_entries(self.sources.buckets())
                    .doing(|| format!("set the size of {name}"))?;
            }
            if name == if task_storage { THREADS } else { TASKS } {
                map.set_autocreate(false)
                    .doing(|| format!("leave out the map {name}"))?;
            }
            if let Some(pins) = self.pins
                && !name.contains("rodata")
            {
                let file = if name == tables {
                    format!("{name}-{class}")
                } else if name == source_table::MAP {
                    self.sources.pin()
                } else {
                    name.clone()
                };
                map.set_pin_path(pins.map(&file))
                    .doing(|| format!("pin the map {name}"))?;
            }
        }
        Ok(open)
    }

    /// Fills `constants` of `bpf/maps.h`: the instance, the mask, whether threads keep what belongs to them, and how many
    /// buckets of sources there are.
    fn set_constants(
        &self,
        open: &mut OpenObject,
        class: usize,
        task_storage: bool,
    ) -> Result<(), KernelError> {
        let doing = || "set the constants of the kernel programs".to_owned();
        let mask = (class / 4 - 1) as u64;
        let mut map = open
            .maps_mut()
            .find(|map| map.name().to_string_lossy().contains(CONSTANTS))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .doing(doing)?;
        let mut value = map.initial_value_mut().unwrap_or_default();
        let buckets = u64::from(self.sources.buckets());
        for constant in [self.instance, mask, u64::from(task_storage), buckets - 1] {
            value.write_all(&constant.to_ne_bytes()).doing(doing)?;
        }
        Ok(())
    }
}

/// Whether entries of task storage may be created while a run queue is locked. Since Linux 6.4 they come from an
/// allocator of BPF's own, and the kernel's description of the map shows it.
fn has_safe_task_storage() -> bool {
    let Ok(types) = Btf::from_vmlinux() else {
        return false;
    };
    let storage = types.type_by_name::<Struct<'_>>("bpf_local_storage_map");
    storage.is_some_and(|storage| {
        storage.iter().any(|member| {
            let name = member.name.unwrap_or_default();
            ["bpf_ma", "use_kmalloc_nolock"].contains(&&*name.to_string_lossy())
        })
    })
}

/// The verifier's words are the only explanation of a refused program: they belong in the log.
fn send_libbpf_log_to_tracing() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |level, text| {
            let text = text.trim_end();
            match level {
                libbpf_rs::PrintLevel::Warn => tracing::debug!(target: "libbpf", "{text}"),
                _ => tracing::trace!(target: "libbpf", "{text}"),
            }
        })));
    });
}
