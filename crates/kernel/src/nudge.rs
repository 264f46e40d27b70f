//! Threads that do nothing but wake: whatever runs on their processor is interrupted, and the sensor of the `randomx`
//! guard sees where it rounds to. A thread that has a processor for itself would else be seen a few times a second.
//!
//! They are ordinary threads: one that has slept comes before one that has computed, on every scheduler that Linux has
//! had. Real-time priority would change little, and is a privilege that the agent need not have.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use libbpf_rs::{MapCore, MapFlags, MapHandle};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::pace::Pace;

/// What such a thread needs is the frame of a system call.
const STACK_BYTES: usize = 64 * 1024;

/// What the sensor counts on each processor: samples of threads that round in more than one way.
#[derive(Debug)]
pub struct Sightings {
    pub(crate) map: MapHandle,
}

impl Sightings {
    /// How many there were on a processor; none where that cannot be read.
    fn on(&self, processor: usize) -> Option<u64> {
        let key = u32::try_from(processor).ok()?.to_ne_bytes();
        let bytes = self.map.lookup(&key, MapFlags::ANY).ok()??;
        bytes.try_into().ok().map(u64::from_ne_bytes)
    }
}

/// One such thread for each processor that this process may use. They end when this is dropped.
#[derive(Debug)]
pub struct Nudger {
    processors: Vec<Processor>,
    stop: Arc<AtomicBool>,
    nudges: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Processor {
    number: usize,
    rate: Arc<AtomicU32>,
    thread: Option<JoinHandle<()>>,
}

impl Nudger {
    /// Starts them asleep. A nudge is worth it where the sensor sees more of those threads; without `sightings` each is.
    pub fn start(sightings: Option<Sightings>) -> io::Result<Self> {
        let sightings = Arc::new(sightings);
        let allowed = sched_getaffinity(None)?;
        let mut nudger = Self {
            processors: Vec::new(),
            stop: Arc::default(),
            nudges: Arc::default(),
        };
        for number in (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number)) {
            let rate = Arc::new(AtomicU32::new(0));
            let body = {
                let body = Body {
                    number,
                    rate: rate.clone(),
                    stop: nudger.stop.clone(),
                    nudges: nudger.nudges.clone(),
                    sightings: sightings.clone(),
                };
                move || body.run()
            };
            let thread = std::thread::Builder::new()
                .name(format!("nudge-{number}"))
                .stack_size(STACK_BYTES)
                .spawn(body)?;
            nudger.processors.push(Processor {
                number,
                rate,
                thread: Some(thread),
            });
        }
        Ok(nudger)
    }

    /// The processors that are reached, by the kernel's numbers.
    pub fn processors(&self) -> impl Iterator<Item = usize> {
        self.processors.iter().map(|processor| processor.number)
    }

    /// How often processors were nudged since this was last asked.
    pub fn take_nudges(&self) -> u64 {
        self.nudges.swap(0, Relaxed)
    }

    /// Sets how often a second a processor may be nudged in the long run; 0 is never. A processor that is not reached is left alone.
    pub fn set_rate(&self, number: usize, rate: u32) {
        let mut processors = self.processors.iter();
        let Some(processor) = processors.find(|processor| processor.number == number) else {
            return;
        };
        if processor.rate.swap(rate, Relaxed) != rate
            && let Some(thread) = &processor.thread
        {
            thread.thread().unpark();
        }
    }
}

impl Drop for Nudger {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for processor in &mut self.processors {
            if let Some(thread) = processor.thread.take() {
                thread.thread().unpark();
                // It holds nothing that could be in disorder.
                let _ = thread.join();
            }
        }
    }
}

/// What a thread works with.
struct Body {
    number: usize,
    rate: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    nudges: Arc<AtomicU64>,
    sightings: Arc<Option<Sightings>>,
}

impl Body {
    fn run(&self) {
        let number = self.number;
        let mut processors = CpuSet::new();
        processors.set(number);
        if let Err(error) = sched_setaffinity(None, &processors) {
            tracing::warn!("processor {number} cannot be nudged: {error}");
            return;
        }
        let mut pace = Pace::new();
        let mut last = Instant::now();
        let mut seen = self.seen();
        while !self.stop.load(Relaxed) {
            let rate = self.rate.load(Relaxed);
            if rate == 0 {
                std::thread::park();
                last = Instant::now();
                continue;
            }
            let now = Instant::now();
            let before = std::mem::replace(&mut seen, self.seen());
            let worth = self.sightings.is_none() || seen != before;
            let wait = pace.after(rate, now - std::mem::replace(&mut last, now), worth);
            std::thread::park_timeout(jittered(wait, fastrand::f64()));
            self.nudges.fetch_add(1, Relaxed);
        }
    }

    fn seen(&self) -> Option<u64> {
        self.sightings.as_ref().as_ref()?.on(self.number)
    }
}

/// From half to one and a half times the mean, so that nobody can tell when the next is due.
fn jittered(mean: Duration, share: f64) -> Duration {
    mean.mul_f64(0.5 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_lie_around_the_mean() {
        let mean = Duration::from_millis(100);
        let all = [0.0, 0.5, 1.0].map(|share| jittered(mean, share).as_millis());
        assert_eq!(all, [50, 100, 150]);
    }
}
