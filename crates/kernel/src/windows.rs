//! How much of the time the sensor of the `randomx` guard is on its event, so that no processor pays much for it.
//!
//! The kernel takes some 70 ns to call any program at all when a thread is switched out, ten times what this one does
//! then. Where threads are switched ten thousand times a second that is nothing. Two that hand each other a byte over a
//! pipe are switched a million times, and would take 8 % longer.

use std::time::Duration;

use crate::RoundingCounts;

/// Calls a second that a processor can afford: 0.2 % of it at 70 ns each.
pub const AFFORDABLE_CALLS: u64 = 30_000;

/// The shortest time for which it is worth attaching.
const SHORTEST: f64 = 0.01;

/// Says from what the sensor was called when it was attached how long it may be attached next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    calls: Vec<u64>,
}

impl Windows {
    /// The part of the coming time, up to 1, in which the sensor may be attached for `affordable` calls a second on the
    /// processor that called it most. `seen` is counted until now, and it was attached for `attached` since last time.
    pub fn share(&mut self, seen: &[RoundingCounts], attached: Duration, affordable: u64) -> f64 {
        let before = std::mem::replace(
            &mut self.calls,
            seen.iter().map(|seen| seen.calls).collect(),
        );
        let since = before.iter().zip(&self.calls);
        let most = since.map(|(before, now)| now.saturating_sub(*before)).max();
        #[expect(clippy::cast_precision_loss, reason = "calls in half a second")]
        let (most, affordable) = (most.unwrap_or(0) as f64, affordable as f64);
        if most == 0.0 {
            return 1.0;
        }
        (affordable * attached.as_secs_f64() / most).clamp(SHORTEST, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(calls: &[u64]) -> Vec<RoundingCounts> {
        let counts = calls.iter();
        let counts = counts.map(|calls| RoundingCounts {
            calls: *calls,
            ..RoundingCounts::default()
        });
        counts.collect()
    }

    #[test]
    fn the_processor_that_calls_most_decides() {
        let mut windows = Windows::default();
        let second = Duration::from_secs(1);
        let mut share = |seen: &[u64], attached| windows.share(&calls(seen), attached, 1_000);
        // What was counted before anybody looked.
        assert_eq!(share(&[9_000, 90_000], Duration::ZERO), 1.0);
        assert_eq!(share(&[9_100, 91_000], second), 1.0);
        assert_eq!(share(&[9_200, 101_000], second), 0.1);
        // In a tenth of the time it was called a tenth as often.
        assert_eq!(share(&[9_300, 102_000], second / 10), 0.1);
        assert_eq!(share(&[9_400, 102_050], second / 10), 1.0);
        assert_eq!(share(&[11_400, 102_050], second), 0.5);
        assert_eq!(
            share(&[11_400, 102_050, 5], second),
            1.0,
            "another processor"
        );
    }

    #[test]
    fn it_is_never_left_off() {
        let mut windows = Windows::default();
        windows.share(&calls(&[0]), Duration::ZERO, 1_000);
        let share = windows.share(&calls(&[u64::MAX]), Duration::ZERO, 1_000);
        assert_eq!(share, SHORTEST);
    }
}
