//! The programs of the guard `inbound` in this process.

use hayward_model::Event;

use super::{
    LAST_NS, Packet,
    helpers::{self, Machine},
    native,
};
use crate::{
    Cell, InboundLimits,
    wire::{self, WireError},
};

/// A header of Ethernet, but for what it announces.
const ADDRESSES: [u8; 12] = [2; 12];

/// The programs, and all that they know. Who completes a handshake they are not told here.
#[derive(Debug)]
pub struct OfflineInbound {
    machine: Option<Box<Machine>>,
    frame: Vec<u8>,
}

impl OfflineInbound {
    /// Programs that know nobody yet.
    pub fn new(limits: &InboundLimits) -> Self {
        let mut offline = Self {
            machine: Some(Box::default()),
            frame: Vec::new(),
        };
        let leased = [(Cell::InboundLeased, u64::MAX), (Cell::InboundSeed, 1)];
        let cells = limits.cells().into_iter().chain(leased);
        offline.on(0, |_| {
            for (cell, value) in cells {
                native::hayward_inbound_cell(cell as u32, value);
            }
        });
        offline
    }

    /// A packet arrives at a time. Says whether it comes in.
    pub fn arrive(&mut self, at: u64, packet: &Packet<'_>) -> bool {
        self.take(packet);
        self.on(at, |frame| {
            #[expect(unsafe_code, reason = "the programs are C")]
            // SAFETY: the program reads so many bytes of it at most, as the kernel's verifier makes sure of, and keeps none.
            let dropped =
                unsafe { native::hayward_inbound_arrival(frame.as_ptr(), frame.len() as u64) };
            dropped == 0
        })
    }

    /// A packet leaves at a time.
    pub fn leave(&mut self, at: u64, packet: &Packet<'_>) {
        self.take(packet);
        self.on(at, |frame| {
            #[expect(unsafe_code, reason = "the programs are C")]
            // SAFETY: as above.
            unsafe {
                native::hayward_inbound_answer(frame.as_ptr(), frame.len() as u64);
            }
        });
    }

    /// What programs have told since this was last asked.
    pub fn events(&mut self) -> Vec<Result<Event, WireError>> {
        let machine = self.machine.get_or_insert_default();
        let events = std::mem::take(&mut machine.events);
        events.iter().map(|bytes| wire::decode(bytes)).collect()
    }

    /// How many first contacts there were.
    pub fn contacts(&mut self) -> u64 {
        self.on(0, |_| native::hayward_inbound_contacts())
    }

    fn take(&mut self, packet: &Packet<'_>) {
        let kind = u16::try_from(packet.protocol()).unwrap_or(0);
        self.frame.clear();
        self.frame.extend(ADDRESSES);
        self.frame.extend(kind.to_be_bytes());
        self.frame.extend(packet.bytes);
    }

    fn on<T>(&mut self, at: u64, run: impl FnOnce(&[u8]) -> T) -> T {
        let mut machine = self.machine.take().unwrap_or_default();
        machine.now = at.min(LAST_NS);
        let (machine, result) = helpers::on(machine, || run(&self.frame));
        self.machine = Some(machine);
        result
    }
}
