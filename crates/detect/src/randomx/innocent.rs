//! What programs that change the rounding mode for their own reasons do with it: the alternatives to RandomX.

use super::mixture::Mixture;

/// How many rounding modes there are.
pub(super) const MODES: usize = 4;
/// How many alternatives there are.
pub(super) const ALTERNATIVES: usize = 6;

/// The probability of a mode that a program hardly uses.
const HARDLY: f64 = 0.02;
/// The probability that a program which works in blocks is found in the block it was in.
const STAYS: f64 = 0.75;
/// The probability that one of two usual successors follows.
const USUAL: f64 = 0.94;
/// The probability, after each sample, that a thread turns to another alternative.
pub(super) const CHANGE: f64 = 0.001;
/// At so many samples what was counted is halved, so that a program that changes its ways is followed.
const MOST_COUNTED: u8 = 64;

/// A way to use rounding modes that is not RandomX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alternative {
    /// One mode is hardly used: constant rounding, two modes, interval arithmetic. How often the other three occur is
    /// learned. With the mode, 0 to 3.
    Without(u8),
    /// Each mode is kept for a while: sweeps over all modes, as tests of mathematical libraries do.
    Blocks,
    /// Each mode has at most two usual successors, which are learned: cycles and other regular orders.
    Regular,
}

impl Alternative {
    /// Every alternative, in the order of their models.
    pub const ALL: [Self; ALTERNATIVES] = [
        Self::Without(0),
        Self::Without(1),
        Self::Without(2),
        Self::Without(3),
        Self::Blocks,
        Self::Regular,
    ];

    /// The probability that `mode` comes next.
    fn probability(self, history: &History, previous: usize, mode: usize) -> f64 {
        match self {
            Self::Without(missing) => history.seen.without(usize::from(missing), mode),
            Self::Blocks if mode == previous => STAYS,
            Self::Blocks => (1.0 - STAYS) / 3.0,
            Self::Regular => history.successors[previous].usual(mode),
        }
    }
}

impl std::fmt::Display for Alternative {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Without(0) => "hardly ever rounds to nearest",
            Self::Without(1) => "hardly ever rounds down",
            Self::Without(2) => "hardly ever rounds up",
            Self::Without(_) => "hardly ever rounds towards zero",
            Self::Blocks => "keeps each mode for a while",
            Self::Regular => "takes the modes in a regular order",
        })
    }
}

/// How often each mode was seen, older samples counting less.
#[derive(Debug, Clone, Copy, Default)]
struct Counts([u8; MODES]);

impl Counts {
    fn add(&mut self, mode: usize) {
        self.0[mode] += 1;
        if self.0.iter().sum::<u8>() >= MOST_COUNTED {
            self.0 = self.0.map(|count| count / 2);
        }
    }

    /// One more than was seen: Laplace's rule of succession.
    fn weight(&self, mode: usize) -> f64 {
        f64::from(self.0[mode]) + 1.0
    }

    fn without(&self, missing: usize, mode: usize) -> f64 {
        if mode == missing {
            return HARDLY;
        }
        let others = (0..MODES).filter(|other| *other != missing);
        let total: f64 = others.map(|other| self.weight(other)).sum();
        (1.0 - HARDLY) * self.weight(mode) / total
    }

    fn usual(&self, mode: usize) -> f64 {
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|mode| std::cmp::Reverse(self.0[*mode]));
        let [first, second, ..] = order;
        let known = self.0.iter().filter(|count| **count > 0).count().min(2);
        let share = |mode| self.weight(mode) / (self.weight(first) + self.weight(second));
        match known {
            0 => 0.25,
            1 if mode == first => USUAL * share(first),
            1 => (1.0 - USUAL * share(first)) / 3.0,
            _ if mode == first || mode == second => USUAL * share(mode),
            _ => (1.0 - USUAL) / 2.0,
        }
    }
}

/// What was seen of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct History {
    seen: Counts,
    successors: [Counts; MODES],
}

/// What a thread, or a whole process, does if it is innocent: foretells the next mode from those before, whichever
/// alternative holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    history: History,
    mixture: Mixture<ALTERNATIVES>,
}

impl Habits {
    /// Nothing is known.
    pub(super) fn new() -> Self {
        Self {
            history: History::default(),
            mixture: Mixture::even(),
        }
    }

    /// A thread's first mode: nothing could have foretold it.
    pub(super) fn begin(&mut self, mode: usize) {
        self.history.seen.add(mode);
    }

    /// What each alternative holds for `mode` to come after `previous`.
    pub(super) fn of_each(&self, previous: usize, mode: usize) -> [f64; ALTERNATIVES] {
        Alternative::ALL.map(|alternative| alternative.probability(&self.history, previous, mode))
    }

    /// Learns that `mode` came after `previous`, and returns how probable that was.
    pub(super) fn learn(&mut self, previous: usize, mode: usize) -> f64 {
        let of_each = self.of_each(previous, mode);
        let probability = self.mixture.probability(&of_each);
        self.mixture.learn(&of_each, CHANGE, &Mixture::even());
        self.history.seen.add(mode);
        self.history.successors[previous].add(mode);
        probability
    }
}
