//! Opening an embedded object, with its maps pinned by name and its constants set.

use std::{
    io::{self, Write},
    sync::Once,
};

use libbpf_rs::{Object, ObjectBuilder, OpenObject};

use crate::{
    Pins,
    error::{Doing, KernelError},
    table,
};

pub(crate) static COMMAND: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/command.bpf.o"));
pub(crate) static SCOPE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/scope.bpf.o"));

/// What differs from one load of an object to the next.
pub(crate) struct Load<'a> {
    /// The object's bytes.
    pub bytes: &'static [u8],
    /// Where maps are pinned; none for tests, whose maps live as long as the object.
    pub pins: Option<&'a Pins>,
    /// Number of this set of programs.
    pub instance: u64,
    /// The map of tables and its size class.
    pub tables: (&'static str, usize),
}

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
        self.set_constants(&mut open)?;
        let (tables, class) = self.tables;
        let template = table::inner_map("template", class)?;
        for mut map in open.maps_mut() {
            let name = map.name().to_string_lossy().into_owned();
            if name == tables {
                use std::os::fd::AsFd;
                map.set_inner_map_fd(template.as_fd())
                    .doing(|| format!("set the size class of {name}"))?;
            }
            if let Some(pins) = self.pins
                && !name.contains("rodata")
            {
                let file = if name == tables {
                    format!("{name}-{class}")
                } else {
                    name.clone()
                };
                map.set_pin_path(pins.map(&file))
                    .doing(|| format!("pin the map {name}"))?;
            }
        }
        open.load().doing(|| "load the kernel programs".to_owned())
    }

    /// Fills `constants` of `bpf/maps.h`: the instance, then the mask.
    fn set_constants(&self, open: &mut OpenObject) -> Result<(), KernelError> {
        let doing = || "set the constants of the kernel programs".to_owned();
        let mask = (self.tables.1 / 4 - 1) as u64;
        let mut map = open
            .maps_mut()
            .find(|map| map.name().to_string_lossy().contains(CONSTANTS))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .doing(doing)?;
        let mut value = map.initial_value_mut().unwrap_or_default();
        for constant in [self.instance, mask] {
            value.write_all(&constant.to_ne_bytes()).doing(doing)?;
        }
        Ok(())
    }
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
