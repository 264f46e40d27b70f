//! What RandomX does with the rounding mode.

use std::time::Duration;

use super::mixture::Mixture;

/// How many kinds of miner are told apart.
pub(super) const MINERS: usize = 6;
/// Those, and the innocent.
pub(super) const KINDS: usize = MINERS + 1;

/// The share of each mode if chance sets it.
const CHANCE: f64 = 0.25;
/// The share of samples in nearest beside the quarter that chance gives it: each hash begins in nearest, and a miner
/// may do other work between.
const EXTRA_NEAREST: [f64; 3] = [0.05, 0.25, 0.5];
/// The share of programs without an instruction that sets the mode, in which it stays as it was.
const UNCHANGING: f64 = 0.37;
/// How long a program lasts in the slowest miner, one that interprets programs and computes its dataset as it goes.
const SLOW_PROGRAM: Duration = Duration::from_millis(15);
/// The probability that a fast miner is found in the mode of before without chance.
const FAST_STAYS: f64 = 0.02;
/// The probability that a thread is a miner's before anything is known of its process: much, so that the process's
/// first threads count, and less than one, so that a thread which is no miner's takes little from the evidence.
const MINER: f64 = 0.8;
/// The probability, after each sample, that a thread begins or ceases to mine.
const CHANGE: f64 = 0.002;

/// A thread as a miner's, perhaps: what it is, innocent or one of the kinds of miner.
///
/// It may be innocent in a process that mines: threads that do something else, to distract, take no more from the
/// evidence than the logarithm of that chance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    mixture: Mixture<KINDS>,
}

impl Kind {
    /// The innocent, then each kind of miner.
    const PRIOR: Mixture<KINDS> = {
        let mut weights = [MINER / MINERS as f64; KINDS];
        weights[0] = 1.0 - MINER;
        Mixture::new(weights)
    };

    pub(super) const fn new() -> Self {
        Self {
            mixture: Self::PRIOR,
        }
    }

    /// Learns a mode that came `gap` after `previous`, and that an innocent thread would have shown with probability
    /// `innocent`. Returns how much more probable it was under what the thread may be, as a logarithm: the evidence.
    pub(super) fn learn(
        &mut self,
        innocent: f64,
        previous: usize,
        mode: usize,
        gap: Duration,
    ) -> f64 {
        let mut of_each = [innocent; KINDS];
        of_each[1..].copy_from_slice(&miners(previous, mode, gap));
        let evidence = (self.mixture.probability(&of_each) / innocent).ln();
        self.mixture.learn(&of_each, CHANGE, &Self::PRIOR);
        evidence
    }

    /// Moves towards `other` by a part of the distance.
    pub(super) fn approach(&mut self, other: &Self, part: f64) {
        self.mixture.approach(&other.mixture, part);
    }
}

/// The probability of `mode` under each kind of miner: fast ones, then slow ones.
pub(super) fn miners(previous: usize, mode: usize, gap: Duration) -> [f64; MINERS] {
    let slow_stays = UNCHANGING * (-gap.as_secs_f64() / SLOW_PROGRAM.as_secs_f64()).exp();
    let mut of_each = [0.0; MINERS];
    let kinds = [FAST_STAYS, slow_stays]
        .into_iter()
        .flat_map(|stays| EXTRA_NEAREST.map(|extra| (stays, extra)));
    for (probability, (stays, extra)) in of_each.iter_mut().zip(kinds) {
        let drawn = (1.0 - extra) * CHANCE + if mode == 0 { extra } else { 0.0 };
        *probability = (1.0 - stays) * drawn + if mode == previous { stays } else { 0.0 };
    }
    of_each
}
