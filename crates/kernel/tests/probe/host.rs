//! A host whose packets are given to the programs of the guard `inbound` by BPF_PROG_TEST_RUN.

use hayward_kernel::{InboundLimits, PacketTrial};
use hayward_model::{Event, InboundEvent};

use super::{ACK, HOST, RST, SYN, Way, way};

/// By which of the two it arrives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hook {
    Xdp,
    Classifier,
}

pub struct Host {
    pub trial: PacketTrial,
    hook: Hook,
}

impl Host {
    pub fn new(limits: &InboundLimits, hook: Hook) -> Self {
        let trial = PacketTrial::inbound(limits).expect("the programs load");
        Self { trial, hook }
    }

    /// Whether it comes in.
    pub fn arrives(&mut self, frame: &[u8]) -> bool {
        let (name, drop) = match self.hook {
            Hook::Xdp => ("on_inbound_packet", 1),
            Hook::Classifier => ("on_inbound_frame", 2),
        };
        let answer = self.trial.run(name, frame).expect("it runs");
        answer != drop
    }

    pub fn leaves(&mut self, frame: &[u8]) {
        self.trial.run("on_inbound_answer", frame).expect("it runs");
    }

    /// What arrives, and is refused where it comes in.
    pub fn refuses(&mut self, way: Way, flags: u8) -> bool {
        let is_in = self.arrives(&way.tcp(flags));
        if is_in {
            let answer = if flags & ACK != 0 { RST } else { RST | ACK };
            self.leaves(&way.back().tcp(answer));
        }
        is_in
    }

    /// What arrives at a port where somebody is.
    pub fn serves(&mut self, way: Way) -> bool {
        let is_in = self.arrives(&way.tcp(SYN));
        if is_in {
            self.leaves(&way.back().tcp(SYN | ACK));
        }
        is_in
    }

    /// A source has completed a handshake.
    pub fn proves(&self, address: [u8; 4], connections: u32) {
        let key = [[0; 10].as_slice(), &[0xff; 2], &address].concat();
        let now = 1_u64 << 62;
        let value = [
            now.to_ne_bytes().as_slice(),
            &connections.to_ne_bytes(),
            &[0; 4],
        ]
        .concat();
        self.trial.put("inbound_peers", &key, &value).expect("room");
    }

    pub fn never(&self, nets: &[&str]) {
        let nets = nets.iter().map(|net| net.parse().expect("a prefix"));
        let never = self.trial.never().expect("a map");
        never.set(&nets.collect()).expect("room");
    }

    pub fn found(&self) -> Vec<InboundEvent> {
        let events = self.trial.events().expect("a ring").into_iter();
        let events = events.map(|event| match event {
            Event::Inbound(event) => event,
            other => panic!("{other:?}"),
        });
        events.collect()
    }
}

pub const SCANNER: &str = "203.0.113.9";

pub fn probe(port: u16) -> Way {
    way(SCANNER, HOST, port)
}

/// How many of these come in.
pub fn count(of: impl Iterator<Item = bool>) -> usize {
    of.filter(|is_in| *is_in).count()
}
