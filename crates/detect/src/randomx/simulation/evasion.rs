//! What a miner can try that knows the detector.

use hayward_model::RoundingSample;

use super::{
    super::{Randomx, Settings},
    Make, Plan, Process, event,
    miners::{delays, fast},
    programs::{InTurns, Program, Shares},
    watch,
};

fn up(_: u32) -> Box<dyn Program> {
    Box::new(Shares([0.0, 0.0, 1.0, 0.0]))
}

fn in_turns(innocent: f64, mining: f64) -> impl Fn(u32) -> Box<dyn Program> {
    move |number| {
        Box::new(InTurns {
            programs: vec![up(number), fast(number)],
            lasts: vec![innocent, mining],
        })
    }
}

#[test]
fn simulation_of_evasion() {
    delays(
        "half a second mined, half rounded up",
        Plan::ONE,
        &in_turns(0.5, 0.5),
    );
    delays(
        "a minute rounded up, a minute mined",
        Plan::ONE,
        &in_turns(60.0, 60.0),
    );
    let decoys = |number: u32| {
        if number == 1 {
            fast(number)
        } else {
            up(number)
        }
    };
    let four = Plan {
        threads: 4,
        ..Plan::ONE
    };
    delays("one miner, three decoys", four, &decoys);
    let short_decoys = |number: u32| {
        if number.is_multiple_of(2) {
            fast(number)
        } else {
            up(number)
        }
    };
    let short = Plan {
        lifetime: Some(20),
        ..Plan::ONE
    };
    delays("every second short thread a decoy", short, &short_decoys);
}

#[test]
fn who_pauses_when_nearly_decided_gains_only_while_he_pauses() {
    let mut process = Process::new(Plan::ONE, &fast, 3);
    let mut detector = Randomx::new(Settings::default());
    let nats = |detector: &Randomx, now| {
        detector
            .suspects(now)
            .first()
            .map_or(0.0, |s| s.evidence_nats)
    };
    let mut paused = 0;
    let mut pauses = 0;
    for _ in 0..20_000 {
        let mut event = process.next();
        event.samples[0].boot_ns += paused;
        let now = event.samples[0].boot_ns;
        assert!(
            detector.take(&event).is_none(),
            "found after {pauses} pauses"
        );
        if nats(&detector, now) > 30.0 {
            let two_minutes = 120_000_000_000;
            let later = nats(&detector, now + two_minutes);
            assert!((nats(&detector, now) / later - 4.0).abs() < 0.01, "{later}");
            paused += two_minutes;
            pauses += 1;
        }
    }
    assert!(pauses > 50, "{pauses}");
    // Who pauses less is found: here for as long as he mines, which is half of the time.
    let resting = Plan {
        rate: 50.0,
        ..Plan::ONE
    };
    assert!(watch(resting, &fast, 2_000, 1).is_some());
}

#[test]
fn rare_samples_never_add_up() {
    let rare = Plan {
        rate: 0.2,
        ..Plan::ONE
    };
    assert!(watch(rare, &fast, 5_000, 1).is_none());
}

#[test]
fn long_innocence_is_no_credit() {
    let delay = |innocent: usize| {
        let mut detector = Randomx::new(Settings::default());
        let sample = |index: usize| RoundingSample {
            boot_ns: index as u64 * 10_000_000 + 1,
            ran_ns: index as u64 * 10_000_000 + 1,
            mode: 2,
            flush: false,
        };
        for index in 0..innocent {
            assert!(detector.take(&event(7, 1, vec![sample(index)])).is_none());
        }
        let make: Make = &fast;
        let mut process = Process::new(Plan::ONE, make, 5);
        (0..2_000).position(|_| {
            let mut event = process.next();
            event.samples[0].boot_ns += innocent as u64 * 10_000_000;
            detector.take(&event).is_some()
        })
    };
    let [after_none, after_seconds, after_hours] = [0, 1_000, 400_000].map(delay);
    let after_none = after_none.expect("found");
    assert_eq!(after_seconds, after_hours, "it does not matter how long");
    assert!(
        after_hours.expect("found") < after_none + 60,
        "{after_hours:?} {after_none}"
    );
}
