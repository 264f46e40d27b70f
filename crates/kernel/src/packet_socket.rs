//! Refusing packet sockets where they are made, by BPF LSM: where the kernel calls its programs, which is seen by trying.

use std::fs;

use libbpf_rs::MapCore;
use rustix::net::{AddressFamily, SocketType, socket};

use crate::{
    Counters, KernelError, Pins, Variant,
    error::Doing,
    object::{Load, PACKET_SOCKET},
    programs::Programs,
};

/// Which security modules are active. In many containers it is not there.
const MODULES: &str = "/sys/kernel/security/lsm";

/// The map that shows whether it is called.
const COUNTERS: &str = "counters";

/// The program, or why it refuses nothing. No guard fails for that.
#[derive(Debug)]
pub(crate) struct PacketSocket(Result<Programs, KernelError>);

impl PacketSocket {
    /// Loads it, unless it is known not to be called.
    pub(crate) fn load(variants: &[Variant], pins: &Pins, instance: u64) -> Self {
        let load = || Programs::load(&PACKET_SOCKET, variants, pins, instance, &[]);
        Self(require_module().and_then(|()| load().map_err(refused)))
    }

    /// Attaches and pins it, where it is called then.
    pub(crate) fn attach(&mut self, pins: &Pins, instance: u64) {
        let Ok(programs) = &mut self.0 else { return };
        if let Err(error) = try_attach(programs, pins, instance) {
            self.0 = Err(error);
        }
    }

    /// Takes it off.
    pub(crate) fn detach(&mut self) {
        if let Ok(programs) = &mut self.0 {
            programs.links.clear();
        }
    }

    /// Why it refuses nothing, where it does not.
    pub(crate) fn failure(&self) -> Option<&KernelError> {
        self.0.as_ref().err()
    }
}

fn try_attach(programs: &mut Programs, pins: &Pins, instance: u64) -> Result<(), KernelError> {
    let links = programs.attached(|program| program.attach())?;
    require_call(&programs.map(COUNTERS)?)?;
    programs.pin(links, pins, instance)
}

/// Whether the kernel calls such a program: it is attached for this moment, with maps of its own, by which it refuses nothing.
pub(crate) fn probe() -> Result<(), KernelError> {
    require_module()?;
    let (object, _) = Load::unpinned(&PACKET_SOCKET).load().map_err(refused)?;
    let links = object.progs_mut().map(|program| program.attach());
    let _links = links
        .collect::<Result<Vec<_>, _>>()
        .doing(|| "attach a program of BPF LSM".to_owned())?;
    let mut maps = object.maps();
    match maps.find(|map| map.name() == COUNTERS) {
        Some(counters) => require_call(&counters),
        None => Err(KernelError::BpfLsmNeverRuns),
    }
}

fn require_module() -> Result<(), KernelError> {
    match fs::read_to_string(MODULES) {
        Ok(active) if !has_bpf(&active) => Err(KernelError::NoBpfLsm {
            active: active.trim().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whoever gets here has loaded other programs.
fn refused(error: KernelError) -> KernelError {
    match error {
        KernelError::NoPrivileges { .. } => KernelError::BpfLsmRefused,
        other => other,
    }
}

fn has_bpf(active: &str) -> bool {
    active.trim().split(',').any(|module| module == "bpf")
}

/// Asks for a socket of no type, which no family has, and every process may ask for. Whoever is called counts that.
fn require_call(counters: &impl MapCore) -> Result<(), KernelError> {
    let asked = || Counters::from_map(counters).map(|counters| counters.outbound_asked);
    let before = asked()?;
    let _ = socket(AddressFamily::UNIX, SocketType::from_raw(0), None);
    if asked()? > before {
        Ok(())
    } else {
        Err(KernelError::BpfLsmNeverRuns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_by_its_whole_name() {
        assert!(has_bpf("lockdown,capability,yama,bpf\n"));
        assert!(!has_bpf("lockdown,capability,bpfish\n"));
    }
}
