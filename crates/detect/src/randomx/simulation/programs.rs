//! Programs that change the rounding mode, as somebody sees them who interrupts them now and then.

use super::random::Random;

/// A thread's work.
pub(crate) trait Program {
    /// The rounding mode at a time, in seconds since the thread began. Times only grow.
    fn mode(&mut self, seconds: f64, random: &mut Random) -> u8;
}

/// RandomX: hash after hash, each of them eight programs.
#[derive(Debug, Clone)]
pub(crate) struct RandomX {
    /// Seconds that a program lasts, on average.
    pub(crate) program: f64,
    /// The part of a hash, 0 to 1, at its beginning, that fills memory with rounding to nearest.
    pub(crate) filling: f64,
    until: f64,
    left: u8,
    changing: bool,
    mode: u8,
}

/// The share of programs that hold no instruction which sets the mode.
const UNCHANGING: f64 = 0.37;
const PROGRAMS: u8 = 8;

impl RandomX {
    pub(crate) fn new(program: f64, filling: f64) -> Self {
        Self {
            program,
            filling,
            until: 0.0,
            left: 0,
            changing: false,
            mode: 0,
        }
    }

    fn hash(&self) -> f64 {
        f64::from(PROGRAMS) * self.program / (1.0 - self.filling)
    }
}

impl Program for RandomX {
    fn mode(&mut self, seconds: f64, random: &mut Random) -> u8 {
        // Hashes that nobody looks at need not be played.
        if seconds - self.until > 3.0 * self.hash() {
            self.until = seconds - self.hash() * (1.0 + random.unit());
            self.left = 0;
        }
        while self.until <= seconds {
            if self.changing {
                self.mode = random.mode();
            }
            if self.left == 0 {
                (self.left, self.changing, self.mode) = (PROGRAMS, false, 0);
                self.until += self.filling * self.hash();
            } else {
                self.left -= 1;
                self.changing = !random.chance(UNCHANGING);
                self.until += self.program * (0.7 + 0.6 * random.unit());
            }
        }
        if self.changing {
            random.mode()
        } else {
            self.mode
        }
    }
}

/// Modes that occur with given shares, changing quicker than anybody looks: interval arithmetic, or constant rounding.
#[derive(Debug, Clone)]
pub(crate) struct Shares(pub(crate) [f64; 4]);

impl Program for Shares {
    fn mode(&mut self, _seconds: f64, random: &mut Random) -> u8 {
        random.one_of(&self.0)
    }
}

/// Each mode for a while, then another one.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    /// Seconds that a block lasts, on average.
    pub(crate) lasts: f64,
    /// Blocks last differently, and any other mode may follow; otherwise all is regular.
    pub(crate) irregular: bool,
    until: f64,
    mode: u8,
}

impl Blocks {
    pub(crate) fn new(lasts: f64, irregular: bool) -> Self {
        Self {
            lasts,
            irregular,
            until: 0.0,
            mode: 0,
        }
    }
}

impl Program for Blocks {
    fn mode(&mut self, seconds: f64, random: &mut Random) -> u8 {
        while self.until <= seconds {
            let mut others = [1.0; 4];
            others[usize::from(self.mode)] = 0.0;
            let (mode, lasts) = match self.irregular {
                true => (random.one_of(&others), random.waiting()),
                false => ((self.mode + 1) % 4, 1.0),
            };
            self.mode = mode;
            self.until += self.lasts * lasts;
        }
        self.mode
    }
}

/// One program for a while, then the next.
pub(crate) struct InTurns {
    pub(crate) programs: Vec<Box<dyn Program>>,
    /// Seconds that each has.
    pub(crate) lasts: Vec<f64>,
}

impl Program for InTurns {
    fn mode(&mut self, seconds: f64, random: &mut Random) -> u8 {
        let mut left = seconds % self.lasts.iter().sum::<f64>();
        for (program, lasts) in self.programs.iter_mut().zip(&self.lasts) {
            if left < *lasts {
                return program.mode(seconds, random);
            }
            left -= lasts;
        }
        0
    }
}

/// A program that is found in nearest for other reasons in a share of the samples.
pub(crate) struct Mixed {
    pub(crate) program: Box<dyn Program>,
    pub(crate) nearest: f64,
}

impl Program for Mixed {
    fn mode(&mut self, seconds: f64, random: &mut Random) -> u8 {
        let mode = self.program.mode(seconds, random);
        if random.chance(self.nearest) { 0 } else { mode }
    }
}
