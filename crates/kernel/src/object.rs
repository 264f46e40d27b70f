//! Opening an embedded object, with its maps pinned by name and its constants set.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    sync::Once,
};

use libbpf_rs::{
    Object, ObjectBuilder, OpenObject,
    btf::{Btf, types::Struct},
};

use crate::{
    Pins,
    error::{Doing, KernelError},
    table,
};

pub(crate) static COMMAND: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/command.bpf.o"));
pub(crate) static RANDOMX: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/randomx.bpf.o"));
pub(crate) static SCOPE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/scope.bpf.o"));

/// What differs from one load of an object to the next.
pub(crate) struct Load<'a> {
    /// The object's bytes.
    pub bytes: &'static [u8],
    /// Where maps are pinned; none for tests, whose maps live as long as the object.
    pub pins: Option<&'a Pins>,
    /// Number of this set of programs.
    pub instance: u64,
    /// The map of tables and its size class, where the object has one.
    pub tables: Option<(&'static str, usize)>,
}

/// Where `bpf/randomx.bpf.c` keeps what it saw of threads: with the threads, or in a table of its own.
const TASKS: &str = "rounding_tasks";
const THREADS: &str = "rounding_threads";

/// The section of `constants` in `bpf/maps.h`, as the name of its map shows it.
const CONSTANTS: &str = "rodata.con";

impl Load<'_> {
    /// Opens and loads the object; nothing is attached yet.
    pub(crate) fn load(&self) -> Result<Object, KernelError> {
        if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(KernelError::NoTypeInformation);
        }
        send_libbpf_log_to_tracing();
        let mut open = ObjectBuilder::default()
            .open_memory(self.bytes)
            .doing(|| "open the embedded kernel programs".to_owned())?;
        let task_storage = open.maps().any(|map| map.name() == TASKS) && has_safe_task_storage();
        self.set_constants(&mut open, task_storage)?;
        if self.pins.is_some() {
            // What hangs on no event is for tests, and costs the verifier as much again.
            for mut program in open.progs_mut() {
                let attached = program.name().to_string_lossy().starts_with("on_");
                program.set_autoload(attached);
            }
        }
        let template = match self.tables {
            Some((_, class)) => Some(table::inner_map("template", class)?),
            None => None,
        };
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            let class = self.tables.filter(|(tables, _)| name == *tables);
            if let (Some(_), Some(template)) = (class, &template) {
                map.set_inner_map_fd(template.as_fd())
                    .doing(|| format!("set the size class of {name}"))?;
            }
            if name == if task_storage { THREADS } else { TASKS } {
                map.set_autocreate(false)
                    .doing(|| format!("leave out the map {name}"))?;
            }
            if let Some(pins) = self.pins
                && !name.contains("rodata")
            {
                let file = class.map_or(name.clone(), |(_, class)| format!("{name}-{class}"));
                map.set_pin_path(pins.map(&file))
                    .doing(|| format!("pin the map {name}"))?;
            }
        }
        open.load().doing(|| "load the kernel programs".to_owned())
    }

    /// Fills `constants` of `bpf/maps.h`: the instance, the mask, and whether threads keep what belongs to them.
    fn set_constants(&self, open: &mut OpenObject, task_storage: bool) -> Result<(), KernelError> {
        let doing = || "set the constants of the kernel programs".to_owned();
        let mask = self.tables.map_or(0, |(_, class)| (class / 4 - 1) as u64);
        let mut map = open
            .maps_mut()
            .find(|map| map.name().to_string_lossy().contains(CONSTANTS))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .doing(doing)?;
        let mut value = map.initial_value_mut().unwrap_or_default();
        for constant in [self.instance, mask, u64::from(task_storage)] {
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
