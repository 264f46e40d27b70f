//! The `randomx` guard's detector: threads whose rounding modes change as only RandomX changes them.
//!
//! RandomX, the proof of work of Monero, sets the rounding mode of floating-point arithmetic from the data of its
//! random programs. Whoever interrupts a mining thread at moments of his own sees all four modes, about equally often
//! and in no order. `docs/randomx.md` says what is assumed, and how often the detector errs.

mod evidence;
mod innocent;
mod judge;
mod miner;
mod mixture;
mod process;
#[cfg(test)]
mod simulation;
mod table;
mod thread;

use std::time::Duration;

use hayward_model::RoundingEvent;

pub use innocent::Alternative;
pub use judge::{Judgement, judge};
use table::Table;

/// What the detector is asked to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Logarithm of how much more probable a process's samples must be if it mines than if it does not.
    pub threshold_nats: f64,
    /// Evidence, in nats, from which on a process is a suspect.
    pub suspicion_nats: f64,
    /// The time in which evidence loses half its weight.
    pub half_life: Duration,
    /// Most threads that are remembered.
    pub most_threads: usize,
    /// Most processes that are remembered.
    pub most_processes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold_nats: 37.0,
            suspicion_nats: 4.0,
            half_life: Duration::from_secs(60),
            most_threads: 65_536,
            most_processes: 65_536,
        }
    }
}

/// The evidence on which a process was found to mine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mining {
    /// How often each mode was seen: to nearest, down, up, towards zero.
    pub modes: [u32; 4],
    /// How many samples the evidence rests on.
    pub samples: u32,
    /// Seconds from the first of them to the last.
    pub seconds: f64,
    /// How many threads they were taken of.
    pub threads: u32,
    /// Logarithm of how much more probable they are if the process mines.
    pub evidence_nats: f64,
    /// The share of samples with FTZ and DAZ set, 0 to 1.
    pub flush_share: f64,
}

/// A process that may turn out to mine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Process id.
    pub pid: u32,
    /// Start time of the process in nanoseconds since boot.
    pub start_boot_ns: u64,
    /// The evidence against it so far.
    pub evidence_nats: f64,
    /// How many threads that rests on.
    pub threads: u32,
}

/// The detector: what is known of each process, and the decision.
#[derive(Debug)]
pub struct Randomx {
    settings: Settings,
    table: Table,
}

impl Randomx {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: Table::new(settings),
        }
    }

    /// Takes samples of a thread. Returns what was found when they complete the evidence against the process. The
    /// evidence then begins anew: a process that goes on mining is found again.
    pub fn take(&mut self, event: &RoundingEvent) -> Option<Mining> {
        let mut samples = event
            .samples
            .iter()
            .filter(|sample| sample.mode < 4)
            .peekable();
        let first = samples.peek()?;
        let thread = (event.thread, event.thread_start_boot_ns);
        let id = (event.pid, event.start_boot_ns);
        let process = self.table.place(id, thread, first.boot_ns);
        let mut found = None;
        for sample in samples {
            let threshold = self.settings.threshold_nats;
            found = found.or(process.take(thread, *sample, threshold));
        }
        found
    }

    /// Processes under suspicion, the strongest evidence first.
    pub fn suspects(&self, now_boot_ns: u64) -> Vec<Suspect> {
        let mut suspects: Vec<Suspect> = self
            .table
            .processes()
            .map(|((pid, start_boot_ns), process)| Suspect {
                pid: *pid,
                start_boot_ns: *start_boot_ns,
                evidence_nats: process.evidence.nats(now_boot_ns),
                threads: process.evidence.threads(),
            })
            .filter(|suspect| suspect.evidence_nats >= self.settings.suspicion_nats)
            .collect();
        suspects.sort_by(|a, b| b.evidence_nats.total_cmp(&a.evidence_nats));
        suspects
    }

    /// Forgets a process that is gone.
    pub fn forget(&mut self, pid: u32, start_boot_ns: u64) {
        self.table.forget((pid, start_boot_ns));
    }

    /// How many threads were dropped for lack of room.
    pub fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}
