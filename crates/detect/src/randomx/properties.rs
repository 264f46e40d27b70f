//! What holds for any input.

use hayward_fuzz::throw;
use hayward_model::{RoundingEvent, RoundingSample};
use proptest::{collection::vec, prelude::*};

use super::{
    Alternative, Randomx, Settings,
    innocent::{Habits, MODES},
    judge, miner,
    simulation::event,
};

/// Times that are likely, equal, far apart, out of order, and impossible.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..40_000_000_000,
        1 => (0u64..50).prop_map(|tick| tick * 10_000_000),
        1 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
    ]
}

fn sample() -> impl Strategy<Value = RoundingSample> {
    let mode = prop_oneof![8 => 0u8..4, 1 => any::<u8>()];
    (time(), time(), mode, any::<bool>()).prop_map(|(boot_ns, ran_ns, mode, flush)| {
        RoundingSample {
            boot_ns,
            ran_ns,
            mode,
            flush,
        }
    })
}

fn any_event() -> impl Strategy<Value = RoundingEvent> {
    let samples = prop_oneof![60 => vec(sample(), 0..20), 1 => vec(sample(), 2_000..3_000)];
    (0u32..40, 0u32..6, 0u64..3, samples).prop_map(|(thread, pid, start, samples)| RoundingEvent {
        thread_start_boot_ns: start,
        ..event(pid, thread, samples)
    })
}

fn small() -> Settings {
    Settings {
        threshold_nats: 3.0,
        suspicion_nats: 0.5,
        most_threads: 16,
        most_processes: 4,
        ..Settings::default()
    }
}

#[test]
fn no_input_breaks_the_detector_or_outgrows_it() {
    throw(100, &vec(any_event(), 0..60), |events| {
        let mut detector = Randomx::new(small());
        for event in &events {
            if let Some(mining) = detector.take(event) {
                prop_assert!(mining.evidence_nats >= 3.0 && mining.evidence_nats.is_finite());
                prop_assert!(mining.seconds >= 0.0 && mining.threads > 0);
                prop_assert!((0.0..=1.0).contains(&mining.flush_share));
                prop_assert_eq!(mining.modes.iter().sum::<u32>(), mining.samples);
            }
            prop_assert!(detector.table.processes().count() <= 4);
            let threads = detector
                .table
                .processes()
                .map(|(_, process)| process.threads.len());
            let threads: usize = threads.sum();
            prop_assert!(threads <= 16);
            prop_assert_eq!(threads, detector.table.threads());
            for suspect in detector.suspects(0) {
                prop_assert!(suspect.evidence_nats.is_finite());
            }
        }
        for pid in 0..6 {
            detector.forget(pid, 1);
        }
        prop_assert_eq!(detector.table.threads(), 0);
        Ok(())
    });
}

#[test]
fn any_samples_can_be_judged() {
    throw(300, &vec(sample(), 0..400), |samples| {
        let judgement = judge(&samples, &small());
        prop_assert!(judgement.evidence_nats.is_finite() && judgement.evidence_nats >= 0.0);
        for (_, nats) in judgement.against {
            prop_assert!(nats.is_finite() && nats >= 0.0);
        }
        prop_assert!(
            judgement
                .decided_after
                .is_none_or(|after| after <= samples.len())
        );
        Ok(())
    });
}

#[test]
fn it_does_not_matter_how_samples_are_packed_into_events() {
    throw(
        60,
        &(vec(sample(), 0..400), 1usize..100),
        |(samples, packed)| {
            let count = |packed: usize| {
                let mut detector = Randomx::new(small());
                let parts = samples.chunks(packed);
                let events = parts.map(|part| event(1, 1, part.to_vec()));
                let found = events
                    .filter(|event| detector.take(event).is_some())
                    .count();
                (found > 0, detector.suspects(0))
            };
            prop_assert_eq!(count(1), count(packed));
            Ok(())
        },
    );
}

/// Without this the evidence would mean nothing: models that promise less than everything make all others look good.
#[test]
fn every_model_shares_out_one_whole_whatever_it_has_seen() {
    let modes = vec(0usize..MODES, 0..300);
    throw(
        200,
        &(modes, 0usize..MODES, 0u64..100_000_000),
        |(modes, previous, gap)| {
            let mut habits = Habits::new();
            let mut before = 0;
            for mode in modes {
                habits.learn(before, mode);
                before = mode;
            }
            for (index, alternative) in Alternative::ALL.into_iter().enumerate() {
                let whole: f64 = (0..MODES)
                    .map(|mode| habits.of_each(previous, mode)[index])
                    .sum();
                prop_assert!((whole - 1.0).abs() < 1e-9, "{alternative:?}: {whole}");
            }
            let gap = std::time::Duration::from_nanos(gap);
            for kind in 0..miner::MINERS {
                let whole: f64 = (0..MODES)
                    .map(|mode| miner::miners(previous, mode, gap)[kind])
                    .sum();
                prop_assert!((whole - 1.0).abs() < 1e-9, "{kind}: {whole}");
            }
            Ok(())
        },
    );
}
