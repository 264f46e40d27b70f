//! Judging recorded samples of one thread, for those who want to know why.

use std::time::Duration;

use hayward_model::RoundingSample;

use super::{
    Alternative, Settings,
    evidence::Evidence,
    innocent::{ALTERNATIVES, Innocent, MODES},
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
    let mut innocent = Innocent::new();
    let mut miner = Mixture::<MINERS>::even();
    let mut sums = [Evidence::new(half_life); ALTERNATIVES];
    let mut strongest = Alternative::ALL.map(|alternative| (alternative, 0.0f64));
    if let Some(first) = samples.first() {
        innocent.begin(first.mode.into());
    }
    let mut before = samples.first().copied();
    for sample in samples {
        let Some(last) = before.filter(|last| sample.boot_ns > last.boot_ns) else {
            continue;
        };
        let (previous, mode) = (usize::from(last.mode), usize::from(sample.mode));
        let of_each = innocent.of_each(previous, mode);
        let gap = Duration::from_nanos(sample.boot_ns - last.boot_ns);
        let miners = miners(previous, mode, gap);
        let mined = miner.probability(&miners);
        for ((sum, strongest), alternative) in sums.iter_mut().zip(&mut strongest).zip(of_each) {
            sum.add((mined / alternative).ln(), *sample, &mut 0);
            strongest.1 = strongest.1.max(sum.nats(sample.boot_ns));
        }
        innocent.learn(&of_each, previous, mode);
        miner.learn(&miners, 0.0, &Mixture::even());
        before = Some(*sample);
    }
    strongest
}
