//! Of one workload, one message in a while.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

/// Workloads that are remembered. Whoever is told would want to know of no more one by one.
const MOST_WORKLOADS: usize = 4096;

/// Which workloads were told of lately. It remembers a bounded number of them: where more come within the time, those
/// beyond share one message.
#[derive(Debug)]
pub(crate) struct Limit {
    every: Duration,
    most: usize,
    hasher: RandomState,
    told: HashMap<Option<u64>, Told>,
    /// The same, the oldest first; without what is shared, which stays.
    oldest: BTreeSet<(Instant, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    left_out: u64,
}

impl Limit {
    /// None where `every` is zero.
    pub(crate) fn new(every: Duration) -> Self {
        Self::of(every, MOST_WORKLOADS)
    }

    fn of(every: Duration, most: usize) -> Self {
        Self {
            every,
            most,
            hasher: RandomState::new(),
            told: HashMap::new(),
            oldest: BTreeSet::new(),
        }
    }

    /// Whether something of this workload is told now: if so, how many were left out since the last time. What is of no
    /// workload is always told.
    pub(crate) fn admit(&mut self, workload: Option<&str>, now: Instant) -> Option<u64> {
        let Some(workload) = workload.filter(|_| !self.every.is_zero()) else {
            return Some(0);
        };
        let hash = self.hasher.hash_one(workload);
        let key = (self.told.contains_key(&Some(hash)) || self.has_room(now)).then_some(hash);
        let every = self.every;
        if let Some(told) = self.told.get_mut(&key)
            && now.saturating_duration_since(told.at) < every
        {
            told.left_out += 1;
            return None;
        }
        let before = self.told.insert(
            key,
            Told {
                at: now,
                left_out: 0,
            },
        );
        if let Some(key) = key {
            if let Some(before) = before {
                self.oldest.remove(&(before.at, key));
            }
            self.oldest.insert((now, key));
        }
        Some(before.map_or(0, |before| before.left_out))
    }

    /// Whether one more can be remembered: at need the oldest is forgotten, if its time is over.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.oldest.len() < self.most {
            return true;
        }
        let Some(&(at, key)) = self.oldest.first() else {
            return false;
        };
        let is_over = now.saturating_duration_since(at) >= self.every;
        if is_over {
            self.oldest.pop_first();
            self.told.remove(&Some(key));
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVERY: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_is_told_and_the_next_says_how_many_were_left_out() {
        let mut limit = Limit::new(EVERY);
        let now = Instant::now();
        assert_eq!(limit.admit(Some("a"), now), Some(0));
        assert_eq!(limit.admit(Some("a"), now + EVERY / 2), None);
        assert_eq!(limit.admit(Some("b"), now + EVERY / 2), Some(0));
        assert_eq!(limit.admit(Some("a"), now + EVERY / 2), None);
        assert_eq!(limit.admit(Some("a"), now + EVERY), Some(2));
        assert_eq!(limit.admit(Some("a"), now + 2 * EVERY), Some(0));
        for _ in 0..2 {
            assert_eq!(limit.admit(None, now), Some(0), "of no workload");
        }
        let mut all = Limit::new(Duration::ZERO);
        for _ in 0..2 {
            assert_eq!(all.admit(Some("a"), now), Some(0));
        }
    }

    #[test]
    fn those_beyond_share_a_message_and_make_nobody_forgotten_before_time() {
        let mut limit = Limit::of(EVERY, 2);
        let now = Instant::now();
        for (workload, expected) in [("a", Some(0)), ("b", Some(0)), ("c", Some(0)), ("d", None)] {
            assert_eq!(limit.admit(Some(workload), now), expected, "{workload}");
        }
        assert_eq!(limit.admit(Some("a"), now), None);
        assert_eq!(limit.admit(Some("e"), now + EVERY), Some(0), "a's place");
        assert_eq!(limit.admit(Some("f"), now + EVERY), Some(0), "b's place");
        assert_eq!(
            limit.admit(Some("g"), now + EVERY),
            Some(1),
            "d was left out"
        );
    }

    proptest! {
        /// Whatever comes: messages are no more than there are places, nothing is uncounted, and memory is bounded.
        #[test]
        fn it_holds_its_promise(
            most in 1_usize..6,
            steps in proptest::collection::vec((0_u8..10, 0_u64..40), 1..200),
        ) {
            let mut limit = Limit::of(EVERY, most);
            let mut now = Instant::now();
            let mut last: HashMap<u8, Instant> = HashMap::new();
            let (mut refused, mut told_of, mut windows) = (0_u64, 0_u64, Vec::new());
            for (workload, seconds) in steps {
                now += Duration::from_secs(seconds);
                match limit.admit(Some(&workload.to_string()), now) {
                    None => refused += 1,
                    Some(left_out) => {
                        told_of += left_out;
                        // Who was told of with others may be told of once more, with a place of its own.
                        let hash = limit.hasher.hash_one(workload.to_string().as_str());
                        if limit.told.contains_key(&Some(hash)) {
                            let before = last.insert(workload, now);
                            prop_assert!(before.is_none_or(|at| now - at >= EVERY));
                        }
                        windows.retain(|at| now - *at < EVERY);
                        windows.push(now);
                        prop_assert!(windows.len() <= most + 1, "and the shared one");
                    }
                }
                prop_assert!(limit.oldest.len() <= most && limit.told.len() <= most + 1);
                let pending: u64 = limit.told.values().map(|told| told.left_out).sum();
                prop_assert!(told_of + pending <= refused);
            }
        }

        /// Where all fit, each has what it would have alone.
        #[test]
        fn workloads_do_not_disturb_each_other(
            steps in proptest::collection::vec((0_u8..4, 0_u64..40), 1..200),
        ) {
            let mut together = Limit::of(EVERY, 4);
            let mut alone: HashMap<u8, (Instant, u64)> = HashMap::new();
            let mut now = Instant::now();
            for (workload, seconds) in steps {
                now += Duration::from_secs(seconds);
                let expected = match alone.get_mut(&workload) {
                    Some((at, left_out)) if now - *at < EVERY => {
                        *left_out += 1;
                        None
                    }
                    _ => Some(alone.insert(workload, (now, 0)).map_or(0, |(_, left_out)| left_out)),
                };
                prop_assert_eq!(together.admit(Some(&workload.to_string()), now), expected);
            }
        }
    }
}
