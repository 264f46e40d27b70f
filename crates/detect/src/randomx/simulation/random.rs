//! Random numbers that are the same in every run.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to, and without, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with a probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// With a mean of one, and no memory: what is left does not depend on what has passed.
    pub(crate) fn waiting(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// One of the modes, each as likely.
    pub(crate) fn mode(&mut self) -> u8 {
        self.one_of(&[0.25; 4])
    }

    /// A mode with the share that it has.
    pub(crate) fn one_of(&mut self, shares: &[f64; 4]) -> u8 {
        let mut left = self.unit() * shares.iter().sum::<f64>();
        for (mode, share) in (0..).zip(shares) {
            if left < *share {
                return mode;
            }
            left -= share;
        }
        let last = shares.iter().rposition(|share| *share > 0.0);
        last.and_then(|mode| u8::try_from(mode).ok()).unwrap_or(0)
    }
}
