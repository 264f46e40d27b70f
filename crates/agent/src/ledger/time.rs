//! For how long a source is banned that was banned before.

use std::time::Duration;

/// The time of a source's n-th ban: twice that of the one before, up to the longest. A tenth more or less, so that nobody can tell
/// to the second when to come back, nor do all come back at once.
pub(crate) fn doubled(first: Duration, longest: Duration, times: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(times.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let time = first.saturating_mul(factor).min(longest);
    time.mul_f64(0.9 + 0.2 * fastrand::f64()).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_time_is_twice_the_one_before_up_to_the_longest(
            first in 1_u64..31_536_000,
            longer in 0_u64..31_536_000,
            times in 0_u32..u32::MAX,
        ) {
            let (first, longest) = (Duration::from_secs(first), Duration::from_secs(first + longer));
            let exact = (0..times.saturating_sub(1).min(64)).fold(first, |time, _| {
                time.saturating_mul(2).min(longest)
            });
            let time = doubled(first, longest, times);
            prop_assert!(time <= longest);
            prop_assert!(time >= exact.mul_f64(0.899), "{time:?} {exact:?}");
            prop_assert!(time <= exact.mul_f64(1.101), "{time:?} {exact:?}");
        }
    }

    #[test]
    fn no_two_are_alike() {
        let hour = Duration::from_secs(3600);
        let times: std::collections::BTreeSet<_> =
            (0..50).map(|_| doubled(hour, 24 * hour, 1)).collect();
        assert!(times.len() > 40);
    }
}
