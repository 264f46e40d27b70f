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
    time::Duration,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What such a thread needs is the frame of a system call.
const STACK_BYTES: usize = 64 * 1024;

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
    /// Starts them asleep.
    pub fn start() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut nudger = Self {
            processors: Vec::new(),
            stop: Arc::default(),
            nudges: Arc::default(),
        };
        for number in (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number)) {
            let rate = Arc::new(AtomicU32::new(0));
            let body = {
                let (rate, stop) = (rate.clone(), nudger.stop.clone());
                let nudges = nudger.nudges.clone();
                move || wake_at(number, &rate, &stop, &nudges)
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

    /// Sets how often a second a processor is nudged, about; 0 is never. A processor that is not reached is left alone.
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

fn wake_at(number: usize, rate: &AtomicU32, stop: &AtomicBool, nudges: &AtomicU64) {
    let mut processors = CpuSet::new();
    processors.set(number);
    if let Err(error) = sched_setaffinity(None, &processors) {
        tracing::warn!("processor {number} cannot be nudged: {error}");
        return;
    }
    while !stop.load(Relaxed) {
        match rate.load(Relaxed) {
            0 => std::thread::park(),
            rate => {
                std::thread::park_timeout(interval(rate, fastrand::f64()));
                nudges.fetch_add(1, Relaxed);
            }
        }
    }
}

/// From half to one and a half times the mean, so that nobody can tell when the next is due.
fn interval(rate: u32, share: f64) -> Duration {
    let mean = Duration::from_secs(1) / rate.max(1);
    mean.mul_f64(0.5 + share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_lie_around_the_mean() {
        assert_eq!(interval(10, 0.0), Duration::from_millis(50));
        assert_eq!(interval(10, 0.5), Duration::from_millis(100));
        assert_eq!(interval(10, 1.0), Duration::from_millis(150));
        assert_eq!(interval(0, 0.5), Duration::from_secs(1));
    }
}
