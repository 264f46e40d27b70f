//! When a processor is nudged next: soon, where the nudge before was worth it, and seldom where it was not. What is not
//! spent is saved, up to a limit, so a thread that was just seen to round oddly is looked at many times at once, and in
//! the long run no processor is nudged oftener than it may be.

use std::time::Duration;

/// From one nudge to the next while they are worth it: less, and a slow miner's program would be seen in one place twice.
const SOON: Duration = Duration::from_millis(2);
/// So many nudges can be saved: twice what a miner needs to be found.
const MOST_SAVED: f64 = 400.0;

/// What a processor's nudges may still cost.
#[derive(Debug)]
pub(crate) struct Pace {
    saved: f64,
}

impl Pace {
    /// Nothing has been spent.
    pub(crate) const fn new() -> Self {
        Self { saved: MOST_SAVED }
    }

    /// How long to wait for the next nudge, on average, after one that came `since` the one before it. `rate` is how
    /// often a second it may be nudged in the long run.
    pub(crate) fn after(&mut self, rate: u32, since: Duration, worth: bool) -> Duration {
        let rate = f64::from(rate.max(1));
        self.saved = (self.saved + rate * since.as_secs_f64()).min(MOST_SAVED) - 1.0;
        if self.saved < 1.0 {
            return Duration::from_secs_f64((1.0 - self.saved) / rate);
        }
        let seldom = Duration::from_secs_f64(2.0 / rate);
        if worth { SOON.min(seldom) } else { seldom }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many nudges there are in so many seconds.
    fn nudges(pace: &mut Pace, rate: u32, seconds: u64, worth: impl Fn(Duration) -> bool) -> u32 {
        let (mut now, mut wait) = (Duration::ZERO, Duration::ZERO);
        let mut nudges = 0;
        while now < Duration::from_secs(seconds) {
            now += wait;
            wait = pace.after(rate, wait, worth(now));
            nudges += 1;
        }
        nudges
    }

    #[test]
    fn what_is_worth_nothing_is_nudged_half_as_often_as_it_may_be() {
        let nudged = nudges(&mut Pace::new(), 80, 10, |_| false);
        assert!((400..=402).contains(&nudged), "{nudged}");
    }

    #[test]
    fn what_is_worth_it_is_nudged_often_until_nothing_is_saved_and_then_as_often_as_it_may_be() {
        let mut pace = Pace::new();
        let at_first = nudges(&mut pace, 80, 1, |_| true);
        assert!((460..=485).contains(&at_first), "{at_first}");
        let later = nudges(&mut pace, 80, 10, |_| true);
        assert!((795..=805).contains(&later), "{later}");
    }

    #[test]
    fn bursts_are_seen_many_times_each() {
        let mut pace = Pace::new();
        nudges(&mut pace, 80, 5, |_| true);
        // A tenth of each second.
        let working = |now: Duration| now.subsec_millis() < 100;
        let nudged = nudges(&mut pace, 80, 10, working);
        assert!((700..=805).contains(&nudged), "{nudged}");
    }

    #[test]
    fn no_rate_is_too_small_or_too_large() {
        assert!(Pace::new().after(0, Duration::MAX, true) <= SOON);
        let fast = Pace::new().after(u32::MAX, Duration::ZERO, false);
        assert!(fast < Duration::from_micros(1));
    }
}
