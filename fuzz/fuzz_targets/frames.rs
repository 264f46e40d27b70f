//! Packets for the programs of the guard `inbound`, as they arrive at a host and leave it: a byte with the direction, the
//! length and the packet, again and again. C reads them, with the checks of sanitizers in place of the kernel's verifier.
#![no_main]

use std::cell::RefCell;

use hayward_kernel::{InboundLimits, OfflineInbound, Packet};
use libfuzzer_sys::fuzz_target;

const TENTH: u64 = 100_000_000;

thread_local! {
    // Its tables take longer to make than a packet to read. What stays from one input to the next is who has sent before.
    static HOST: RefCell<OfflineInbound> = RefCell::new(OfflineInbound::new(&InboundLimits::DEFAULT));
}

fuzz_target!(|input: &[u8]| {
    HOST.with_borrow_mut(|host| {
        let mut rest = input;
        let mut at = TENTH;
        while let [direction, length, left @ ..] = rest {
            let (bytes, left) = left.split_at((*length as usize).min(left.len()));
            let packet = Packet {
                bytes,
                length: bytes.len() as u32,
            };
            if direction & 1 == 0 {
                host.arrive(at, &packet);
            } else {
                host.leave(at, &packet);
            }
            at += TENTH;
            rest = left;
        }
        for event in host.events() {
            event.expect("what the programs write can be read");
        }
    });
});
