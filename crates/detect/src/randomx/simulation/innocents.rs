//! Programs that are not RandomX are not found.

use super::{
    super::{Randomx, Settings},
    Make, Plan, Process, THOROUGH,
    programs::{Blocks, InTurns, Program, Shares},
};

const SAMPLES: u32 = if THOROUGH { 400_000 } else { 30_000 };
/// The real threshold, and two at which alarms are frequent enough to be counted.
const THRESHOLDS: [f64; 3] = [37.0, 10.0, 6.0];

/// A class of programs: what a thread of it does, given the thread's number.
pub(super) type Class = (&'static str, Box<dyn Fn(u32) -> Box<dyn Program>>);

fn shares(shares: [f64; 4]) -> Box<dyn Fn(u32) -> Box<dyn Program>> {
    Box::new(move |_| Box::new(Shares(shares)))
}

fn blocks(lasts: f64, irregular: bool) -> Box<dyn Fn(u32) -> Box<dyn Program>> {
    Box::new(move |_| Box::new(Blocks::new(lasts, irregular)))
}

fn turns(lasts: f64, all: &'static [[f64; 4]]) -> Box<dyn Fn(u32) -> Box<dyn Program>> {
    Box::new(move |_| {
        let programs = all
            .iter()
            .map(|shares| Box::new(Shares(*shares)) as Box<dyn Program>);
        Box::new(InTurns {
            programs: programs.collect(),
            lasts: vec![lasts; all.len()],
        })
    })
}

/// Shares that differ from thread to thread.
fn by_thread(all: Vec<[f64; 4]>) -> Box<dyn Fn(u32) -> Box<dyn Program>> {
    Box::new(move |number| Box::new(Shares(all[number as usize % all.len()])))
}

/// `shares`, each mode's given to another mode, in every way in which they can be given.
fn permuted(shares: [f64; 4]) -> Vec<[f64; 4]> {
    let mut all = Vec::new();
    for order in 0..256usize {
        let place = [order % 4, order / 4 % 4, order / 16 % 4, order / 64];
        if (0..4).all(|mode| place.contains(&mode)) {
            all.push(place.map(|place| shares[place]));
        }
    }
    all.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    all.dedup();
    all
}

/// Programs that the alternatives were made for. Modes are: to nearest, down, up, towards zero.
pub(super) fn classes() -> Vec<Class> {
    vec![
        ("nearest alone", shares([1.0, 0.0, 0.0, 0.0])),
        ("up alone", shares([0.0, 0.0, 1.0, 0.0])),
        ("nearest and up", shares([0.5, 0.0, 0.5, 0.0])),
        ("nearest, seldom up", shares([0.9, 0.0, 0.1, 0.0])),
        ("up and down", shares([0.0, 0.5, 0.5, 0.0])),
        (
            "up and down, 3 % others",
            shares([0.015, 0.485, 0.485, 0.015]),
        ),
        ("three alike", shares([1.0, 1.0, 1.0, 0.0])),
        (
            "three alike, 2 % the fourth",
            shares([0.327, 0.327, 0.326, 0.02]),
        ),
        (
            "three alike, 3 % the fourth",
            shares([0.324, 0.323, 0.323, 0.03]),
        ),
        ("three, nearest most", shares([0.6, 0.2, 0.2, 0.0])),
        (
            "three, nearest most, 1 % zero",
            shares([0.59, 0.2, 0.2, 0.01]),
        ),
        ("three, none nearest", shares([0.0, 0.3, 0.3, 0.4])),
        ("blocks of 25 ms, any order", blocks(0.025, true)),
        ("blocks of 40 ms, any order", blocks(0.04, true)),
        ("blocks of 100 ms, any order", blocks(0.1, true)),
        ("blocks of 3 s, any order", blocks(3.0, true)),
        ("cycle, 20 ms each", blocks(0.02, false)),
        ("cycle, 40 ms each", blocks(0.04, false)),
        ("cycle, 1 s each", blocks(1.0, false)),
        (
            "two, then the other two, 1 s",
            turns(1.0, &[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]),
        ),
        (
            "two, then the other two, 0.2 s",
            turns(0.2, &[[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]),
        ),
        (
            "three, then three others, 1 s",
            turns(1.0, &[[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]]),
        ),
        (
            "one in each thread",
            by_thread(permuted([1.0, 0.0, 0.0, 0.0])),
        ),
        (
            "two in each thread",
            by_thread(permuted([0.5, 0.5, 0.0, 0.0])),
        ),
        (
            "three in each thread",
            by_thread(permuted([1.0, 1.0, 1.0, 0.0])),
        ),
    ]
}

/// Programs that are so near to RandomX that the modes alone hardly tell them apart.
fn near() -> Vec<Class> {
    vec![
        (
            "three alike, 5 % the fourth",
            shares([0.317, 0.317, 0.316, 0.05]),
        ),
        (
            "three alike, 8 % the fourth",
            shares([0.307, 0.307, 0.306, 0.08]),
        ),
        (
            "three alike, 12 % the fourth",
            shares([0.294, 0.293, 0.293, 0.12]),
        ),
        ("cycle, 12 ms each", blocks(0.012, false)),
        ("all four, quicker than samples", shares([0.25; 4])),
    ]
}

fn plans() -> Vec<(&'static str, Plan)> {
    let one = Plan::ONE;
    let short = |threads, samples| Plan {
        threads,
        lifetime: Some(samples),
        ..one
    };
    vec![
        ("1 thread", one),
        ("200 a second", Plan { rate: 200.0, ..one }),
        ("8 threads", Plan { threads: 8, ..one }),
        ("of 3 samples", short(1, 3)),
        ("of 5 samples", short(1, 5)),
        ("of 10 samples", short(1, 10)),
        ("8 of 20 samples", short(8, 20)),
        ("runs a tenth", Plan { share: 0.1, ..one }),
    ]
}

/// How often a process is found at each threshold.
fn alarms(plan: Plan, make: Make, seed: u64) -> [u32; 3] {
    let mut process = Process::new(plan, make, seed);
    let detector = |threshold_nats| {
        Randomx::new(Settings {
            threshold_nats,
            ..Settings::default()
        })
    };
    let mut detectors = THRESHOLDS.map(detector);
    let mut alarms = [0; 3];
    for _ in 0..SAMPLES {
        let event = process.next();
        for (detector, alarms) in detectors.iter_mut().zip(&mut alarms) {
            *alarms += u32::from(detector.take(&event).is_some());
        }
    }
    alarms
}

/// Most alarms in so many samples that the bound of e^-A for each sample allows, with five deviations for chance.
fn allowed(threshold_nats: f64, samples: u32) -> f64 {
    let expected = f64::from(samples) * (-threshold_nats).exp();
    expected + 5.0 * expected.sqrt()
}

#[test]
fn simulation_of_innocent_programs() {
    let mut wrong = Vec::new();
    for (name, make) in classes() {
        for (seed, (how, plan)) in (0..).zip(plans()) {
            let alarms = alarms(plan, &*make, seed);
            let [real, at_10, at_6] = alarms;
            println!("{name:32} {how:16} alarms at 37, 10, 6 nats: {real:2} {at_10:4} {at_6:6}");
            for (threshold, alarms) in THRESHOLDS.into_iter().zip(alarms) {
                if f64::from(alarms) > allowed(threshold, SAMPLES).floor() {
                    wrong.push(format!("{name}, {how}: {alarms} alarms at {threshold}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Samples that lie close together in the time that a thread ran are alike in a miner too, who interprets its programs.
/// Blocks are recognised all the same.
#[test]
fn blocks_are_recognised_where_many_want_the_processor() {
    let plan = Plan {
        share: 0.1,
        ..Plan::ONE
    };
    for (lasts, irregular) in [(0.002_5, true), (0.004, true), (0.002, false)] {
        let [real, ..] = alarms(plan, &*blocks(lasts, irregular), 1);
        assert_eq!(real, 0, "blocks of {lasts} s");
    }
}

/// Those that cannot be told apart are found, and those on the border seldom; the rest is for the document.
#[test]
fn simulation_of_the_nearest_misses() {
    for (name, make) in near() {
        let [real, at_10, at_6] = alarms(Plan::ONE, &*make, 1);
        println!(
            "{name:32} {:16} alarms at 37, 10, 6 nats: {real:5} {at_10:5} {at_6:6}",
            "1 thread"
        );
        assert!(real > 0 || !name.starts_with("all four"), "{name}");
        assert!(THOROUGH || real == 0 || !name.contains(" 5 %"), "{name}");
    }
}

/// Rare samples of slow blocks look like chance. So whoever is suspected is looked at more often.
#[test]
fn frequent_samples_clear_a_program_that_rare_ones_made_suspect() {
    for (lasts, irregular) in [(0.04, true), (0.06, false), (0.08, false)] {
        let make = blocks(lasts, irregular);
        let found = |suspected_rate| {
            let rare = Plan {
                rate: 10.0,
                ..Plan::ONE
            };
            let mut process = Process::new(rare, &*make, 1);
            let mut detector = Randomx::new(Settings::default());
            let found = (0..SAMPLES).filter(|_| {
                let event = process.next();
                let found = detector.take(&event).is_some();
                let suspected = !detector.suspects(event.samples[0].boot_ns).is_empty();
                process.look(if suspected { suspected_rate } else { 10.0 });
                found
            });
            found.count()
        };
        let [unsteered, steered] = [10.0, 200.0].map(found);
        println!(
            "blocks of {lasts} s, 10 samples a second: found {unsteered} times, {steered} if suspects have 200"
        );
        assert!(unsteered > 0 && steered == 0, "{lasts}");
    }
}
