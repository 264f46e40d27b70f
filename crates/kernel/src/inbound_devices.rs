//! Where the guard `inbound` looks: its programs on network interfaces.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use crate::{
    EventStream, Hook, Kernel, KernelError, Pins, Variant,
    error::Doing,
    frames,
    inbound_proof::Proof,
    object::{INBOUND, Load},
    programs::Programs,
    source_table::SourceTable,
    test_run::run_on_frame,
    xdp,
};

/// Programs of the guard, by what they look at.
const PACKET: &str = "on_inbound_packet";
const FRAME: &str = "on_inbound_frame";
const ANSWER: &str = "on_inbound_answer";

/// Answers of a program of XDP.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// Answers of a classifier: the packet is dropped, or goes on to whoever else looks.
const FRAME_DROP: u32 = 2;
const FRAME_PASS: u32 = u32::MAX;

/// What the guard has shown at an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundProof {
    /// Its program is there, and dropped a packet of a banned source and no other.
    Works,
    /// Its program is there, and did not.
    Fails,
    /// Somebody has taken its programs off.
    TakenOff,
}

/// Whether a pin among the links is the guard's.
pub(crate) fn is_inbound(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("on_inbound"))
}

/// The guard's programs, and where they are.
#[derive(Debug)]
pub(crate) struct Inbound {
    programs: Programs,
    sources: SourceTable,
    devices: BTreeMap<u32, Hook>,
}

impl Inbound {
    pub(crate) fn load(
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        sources: SourceTable,
    ) -> Result<Self, KernelError> {
        sources.require_memory(pins)?;
        let programs = Self::programs(variants, pins, instance, sources);
        Ok(Self {
            programs: programs.map_err(KernelError::on_network)?,
            sources,
            devices: BTreeMap::new(),
        })
    }

    fn programs(
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        sources: SourceTable,
    ) -> Result<Programs, KernelError> {
        Programs::of(&Load {
            programs: &INBOUND,
            variants,
            pins: Some(pins),
            instance,
            table_bytes: 0,
            sources,
        })
    }

    /// Where the table of sources is pinned.
    pub(crate) fn source_table(&self, pins: &Pins) -> PathBuf {
        pins.map(&self.sources.pin())
    }

    /// Attaches what hangs on no device.
    pub(crate) fn attach(&mut self, pins: &Pins, instance: u64) -> Result<(), KernelError> {
        self.programs.attach(pins, instance)
    }

    pub(crate) fn detach(&mut self) {
        self.programs.links.clear();
        self.devices.clear();
    }

    /// The same as another instance, where this one was.
    pub(crate) fn reload(
        &mut self,
        variants: &[Variant],
        pins: &Pins,
        instance: u64,
        as_filters: bool,
    ) -> Result<(), KernelError> {
        let devices = std::mem::take(&mut self.devices);
        self.programs = Self::programs(variants, pins, instance, self.sources)?;
        self.attach(pins, instance)?;
        for (device, hook) in devices {
            self.attach_to(device, hook, pins, instance, as_filters)?;
        }
        Ok(())
    }

    /// What arrives is looked at by `hook`, and what leaves by a classifier, which is all that sees it.
    fn attach_to(
        &mut self,
        device: u32,
        hook: Hook,
        pins: &Pins,
        instance: u64,
        as_filters: bool,
    ) -> Result<(), KernelError> {
        let links = pins.links();
        let by_classifier = hook == Hook::Tc;
        for mut program in self.programs.object.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            match name.as_str() {
                PACKET if !by_classifier => {
                    let pin = links.join(format!("{name}@{device}-{instance}"));
                    match former(pins, device, instance) {
                        Some(former) => xdp::replace(&program, &former, &pin)?,
                        None => xdp::attach(&program, device, hook, &pin)?,
                    }
                }
                FRAME if !by_classifier => {}
                FRAME | ANSWER => {
                    frames::attach(&mut program, device, &links, instance, as_filters)?;
                }
                _ => {}
            }
        }
        self.devices.insert(device, hook);
        Ok(())
    }

    /// Takes what was attached of this instance off a device.
    fn leave(&mut self, device: u32, pins: &Pins, instance: u64) {
        self.devices.remove(&device);
        for (path, of) in pins.pinned_links() {
            if of == instance && is_inbound(&path) && frames::device_of(&path) == Some(device) {
                let _ = frames::remove(&path);
            }
        }
    }

    /// Whether the program of a hook drops what a banned source sends, and nothing else.
    fn shows(&self, hook: Hook, proof: &Proof) -> Result<bool, KernelError> {
        let (program, drop, pass) = match hook {
            Hook::Native | Hook::Generic => (PACKET, XDP_DROP, XDP_PASS),
            Hook::Tc => (FRAME, FRAME_DROP, FRAME_PASS),
        };
        let answer = |frame: &[u8]| run_on_frame(&self.programs.object, program, frame);
        Ok(answer(&proof.frame(true))? == drop && answer(&proof.frame(false))? == pass)
    }
}

/// Whether both of an instance's programs still are at a device: that which sees what arrives, and that which sees what leaves.
/// `links` are all that are pinned.
fn is_in_place(device: u32, links: &[(PathBuf, u64)], instance: u64) -> bool {
    let there = links.iter().filter(|(path, of)| {
        *of == instance && is_inbound(path) && frames::device_of(path) == Some(device)
    });
    there.filter(|(path, _)| frames::is_in_place(path)).count() == 2
}

/// The link of an earlier instance's program of XDP at a device.
fn former(pins: &Pins, device: u32, instance: u64) -> Option<PathBuf> {
    let mut links = pins.pinned_links().into_iter();
    let is_packet = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(PACKET))
    };
    let former = links.find(|(path, of)| {
        *of != instance && is_packet(path) && frames::device_of(path) == Some(device)
    });
    former.map(|(path, _)| path)
}

impl Kernel {
    /// Has the guard `inbound` look at these interfaces, by the first of the hooks that works, and at no others. Says of each by
    /// which it does, or why it does not; of one that is looked at already, nothing is changed, unless somebody else has taken a
    /// program off there.
    pub fn look_at(
        &mut self,
        devices: &BTreeMap<u32, Vec<Hook>>,
    ) -> BTreeMap<u32, Result<Hook, KernelError>> {
        let Some(Ok(inbound)) = &mut self.inbound else {
            return BTreeMap::new();
        };
        let (pins, instance, as_filters) = (&self.pins, self.instance, self.filters);
        let links = pins.pinned_links();
        let known: Vec<u32> = inbound.devices.keys().copied().collect();
        for device in known {
            let is_wanted = devices
                .get(&device)
                .is_some_and(|hooks| hooks.contains(&inbound.devices[&device]));
            let is_in_place = is_in_place(device, &links, instance);
            if is_wanted && !is_in_place {
                tracing::warn!(
                    "somebody has taken programs of the guard inbound off the network device {device}: they are attached again, as settings have it (`hayward off --guard inbound` ends what they do)"
                );
            }
            if !is_wanted || !is_in_place {
                inbound.leave(device, pins, instance);
            }
        }
        let pinned = self.pins.pinned_links().into_iter();
        let pinned = pinned.map(|(path, _)| path).filter(|path| is_inbound(path));
        frames::forget(pinned, |device| devices.contains_key(&device));
        let mut looks = BTreeMap::new();
        for (device, hooks) in devices {
            let mut result = match inbound.devices.get(device) {
                Some(hook) => Ok(*hook),
                None => Err(std::io::Error::from(Errno::NODEV))
                    .doing(|| format!("look at the network device {device}")),
            };
            for hook in hooks {
                if result.is_ok() {
                    break;
                }
                let attached = inbound.attach_to(*device, *hook, pins, instance, as_filters);
                if attached.is_err() {
                    inbound.leave(*device, pins, instance);
                }
                result = attached.map(|()| *hook);
            }
            looks.insert(*device, result);
        }
        looks
    }

    /// Has the guard's programs drop a packet of a source that is banned for this, and let another's pass, without a network: a
    /// proof that they work, beside that they are attached.
    pub fn prove_inbound(&self) -> Result<bool, KernelError> {
        let proof = Proof::begin(&self.pins)?;
        let Some(Ok(inbound)) = &self.inbound else {
            return Ok(false);
        };
        Ok(inbound.shows(Hook::Generic, &proof)? && inbound.shows(Hook::Tc, &proof)?)
    }

    /// The same for each interface at which it looks, by the program that is there, and whether it still is.
    pub fn prove_inbound_at(&self) -> Result<BTreeMap<u32, InboundProof>, KernelError> {
        let proof = Proof::begin(&self.pins)?;
        let Some(Ok(inbound)) = &self.inbound else {
            return Ok(BTreeMap::new());
        };
        let links = self.pins.pinned_links();
        let mut proofs = BTreeMap::new();
        for (&device, &hook) in &inbound.devices {
            let proof = if !is_in_place(device, &links, self.instance) {
                InboundProof::TakenOff
            } else if inbound.shows(hook, &proof)? {
                InboundProof::Works
            } else {
                InboundProof::Fails
            };
            proofs.insert(device, proof);
        }
        Ok(proofs)
    }

    /// First contacts, as [`Kernel::contacts`] has those of the guard `outbound`.
    pub fn inbound_contacts<'a>(
        &self,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<EventStream<'a>, KernelError> {
        EventStream::open(vec![self.pins.open("inbound_log")?], consume)
    }
}
