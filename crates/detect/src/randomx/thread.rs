//! One thread: what it does, and what its next sample says.

use std::time::Duration;

use super::{innocent::Innocent, miner::Kind};

/// How far what is typical of a process moves, with each sample, towards what the sample's thread does.
const TYPICAL_MOVES: f64 = 1.0 / 16.0;

/// What a thread does, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conduct {
    innocent: Innocent,
    kind: Kind,
}

impl Conduct {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            innocent: Innocent::new(),
            kind: Kind::new(),
        }
    }

    /// Learns that `mode` came after `previous`, and returns the evidence in it.
    fn learn(&mut self, previous: usize, mode: usize, gap: Duration) -> f64 {
        let alternatives = self.innocent.of_each(previous, mode);
        let innocent = self.innocent.probability(&alternatives);
        self.innocent.learn(&alternatives, previous, mode);
        self.kind.learn(innocent, previous, mode, gap)
    }

    /// Becomes more like a thread in which `mode` came after `previous`.
    fn approach(&mut self, other: &Self, previous: usize, mode: usize) {
        let Self { innocent, kind } = other;
        self.innocent.count(previous, mode);
        self.innocent.approach(innocent, TYPICAL_MOVES);
        self.kind.approach(kind, TYPICAL_MOVES);
    }
}

/// A thread that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    /// Nanoseconds since boot at its latest sample.
    pub(super) last_ns: u64,
    /// The tally that the thread was last counted in.
    pub(super) tally: u64,
    mode: usize,
    conduct: Conduct,
}

impl Thread {
    /// A thread's first sample is no evidence: it only says where the thread begins. So a thread must be seen twice.
    /// It is expected to do what is `typical` of its process; otherwise the uncertainty about each new thread would
    /// pass for evidence, and short threads would add it up.
    pub(super) fn begin(boot_ns: u64, mode: usize, typical: &Conduct) -> Self {
        let mut conduct = *typical;
        conduct.innocent.begin(mode);
        Self {
            last_ns: boot_ns,
            tally: 0,
            mode,
            conduct,
        }
    }

    /// Takes a later sample and returns the evidence in it, in nats. Lets what is typical learn from it too.
    pub(super) fn go_on(&mut self, boot_ns: u64, mode: usize, typical: &mut Conduct) -> f64 {
        let gap = Duration::from_nanos(boot_ns.saturating_sub(self.last_ns));
        let gain = self.conduct.learn(self.mode, mode, gap);
        typical.approach(&self.conduct, self.mode, mode);
        self.last_ns = boot_ns;
        self.mode = mode;
        gain
    }
}
