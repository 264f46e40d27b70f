//! One thread: what it does, and what its next sample says.

use std::time::Duration;

use hayward_model::RoundingSample;

use super::{
    innocent::{CHANGE, Habits},
    miner::Kind,
    mixture::Mixture,
};

/// How far the usual kind of a process's threads moves, with each sample, towards what the sample's thread is.
const USUAL_MOVES: f64 = 1.0 / 16.0;
/// How far a new thread may differ from that.
const DOUBT: f64 = 0.1;

/// What the threads of a process do, taken together. It is what a new thread most likely does too, and where all of
/// them change their ways at once, that surprises only once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Common {
    habits: Habits,
    /// Whether a thread of it follows habits of its own, or these.
    own: Mixture<2>,
    kind: Kind,
}

impl Common {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            habits: Habits::new(),
            own: Mixture::even(),
            kind: Kind::new(),
        }
    }
}

/// A thread that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    /// Nanoseconds since boot at its latest sample.
    pub(super) last_ns: u64,
    /// Processor time that it had used then.
    ran_ns: u64,
    /// The tally that the thread was last counted in.
    pub(super) tally: u64,
    mode: usize,
    habits: Habits,
    /// Whether it follows habits of its own, or those of its process.
    own: Mixture<2>,
    kind: Kind,
}

impl Thread {
    /// A thread's first sample is no evidence: it only says where the thread begins. So a thread must be seen twice.
    pub(super) fn begin(sample: RoundingSample, mode: usize, common: &mut Common) -> Self {
        let mut habits = Habits::new();
        habits.begin(mode);
        common.habits.begin(mode);
        let mut kind = common.kind;
        kind.approach(&Kind::new(), DOUBT);
        Self {
            last_ns: sample.boot_ns,
            ran_ns: sample.ran_ns,
            tally: 0,
            mode,
            habits,
            own: common.own,
            kind,
        }
    }

    /// Takes a later sample and returns the evidence in it, in nats.
    pub(super) fn go_on(
        &mut self,
        sample: RoundingSample,
        mode: usize,
        common: &mut Common,
    ) -> f64 {
        // What it did meanwhile it did in the time that it ran: among many, a thread hardly moves from one sample to the
        // next.
        let gap = Duration::from_nanos(sample.ran_ns.saturating_sub(self.ran_ns));
        let previous = std::mem::replace(&mut self.mode, mode);
        (self.last_ns, self.ran_ns) = (sample.boot_ns, sample.ran_ns);
        let of_each = [
            self.habits.learn(previous, mode),
            common.habits.learn(previous, mode),
        ];
        let innocent = self.own.probability(&of_each);
        self.own.learn(&of_each, CHANGE, &Mixture::even());
        let evidence = self.kind.learn(innocent, previous, mode, gap);
        common.own.approach(&self.own, USUAL_MOVES);
        common.kind.approach(&self.kind, USUAL_MOVES);
        evidence
    }
}
