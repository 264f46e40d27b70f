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
mod properties;
mod recorded;
#[cfg(test)]
mod simulation;
mod table;
mod thread;

use std::time::Duration;

use hayward_model::RoundingEvent;

pub use innocent::Alternative;
pub use judge::{Judgement, judge};
pub use recorded::{Recorded, judge_recorded};
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

#[cfg(test)]
mod tests {
    use hayward_model::RoundingSample;

    use super::{
        simulation::{event, random::Random},
        *,
    };

    /// Nanoseconds between two samples.
    const GAP: u64 = 10_000_000;

    /// All four modes without order, as a miner shows them.
    fn mined(from: u64, samples: u64) -> Vec<RoundingSample> {
        let mut random = Random(from);
        let sample = |index: u64| RoundingSample {
            boot_ns: (index + 1) * GAP,
            ran_ns: (index + 1) * GAP,
            mode: random.mode(),
            flush: index.is_multiple_of(2),
        };
        (from..from + samples).map(sample).collect()
    }

    fn bounded(most_threads: usize, most_processes: usize) -> Randomx {
        Randomx::new(Settings {
            most_threads,
            most_processes,
            ..Settings::default()
        })
    }

    #[test]
    fn who_goes_on_mining_is_found_again_on_new_evidence() {
        let mut detector = Randomx::new(Settings::default());
        let events = mined(0, 2_000)
            .into_iter()
            .map(|sample| event(7, 7, vec![sample]));
        let found: Vec<Mining> = events.filter_map(|event| detector.take(&event)).collect();
        assert!(found.len() > 5, "{found:?}");
        for mining in &found {
            assert!(mining.evidence_nats >= 37.0 && mining.threads == 1);
            let seconds = f64::from(mining.samples - 1) / 100.0;
            assert!((mining.seconds - seconds).abs() < 1e-6, "{mining:?}");
            assert!((mining.flush_share - 0.5).abs() < 0.02, "{mining:?}");
        }
        let samples: u32 = found.iter().map(|mining| mining.samples).sum();
        assert!(samples <= 2_000, "no sample counts twice: {samples}");
    }

    #[test]
    fn suspects_are_those_with_evidence_and_the_strongest_come_first() {
        let mut detector = Randomx::new(Settings::default());
        for (pid, samples) in [(1, 30), (2, 80), (3, 50)] {
            for sample in mined(9, samples) {
                assert_eq!(detector.take(&event(pid, pid, vec![sample])), None);
            }
        }
        let innocent = mined(0, 80)
            .into_iter()
            .map(|sample| RoundingSample { mode: 2, ..sample });
        detector.take(&event(4, 4, innocent.collect()));
        let now = 90 * GAP;
        let pids = |now| -> Vec<u32> { detector.suspects(now).iter().map(|s| s.pid).collect() };
        assert_eq!(pids(now)[..2], [2, 3], "{:?}", detector.suspects(now));
        assert!(!pids(now).contains(&4));
        assert!(pids(now + 600_000_000_000).is_empty(), "ten minutes later");
        detector.forget(2, 1);
        assert_eq!(detector.suspects(now)[0].pid, 3);
    }

    #[test]
    fn a_thread_or_process_of_the_same_number_that_began_later_is_another() {
        let samples = mined(0, 60);
        let (early, late) = samples.split_at(30);
        let nats = |later: &dyn Fn(RoundingEvent) -> RoundingEvent| {
            let mut detector = Randomx::new(Settings::default());
            detector.take(&event(7, 7, early.to_vec()));
            detector.take(&later(event(7, 7, late.to_vec())));
            let suspects = detector.suspects(61 * GAP);
            suspects
                .first()
                .map_or((0.0, 0), |first| (first.evidence_nats, first.threads))
        };
        let same = nats(&|event| event);
        let thread = nats(&|event| RoundingEvent {
            thread_start_boot_ns: 2,
            ..event
        });
        let process = nats(&|event| RoundingEvent {
            start_boot_ns: 2,
            ..event
        });
        assert_eq!((same.1, thread.1), (1, 2));
        assert!(
            thread.0 < same.0,
            "a new thread has its price: {thread:?} {same:?}"
        );
        assert!(process.0 < thread.0 - 1.0, "{process:?} {thread:?}");
    }

    #[test]
    fn damaged_and_stale_samples_say_nothing() {
        let sound = mined(0, 60);
        let mut damaged = Vec::new();
        for sample in &sound {
            damaged.push(*sample);
            damaged.push(*sample);
            damaged.push(RoundingSample { mode: 4, ..*sample });
            damaged.push(RoundingSample {
                mode: 255,
                boot_ns: u64::MAX,
                ..*sample
            });
            damaged.push(RoundingSample {
                boot_ns: 0,
                ..*sample
            });
        }
        let suspects = |samples: Vec<RoundingSample>| {
            let mut detector = Randomx::new(Settings::default());
            detector.take(&event(7, 7, samples));
            detector.suspects(0)
        };
        assert_eq!(suspects(damaged), suspects(sound));
    }

    #[test]
    fn what_is_only_damaged_takes_no_room() {
        let mut detector = bounded(8, 8);
        let bad = RoundingSample {
            boot_ns: 1,
            ran_ns: 1,
            mode: 9,
            flush: false,
        };
        detector.take(&event(1, 1, vec![bad]));
        detector.take(&event(1, 1, Vec::new()));
        assert_eq!(
            (detector.table.processes().count(), detector.table.threads()),
            (0, 0)
        );
    }

    #[test]
    fn where_there_is_no_room_the_threads_seen_last_and_the_processes_most_suspected_stay() {
        let mut detector = bounded(64, 16);
        for sample in mined(9, 60) {
            detector.take(&event(1, 1, vec![sample]));
        }
        let strongest = detector.suspects(0)[0];
        for number in 100..1_000u32 {
            let boot_ns = 61 * GAP + u64::from(number);
            let sample = RoundingSample {
                boot_ns,
                ran_ns: boot_ns,
                mode: 1,
                flush: false,
            };
            detector.take(&event(number, number, vec![sample]));
            detector.take(&event(2, number, vec![sample]));
        }
        assert!(detector.table.threads() <= 64 && detector.table.processes().count() <= 16);
        assert!(detector.evicted() > 1_600, "{}", detector.evicted());
        assert_eq!(detector.suspects(0)[0].pid, strongest.pid);
        for ((pid, _), process) in detector.table.processes() {
            let late = |(number, _): &(u32, u64)| *number > 900;
            assert!(*pid == 1 || process.threads.keys().all(late), "{process:?}");
            assert!(*pid != 2 || process.threads.contains_key(&(999, 1)));
        }
    }

    #[test]
    fn threads_that_are_long_gone_make_room_and_are_no_loss() {
        let mut detector = bounded(64, 64);
        for number in 1..10_000u32 {
            let boot_ns = u64::from(number) * 60_000_000_000;
            let sample = RoundingSample {
                boot_ns,
                ran_ns: boot_ns,
                mode: 1,
                flush: false,
            };
            detector.take(&event(1, number, vec![sample]));
        }
        assert!(detector.table.threads() <= 64);
        assert_eq!(detector.evicted(), 0);
    }
}
