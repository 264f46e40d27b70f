//! Captures, judged as `hayward judge pcap` does: their formats, and all programs that look at packets.
#![no_main]

use hayward_capture::{Inside, Limits, Player, Reader};
use hayward_kernel::{InboundLimits, OutboundLimits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = Limits {
        outbound: OutboundLimits::DEFAULT,
        inbound: InboundLimits::DEFAULT,
    };
    let Ok(mut reader) = Reader::new(input) else {
        return;
    };
    let mut player = Player::new(Inside::All, &limits, ["pool.example.org"], &[], &[]);
    while let Ok(Some(record)) = reader.next() {
        player.take(&record);
    }
    player.end();
    player.summary();
});
