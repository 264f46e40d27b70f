//! Where the guard `inbound` looks: its programs on network interfaces.

use std::collections::BTreeMap;

use crate::{EventStream, Hook, Kernel, KernelError};

impl Kernel {
    /// Has the guard `inbound` look at these interfaces, by the first of the hooks that works, and at no others. Says of each by
    /// which it does, or why it does not; of one that is looked at already, nothing is changed.
    pub fn look_at(
        &mut self,
        devices: &BTreeMap<u32, Vec<Hook>>,
    ) -> BTreeMap<u32, Result<Hook, KernelError>> {
        let _ = devices;
        BTreeMap::new()
    }

    /// Has the programs of the guard drop a packet of a banned source and let another pass, without a network: a proof that they
    /// work, beside that they are attached.
    pub fn prove_inbound(&mut self) -> Result<bool, KernelError> {
        Ok(false)
    }

    /// First contacts, as [`Kernel::contacts`] has those of the guard `outbound`.
    pub fn inbound_contacts<'a>(
        &self,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<EventStream<'a>, KernelError> {
        EventStream::open(vec![self.pins.open("inbound_log")?], consume)
    }
}
