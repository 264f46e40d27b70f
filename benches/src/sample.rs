//! Medians and spreads: these say more of a noisy machine than means do.

/// Sorted samples.
#[derive(Debug, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Sorts them. There must be one at least.
    pub(crate) fn new(mut samples: Vec<f64>) -> Self {
        assert!(!samples.is_empty(), "nothing was measured");
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// The value below which this share of the samples lies, from 0 to 1.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len() - 1;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a short list"
        )]
        let index = (share * last as f64).round() as usize;
        self.0[index.min(last)]
    }

    /// All of them, the smallest first.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }

    /// The value in the middle.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The mean of the middle half, for what is read in steps that are wide beside what is asked.
    pub(crate) fn middle_mean(&self) -> f64 {
        let quarter = self.0.len() / 4;
        let middle = &self.0[quarter..self.0.len() - quarter];
        middle.iter().sum::<f64>() / real(middle.len() as u64)
    }

    /// The middle half, in words.
    pub(crate) fn spread(&self, digits: usize) -> String {
        format!(
            "{:.digits$} to {:.digits$} (middle half of {})",
            self.quantile(0.25),
            self.quantile(0.75),
            self.0.len()
        )
    }
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}
