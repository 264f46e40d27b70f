//! One process: its threads, and the evidence that they make together.

use std::collections::BTreeMap;

use hayward_model::RoundingSample;

use super::{
    Mining, Settings,
    evidence::Evidence,
    innocent::MODES,
    thread::{Common, Thread},
};

/// Thread id, and start time of the thread in nanoseconds since boot.
pub(super) type ThreadId = (u32, u64);

/// What each thread costs, in nats. While little is known of a thread, chance makes some look like a miner's: without a
/// price, innocent threads that live for a few samples each would add that up.
const PRICE: f64 = 0.2;

/// A process of which some thread was seen.
#[derive(Debug)]
pub(super) struct Process {
    /// Boxed: most processes have one thread, and a map makes room for eleven.
    pub(super) threads: BTreeMap<ThreadId, Box<Thread>>,
    pub(super) evidence: Evidence,
    common: Common,
}

impl Process {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            threads: BTreeMap::new(),
            evidence: Evidence::new(settings.half_life),
            common: Common::new(),
        }
    }

    /// Takes a sample of a thread. One that is damaged, or not later than the thread's latest, says nothing.
    pub(super) fn take(
        &mut self,
        id: ThreadId,
        sample: RoundingSample,
        threshold_nats: f64,
    ) -> Option<Mining> {
        let mode = usize::from(sample.mode);
        if mode >= MODES {
            return None;
        }
        let (thread, gain) = match self.threads.get_mut(&id) {
            Some(thread) if sample.boot_ns <= thread.last_ns => return None,
            Some(thread) => {
                let gain = thread.go_on(sample, mode, &mut self.common);
                (thread, gain)
            }
            None => {
                let begun = Box::new(Thread::begin(sample, mode, &mut self.common));
                (self.threads.entry(id).or_insert(begun), -PRICE)
            }
        };
        self.evidence.add(gain, sample, &mut thread.tally);
        self.evidence.conclude(threshold_nats)
    }
}
