//! Several models of the same samples, weighed by how well each has predicted them.

/// Probabilities that each of `N` models is the one that holds now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mixture<const N: usize> {
    weights: [f64; N],
}

impl<const N: usize> Mixture<N> {
    /// `weights` sum to one.
    pub(super) const fn new(weights: [f64; N]) -> Self {
        Self { weights }
    }

    /// Nothing speaks for one model rather than another.
    pub(super) const fn even() -> Self {
        Self::new([1.0 / N as f64; N])
    }

    /// The probability of a sample, given what each model holds for it.
    pub(super) fn probability(&self, of_each: &[f64; N]) -> f64 {
        let products = self.weights.iter().zip(of_each);
        products
            .map(|(weight, probability)| weight * probability)
            .sum()
    }

    /// Learns from a sample, given what each model held for it. With probability `change`, the thread then goes on
    /// under a model drawn anew from `prior`; so no weight falls so low that a thread could not change what it does.
    pub(super) fn learn(&mut self, of_each: &[f64; N], change: f64, prior: &Self) {
        let total = self.probability(of_each);
        for ((weight, probability), prior) in
            self.weights.iter_mut().zip(of_each).zip(&prior.weights)
        {
            *weight = (1.0 - change) * *weight * probability / total + change * prior;
        }
    }

    /// Moves towards `other` by a part of the distance.
    pub(super) fn approach(&mut self, other: &Self, part: f64) {
        for (weight, other) in self.weights.iter_mut().zip(&other.weights) {
            *weight += part * (other - *weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_that_predicts_better_gains_and_the_other_is_never_lost() {
        let prior = Mixture::new([0.5, 0.5]);
        let mut mixture = prior;
        for _ in 0..10_000 {
            mixture.learn(&[0.9, 0.1], 0.01, &prior);
            let sum: f64 = mixture.weights.iter().sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
        assert!(mixture.weights[0] > 0.99 && mixture.weights[1] >= 0.005);
        assert!(mixture.probability(&[0.9, 0.1]) > 0.89);
        for _ in 0..5 {
            mixture.learn(&[0.1, 0.9], 0.01, &prior);
        }
        assert!(mixture.weights[1] > 0.9, "{mixture:?}");
    }
}
