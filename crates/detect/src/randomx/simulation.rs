//! Miners and innocent programs, simulated: how soon the former are found, and whether the latter are.

mod bound;
mod cryptnono;
mod evasion;
mod innocents;
mod miners;
pub(crate) mod programs;
pub(crate) mod random;

use std::time::Duration;

use hayward_model::{RoundingEvent, RoundingSample};

use super::{Mining, Randomx, Settings};
use programs::Program;
use random::Random;

/// Makes a thread's work; it is given the thread's number.
pub(crate) type Make<'a> = &'a dyn Fn(u32) -> Box<dyn Program>;

/// Threads of one process, and how they are looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How many run at the same time.
    pub(crate) threads: u32,
    /// Samples a second, of each thread.
    pub(crate) rate: f64,
    /// The part of the time for which a thread runs; others have the processor meanwhile.
    pub(crate) share: f64,
    /// After so many samples a thread ends, and another begins.
    pub(crate) lifetime: Option<u32>,
}

impl Plan {
    pub(crate) const ONE: Self = Self {
        threads: 1,
        rate: 100.0,
        share: 1.0,
        lifetime: None,
    };
}

/// A thread that runs.
struct Running {
    number: u32,
    program: Box<dyn Program>,
    began: f64,
    next: f64,
    left: Option<u32>,
}

/// A process as the kernel would report it, a sample at a time.
pub(crate) struct Process<'a> {
    plan: Plan,
    make: Make<'a>,
    random: Random,
    threads: Vec<Running>,
    begun: u32,
}

/// The least time between two samples of a thread, in seconds.
const LEAST_GAP: f64 = 0.001;

impl<'a> Process<'a> {
    pub(crate) fn new(plan: Plan, make: Make<'a>, seed: u64) -> Self {
        let mut process = Self {
            plan,
            make,
            random: Random(seed),
            threads: Vec::new(),
            begun: 0,
        };
        for _ in 0..plan.threads {
            let begins = process.gap();
            let thread = process.begin(begins);
            process.threads.push(thread);
        }
        process
    }

    /// Takes so many samples of each thread a second from now on.
    pub(crate) const fn look(&mut self, rate: f64) {
        self.plan.rate = rate;
    }

    fn gap(&mut self) -> f64 {
        LEAST_GAP + (1.0 / self.plan.rate - LEAST_GAP) * self.random.waiting()
    }

    fn begin(&mut self, seconds: f64) -> Running {
        self.begun += 1;
        Running {
            number: self.begun,
            program: (self.make)(self.begun),
            began: seconds,
            next: seconds,
            left: self.plan.lifetime,
        }
    }

    /// The next sample of any thread, as an event of its own.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are positive and far from the limit"
    )]
    pub(crate) fn next(&mut self) -> RoundingEvent {
        let threads = 0..self.threads.len();
        let first = threads.min_by(|a, b| self.threads[*a].next.total_cmp(&self.threads[*b].next));
        let first = first.expect("a thread");
        let gap = self.gap();
        let thread = &mut self.threads[first];
        let now = thread.next;
        let ran = (now - thread.began) * self.plan.share;
        let sample = RoundingSample {
            boot_ns: (now * 1e9) as u64 + 1,
            ran_ns: (ran * 1e9) as u64,
            mode: thread.program.mode(ran, &mut self.random),
            flush: true,
        };
        let event = event(7, thread.number, vec![sample]);
        thread.next += gap;
        thread.left = thread.left.map(|left| left - 1);
        if thread.left == Some(0) {
            self.threads[first] = self.begin(now + gap);
        }
        event
    }
}

/// An event of a process's thread.
pub(crate) fn event(pid: u32, thread: u32, samples: Vec<RoundingSample>) -> RoundingEvent {
    RoundingEvent {
        thread,
        thread_start_boot_ns: 1,
        pid,
        parent_pid: 1,
        start_boot_ns: 1,
        uid: 1000,
        cgroup_id: 1,
        comm: String::new(),
        samples,
    }
}

/// When a process is found: after how many samples and seconds, and on which evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) samples: u32,
    pub(crate) seconds: f64,
    pub(crate) mining: Mining,
}

/// Watches a process from its beginning until it is found, or for `most` samples.
pub(crate) fn watch(plan: Plan, make: Make, most: u32, seed: u64) -> Option<Found> {
    let mut process = Process::new(plan, make, seed);
    let mut detector = Randomx::new(Settings::default());
    (1..=most).find_map(|samples| {
        let event = process.next();
        let mining = detector.take(&event)?;
        let at = Duration::from_nanos(event.samples[0].boot_ns);
        Some(Found {
            samples,
            seconds: at.as_secs_f64(),
            mining,
        })
    })
}

/// How much is simulated: enough to notice what breaks, or, in a release build, enough for `docs/randomx.md`.
pub(crate) const THOROUGH: bool = !cfg!(debug_assertions);
