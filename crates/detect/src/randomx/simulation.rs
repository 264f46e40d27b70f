//! Miners and innocent programs, simulated: how soon the former are found, and whether the latter are.

pub(crate) mod programs;
pub(crate) mod random;

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
    /// After so many samples a thread ends, and another begins.
    pub(crate) lifetime: Option<u32>,
}

impl Plan {
    pub(crate) const ONE: Self = Self {
        threads: 1,
        rate: 100.0,
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
        let sample = RoundingSample {
            boot_ns: (now * 1e9) as u64 + 1,
            mode: thread.program.mode(now - thread.began, &mut self.random),
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

/// How often a process is found in so many samples.
pub(crate) fn alarms(plan: Plan, make: Make, threshold_nats: f64, samples: u32, seed: u64) -> u32 {
    let mut process = Process::new(plan, make, seed);
    let mut detector = Randomx::new(Settings {
        threshold_nats,
        ..Settings::default()
    });
    let found = (0..samples).filter_map(|_| detector.take(&process.next()));
    u32::try_from(found.count()).unwrap_or(u32::MAX)
}

/// When a process is found: after how many samples and seconds.
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
        let at = std::time::Duration::from_nanos(event.samples[0].boot_ns);
        Some(Found {
            samples,
            seconds: at.as_secs_f64(),
            mining,
        })
    })
}

#[cfg(test)]
mod explore {
    use super::programs::*;
    use super::*;

    fn delays(name: &str, plan: Plan, make: Make) {
        let mut v: Vec<Found> = Vec::new();
        let mut missed = 0;
        for seed in 0..1000 {
            match watch(plan, make, 6000, seed) {
                Some(f) => v.push(f),
                None => missed += 1,
            }
        }
        v.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        if v.is_empty() {
            println!("{name}: none");
            return;
        }
        let n = v.len();
        println!(
            "{name}: samples {} {} seconds {:.2} {:.2} missed {missed}",
            v[n / 2].samples,
            v[n * 99 / 100].samples,
            v[n / 2].seconds,
            v[n * 99 / 100].seconds
        );
    }

    #[test]
    #[ignore = "exploration"]
    fn explore_delays() {
        let one = Plan::ONE;
        delays("fast", one, &|_| Box::new(RandomX::new(0.00015, 0.1)));
        delays("fast 10", Plan { rate: 10.0, ..one }, &|_| {
            Box::new(RandomX::new(0.00015, 0.1))
        });
        delays("fast 2 threads", Plan { threads: 2, ..one }, &|_| {
            Box::new(RandomX::new(0.00015, 0.1))
        });
        delays("light jit", one, &|_| Box::new(RandomX::new(0.002, 0.02)));
        delays("light int", one, &|_| Box::new(RandomX::new(0.012, 0.02)));
        delays("light int 200", Plan { rate: 200.0, ..one }, &|_| {
            Box::new(RandomX::new(0.012, 0.02))
        });
        delays("light int 10", Plan { rate: 10.0, ..one }, &|_| {
            Box::new(RandomX::new(0.012, 0.02))
        });
        for nearest in [0.25, 0.5] {
            delays("mix", one, &|_| {
                Box::new(Mixed {
                    program: Box::new(RandomX::new(0.00015, 0.1)),
                    nearest,
                })
            });
        }
        for life in [2, 3, 4, 5, 7, 10] {
            delays(
                &format!("fan {life}"),
                Plan {
                    lifetime: Some(life),
                    ..one
                },
                &|_| Box::new(RandomX::new(0.00015, 0.1)),
            );
        }
    }

    #[test]
    #[ignore = "exploration"]
    fn explore_alarms() {
        let shares = |s: [f64; 4]| move |_: u32| -> Box<dyn Program> { Box::new(Shares(s)) };
        let blocks =
            |l: f64, i: bool| move |_: u32| -> Box<dyn Program> { Box::new(Blocks::new(l, i)) };
        let classes: Vec<(&str, Box<dyn Fn(u32) -> Box<dyn Program>>)> = vec![
            ("const 2", Box::new(shares([0., 0., 1., 0.]))),
            (
                "const each",
                Box::new(|n| {
                    let mut s = [0.; 4];
                    s[n as usize % 4] = 1.;
                    Box::new(Shares(s))
                }),
            ),
            ("pair", Box::new(shares([0., 0.5, 0.5, 0.]))),
            ("pair01", Box::new(shares([0.5, 0.5, 0., 0.]))),
            ("pair+.03", Box::new(shares([0.485, 0.485, 0.015, 0.015]))),
            (
                "pairs differ",
                Box::new(|n| {
                    let mut s = [0.; 4];
                    s[n as usize % 4] = 0.5;
                    s[(n as usize / 4 + n as usize + 1) % 4] = 0.5;
                    Box::new(Shares(s))
                }),
            ),
            ("triple", Box::new(shares([1., 1., 1., 0.]))),
            ("triple.01", Box::new(shares([0.33, 0.33, 0.33, 0.01]))),
            ("triple.02", Box::new(shares([0.327, 0.327, 0.326, 0.02]))),
            ("triple.03", Box::new(shares([0.323, 0.323, 0.324, 0.03]))),
            ("triple.05", Box::new(shares([0.317, 0.317, 0.316, 0.05]))),
            ("triple u", Box::new(shares([0.6, 0.2, 0.2, 0.0]))),
            ("triple u.01", Box::new(shares([0.59, 0.2, 0.2, 0.01]))),
            ("triple u2", Box::new(shares([0.5, 0.3, 0.2, 0.0]))),
            ("triple 123", Box::new(shares([0.0, 0.3, 0.3, 0.4]))),
            (
                "triples differ",
                Box::new(|n| {
                    let mut s = [1.0; 4];
                    s[n as usize % 4] = 0.0;
                    Box::new(Shares(s))
                }),
            ),
            ("blocks irr 40ms", Box::new(blocks(0.04, true))),
            ("blocks irr 100ms", Box::new(blocks(0.1, true))),
            ("blocks reg 12ms", Box::new(blocks(0.012, false))),
            ("blocks reg 20ms", Box::new(blocks(0.02, false))),
            ("blocks reg 40ms", Box::new(blocks(0.04, false))),
            ("blocks reg 100ms", Box::new(blocks(0.1, false))),
            (
                "turns pairs 0.5s",
                Box::new(|_| {
                    Box::new(InTurns {
                        programs: vec![
                            Box::new(Shares([1., 1., 0., 0.])),
                            Box::new(Shares([0., 0., 1., 1.])),
                        ],
                        lasts: vec![0.5, 0.5],
                    })
                }),
            ),
            (
                "turns pairs 0.2s",
                Box::new(|_| {
                    Box::new(InTurns {
                        programs: vec![
                            Box::new(Shares([1., 1., 0., 0.])),
                            Box::new(Shares([0., 0., 1., 1.])),
                        ],
                        lasts: vec![0.2, 0.2],
                    })
                }),
            ),
            (
                "turns triples 1s",
                Box::new(|_| {
                    Box::new(InTurns {
                        programs: vec![
                            Box::new(Shares([1., 1., 1., 0.])),
                            Box::new(Shares([0., 1., 1., 1.])),
                        ],
                        lasts: vec![1., 1.],
                    })
                }),
            ),
            (
                "turns triples .5s",
                Box::new(|_| {
                    Box::new(InTurns {
                        programs: vec![
                            Box::new(Shares([1., 1., 1., 0.])),
                            Box::new(Shares([0., 1., 1., 1.])),
                        ],
                        lasts: vec![0.5, 0.5],
                    })
                }),
            ),
        ];
        let n = 2_000_000u32;
        for (name, make) in &classes {
            print!("{name:18}");
            for (t, life) in [
                (1, None),
                (8, None),
                (1, Some(2)),
                (1, Some(3)),
                (1, Some(5)),
                (4, Some(5)),
                (1, Some(10)),
                (4, Some(20)),
            ] {
                let plan = Plan {
                    threads: t,
                    rate: 100.0,
                    lifetime: life,
                };
                // log of alarms * e^A / samples at A = 6: <= 0 keeps the bound
                let a6 = alarms(plan, make, 6.0, n, 1);
                let a10 = alarms(plan, make, 10.0, n, 2);
                let a37 = alarms(plan, make, 37.0, n, 3);
                let r = |a: u32, t: f64| {
                    if a == 0 {
                        "-".to_owned()
                    } else {
                        format!("{:.1}", (f64::from(a) / f64::from(n)).ln() + t)
                    }
                };
                print!(" | {:>4} {:>4} {}", r(a6, 6.), r(a10, 10.), a37);
            }
            println!();
        }
    }
}
