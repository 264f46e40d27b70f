//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// How long to wait after so many failures before this one: twice as long each time, up to the limit, less up to a half by
/// chance, so that not all agents of a cluster come at once.
pub fn backoff(failures: u32, first: Duration, longest: Duration) -> Duration {
    let whole = first.saturating_mul(1 << failures.min(16)).min(longest);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(30));
        for failures in 0..100 {
            let whole = first.saturating_mul(1 << failures.min(16)).min(longest);
            let pause = backoff(failures, first, longest);
            assert!(
                pause <= whole && pause >= whole / 2,
                "{failures}: {pause:?}"
            );
        }
    }
}
