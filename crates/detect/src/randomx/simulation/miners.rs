//! Miners are found, and how soon.

use super::{
    Found, Make, Plan, THOROUGH,
    programs::{Mixed, Program, RandomX},
    watch,
};

const TRIALS: u64 = if THOROUGH { 2_000 } else { 40 };
/// A miner that is not found within so many samples counts as missed.
const MOST_SAMPLES: u32 = 8_000;

/// A miner that has all memory it wants.
pub(super) fn fast(_: u32) -> Box<dyn Program> {
    Box::new(RandomX::new(0.000_15, 0.1))
}

/// One that computes its dataset as it goes, with compiled programs.
fn light(_: u32) -> Box<dyn Program> {
    Box::new(RandomX::new(0.002, 0.02))
}

/// The same, with interpreted programs.
fn interpreted(_: u32) -> Box<dyn Program> {
    Box::new(RandomX::new(0.012, 0.02))
}

fn a_quarter_nearest(_: u32) -> Box<dyn Program> {
    mixed(0.25)
}

fn half_nearest(_: u32) -> Box<dyn Program> {
    mixed(0.5)
}

fn mixed(nearest: f64) -> Box<dyn Program> {
    Box::new(Mixed {
        program: fast(0),
        nearest,
    })
}

/// Delays until a miner is found, sorted. None may be missed.
pub(super) fn delays(name: &str, plan: Plan, make: Make) -> Vec<Found> {
    let found = (0..TRIALS).filter_map(|seed| watch(plan, make, MOST_SAMPLES, seed));
    let mut found: Vec<Found> = found.collect();
    found.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let missed = TRIALS - found.len() as u64;
    assert_eq!(missed, 0, "{name}: missed {missed} of {TRIALS}");
    let [middle, late] = [0.5, 0.99].map(|part| percentile(&found, part));
    println!(
        "{name:36} samples {:5} {:5}   seconds {:6.2} {:6.2}   (median, 99th percentile)",
        middle.samples, late.samples, middle.seconds, late.seconds
    );
    found
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a length"
)]
pub(super) fn percentile(found: &[Found], part: f64) -> Found {
    found[(found.len() as f64 * part) as usize]
}

#[test]
fn simulation_of_miners() {
    let one = Plan::ONE;
    let slow = Plan { rate: 10.0, ..one };
    let quick = Plan { rate: 200.0, ..one };
    let threads = |threads| Plan { threads, ..one };
    let short = |samples| Plan {
        lifetime: Some(samples),
        ..one
    };
    // As many others want the processor.
    let crowd = |rate, share| Plan { rate, share, ..one };
    let rows: [(&str, Plan, Make, f64); 19] = [
        ("fast, 100 a second", one, &fast, 2.5),
        ("fast, 200 a second", quick, &fast, 1.3),
        ("fast, 10 a second", slow, &fast, 25.0),
        ("fast, 2 threads", threads(2), &fast, 1.3),
        ("fast, 8 threads", threads(8), &fast, 0.4),
        ("light, 100 a second", one, &light, 2.5),
        ("interpreted, 100 a second", one, &interpreted, 2.5),
        ("interpreted, 200 a second", quick, &interpreted, 1.8),
        ("interpreted, 10 a second", slow, &interpreted, 25.0),
        (
            "light, 30 a second, runs a tenth",
            crowd(30.0, 0.1),
            &light,
            12.0,
        ),
        (
            "interpreted, 5 a second, runs 1.5 %",
            crowd(5.0, 0.015),
            &interpreted,
            120.0,
        ),
        ("a quarter in nearest besides", one, &a_quarter_nearest, 4.0),
        ("half in nearest besides", one, &half_nearest, 9.0),
        ("half in nearest, 10 a second", slow, &half_nearest, 150.0),
        ("a new thread every 5 samples", short(5), &fast, 20.0),
        ("a new thread every 7 samples", short(7), &fast, 7.5),
        ("a new thread every 10 samples", short(10), &fast, 5.0),
        ("a new thread every 20 samples", short(20), &fast, 4.0),
        (
            "4 short threads at a time",
            Plan {
                threads: 4,
                ..short(7)
            },
            &fast,
            2.0,
        ),
    ];
    for (name, plan, make, median) in rows {
        let found = delays(name, plan, make);
        let middle = percentile(&found, 0.5).seconds;
        assert!(middle < median, "{name}: {middle} s");
        for found in found {
            let mining = found.mining;
            assert!(
                mining.evidence_nats >= 37.0 && mining.flush_share == 1.0,
                "{mining:?}"
            );
            assert!(mining.samples <= found.samples && mining.seconds <= found.seconds);
            assert!(mining.modes.iter().all(|count| *count > 0), "{mining:?}");
        }
    }
}
