//! Judging recorded samples of one thread, for those who want to know why.

use std::time::Duration;

use hayward_model::RoundingSample;

use super::{
    Alternative, Settings,
    evidence::Evidence,
    innocent::{ALTERNATIVES, Habits, MODES},
    miner::{MINERS, miners},
    mixture::Mixture,
    process::Process,
};

/// What recorded samples of a thread say.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How often each mode was seen: to nearest, down, up, towards zero.
    pub modes: [u32; 4],
    /// The strongest evidence at any time, in nats; it is compared with `Settings::threshold_nats`.
    pub evidence_nats: f64,
    /// After how many samples a process with this thread alone would have been found to mine, if ever.
    pub decided_after: Option<usize>,
    /// The strongest evidence, in nats, at any time against each alternative by itself. The smallest names the
    /// alternative that explains the samples best.
    pub against: [(Alternative, f64); ALTERNATIVES],
}

/// Judges the samples of one thread, with the thresholds of `settings`.
pub fn judge(samples: &[RoundingSample], settings: &Settings) -> Judgement {
    let sound = |sample: &&RoundingSample| usize::from(sample.mode) < MODES;
    let mut process = Process::new(settings);
    let mut decided_after = None;
    let mut evidence_nats = 0.0f64;
    let mut modes = [0; MODES];
    for (index, sample) in samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sound(sample))
    {
        let found = process.take((0, 0), *sample, settings.threshold_nats);
        let nats = found.map_or(process.evidence.nats(0), |found| found.evidence_nats);
        evidence_nats = evidence_nats.max(nats);
        decided_after = decided_after.or(found.map(|_| index + 1));
        modes[usize::from(sample.mode)] += 1;
    }
    let sound: Vec<RoundingSample> = samples.iter().filter(sound).copied().collect();
    Judgement {
        modes,
        evidence_nats,
        decided_after,
        against: against(&sound, settings.half_life),
    }
}

/// The strongest evidence against each alternative by itself.
fn against(samples: &[RoundingSample], half_life: Duration) -> [(Alternative, f64); ALTERNATIVES] {
    let mut habits = Habits::new();
    let mut miner = Mixture::<MINERS>::even();
    let mut sums = [Evidence::new(half_life); ALTERNATIVES];
    let mut strongest = Alternative::ALL.map(|alternative| (alternative, 0.0f64));
    if let Some(first) = samples.first() {
        habits.begin(first.mode.into());
    }
    let mut before = samples.first().copied();
    for sample in samples {
        let Some(last) = before.filter(|last| sample.boot_ns > last.boot_ns) else {
            continue;
        };
        let (previous, mode) = (usize::from(last.mode), usize::from(sample.mode));
        let of_each = habits.of_each(previous, mode);
        let gap = Duration::from_nanos(sample.ran_ns.saturating_sub(last.ran_ns));
        let miners = miners(previous, mode, gap);
        let mined = miner.probability(&miners);
        for ((sum, strongest), alternative) in sums.iter_mut().zip(&mut strongest).zip(of_each) {
            sum.add((mined / alternative).ln(), *sample, &mut 0);
            strongest.1 = strongest.1.max(sum.nats(sample.boot_ns));
        }
        habits.learn(previous, mode);
        miner.learn(&miners, 0.0, &Mixture::even());
        before = Some(*sample);
    }
    strongest
}

#[cfg(test)]
mod tests {
    use super::{
        super::simulation::{
            Make, Plan, Process,
            programs::{Blocks, RandomX, Shares},
        },
        *,
    };

    fn judged(make: Make) -> Judgement {
        let mut process = Process::new(Plan::ONE, make, 1);
        let samples = (0..3_000).flat_map(|_| process.next().samples);
        judge(&samples.collect::<Vec<_>>(), &Settings::default())
    }

    /// So each alternative is needed: without it, the class of programs that it stands for would be found.
    #[test]
    fn each_class_of_programs_has_one_alternative_that_explains_it_and_only_that() {
        let three = |missing: u8| {
            move |_: u32| -> Box<dyn super::super::simulation::programs::Program> {
                let mut shares = [1.0; 4];
                shares[usize::from(missing)] = 0.0;
                Box::new(Shares(shares))
            }
        };
        let mut classes: Vec<(Alternative, Judgement)> = Vec::new();
        for missing in 0..4 {
            classes.push((Alternative::Without(missing), judged(&three(missing))));
        }
        let blocks = judged(&|_| Box::new(Blocks::new(0.02, true)));
        classes.push((Alternative::Blocks, blocks));
        let cycle = judged(&|_| Box::new(Blocks::new(0.02, false)));
        classes.push((Alternative::Regular, cycle));
        for (explanation, judgement) in classes {
            assert_eq!(judgement.decided_after, None, "{explanation:?}");
            assert!(
                judgement.evidence_nats < 12.0,
                "{explanation:?}: {judgement:?}"
            );
            for (alternative, nats) in judgement.against {
                let explains = nats < 37.0;
                assert_eq!(
                    explains,
                    alternative == explanation,
                    "{explanation:?}: {judgement:?}"
                );
            }
        }
    }

    #[test]
    fn nothing_explains_a_miner() {
        let judgement = judged(&|_| Box::new(RandomX::new(0.000_15, 0.1)));
        let decided = judgement.decided_after.expect("found");
        assert!((60..400).contains(&decided), "{decided}");
        assert!(
            judgement.against.iter().all(|(_, nats)| *nats > 100.0),
            "{judgement:?}"
        );
        assert_eq!(judgement.modes.iter().sum::<u32>(), 3_000);
    }
}
