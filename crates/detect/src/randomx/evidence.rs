//! A sum of evidence that forgets.

use std::time::Duration;

use hayward_model::RoundingSample;

use super::{Mining, innocent::MODES};

/// The logarithm of how much more probable some samples are if they come from a miner: never below zero, so that long
/// innocence is no credit, and halved with time, so that rare samples do not add up for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    half_life: Duration,
    nats: f64,
    last_ns: u64,
    tally: Tally,
}

/// What was seen since the evidence last was nil.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    number: u64,
    first_ns: u64,
    modes: [u32; MODES],
    flushing: u32,
    threads: u32,
}

impl Evidence {
    pub(super) const fn new(half_life: Duration) -> Self {
        Self {
            half_life,
            nats: 0.0,
            last_ns: 0,
            tally: Tally {
                number: 0,
                first_ns: 0,
                modes: [0; MODES],
                flushing: 0,
                threads: 0,
            },
        }
    }

    /// What is left of it at a moment.
    pub(super) fn nats(&self, now_ns: u64) -> f64 {
        let idle = Duration::from_nanos(now_ns.saturating_sub(self.last_ns));
        self.nats * 0.5f64.powf(idle.as_secs_f64() / self.half_life.as_secs_f64())
    }

    /// How many threads it rests on.
    pub(super) const fn threads(&self) -> u32 {
        self.tally.threads
    }

    /// Nanoseconds since boot at the latest sample.
    pub(super) const fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// Adds what a sample says. `tally` is the one that the sample's thread was last counted in.
    pub(super) fn add(&mut self, gain: f64, sample: RoundingSample, tally: &mut u64) {
        if self.nats <= 0.0 {
            self.tally = Tally {
                number: self.tally.number + 1,
                first_ns: sample.boot_ns,
                ..Tally::default()
            };
        }
        if *tally != self.tally.number {
            *tally = self.tally.number;
            self.tally.threads = self.tally.threads.saturating_add(1);
        }
        if let Some(count) = self.tally.modes.get_mut(usize::from(sample.mode)) {
            *count = count.saturating_add(1);
        }
        self.tally.flushing = self.tally.flushing.saturating_add(sample.flush.into());
        self.nats = (self.nats(sample.boot_ns) + gain).max(0.0);
        self.last_ns = self.last_ns.max(sample.boot_ns);
    }

    /// Whether it has reached `threshold_nats`; it then begins anew, so that whoever goes on is found again.
    pub(super) fn conclude(&mut self, threshold_nats: f64) -> Option<Mining> {
        if self.nats < threshold_nats {
            return None;
        }
        let evidence_nats = std::mem::take(&mut self.nats);
        let Tally { modes, .. } = self.tally;
        let samples = modes
            .iter()
            .fold(0u32, |sum, count| sum.saturating_add(*count));
        let span = Duration::from_nanos(self.last_ns.saturating_sub(self.tally.first_ns));
        Some(Mining {
            modes,
            samples,
            seconds: span.as_secs_f64(),
            threads: self.tally.threads,
            evidence_nats,
            flush_share: f64::from(self.tally.flushing) / f64::from(samples.max(1)),
        })
    }
}
