//! How often each processor is interrupted, so that what runs there is seen often enough and no oftener.
//!
//! A processor that nobody keeps busy is left to sleep. One that is busy is looked at a few times; where nothing in
//! scope runs, seldom. While somebody rounds in other ways than to nearest, often: for a while, or as long as there is
//! evidence against somebody.

use std::fs;

use hayward_kernel::RoundingCounts;

/// A processor is busy where programs use so much of it, in hundredths.
const BUSY: u64 = 3;
/// So long, in intervals, it counts as busy after that: who works in bursts would else be looked at in between.
const BUSY_FOR: u32 = 8;
/// Interruptions a second, in the long run, where only others' programs were seen, where programs in scope run, and while
/// there is a suspect. Those that show nobody who rounds oddly are half as many.
const SELDOM: u32 = 2;
const USUAL: u32 = 30;
const OFTEN: u32 = 160;
/// So long, in intervals, programs in scope are expected on a processor where they were seen last, or that was idle.
const EXPECTED: u32 = 20;
/// So long, in intervals, odd rounding alone is worth interrupting often: a miner is decided in a tenth of that.
const WORTH: u32 = 60;
/// So long, in intervals, odd rounding is waited for again: a miner that works a tenth of the time pauses.
const PAUSE: u32 = 4;

/// What is known of one processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Processor {
    /// Ticks that programs used until now, and all ticks.
    used: u64,
    ticks: u64,
    /// What the sensor saw until now.
    seen: RoundingCounts,
    /// Intervals for which programs in scope are still expected.
    expected: u32,
    /// Intervals for which it still counts as busy.
    busy: u32,
}

/// The state from one interval to the next.
#[derive(Debug, Default)]
pub(crate) struct Steer {
    processors: Vec<Processor>,
    /// Intervals for which some thread has rounded in another way than to nearest, pauses included.
    odd: u32,
    /// Intervals since one last did.
    pause: u32,
    often: bool,
}

impl Steer {
    /// The rate for each processor, from what the system counted (`/proc/stat`), from what the sensor saw on each, and
    /// from whether there is evidence against anybody.
    pub(crate) fn rates(
        &mut self,
        stat: &str,
        seen: &[RoundingCounts],
        evidence: bool,
    ) -> Vec<u32> {
        let mut odd = false;
        for (number, used, ticks) in stat.lines().filter_map(usage) {
            if number >= self.processors.len() {
                self.processors.resize(number + 1, Processor::default());
            }
            let last = self.processors[number];
            let seen = seen.get(number).copied().unwrap_or_default();
            odd |= seen.suspect > last.seen.suspect;
            let share = used.saturating_sub(last.used).saturating_mul(100);
            self.processors[number] = Processor {
                used,
                ticks,
                seen,
                expected: if seen.samples > last.seen.samples || last.busy == 0 {
                    EXPECTED
                } else {
                    last.expected.saturating_sub(1)
                },
                busy: if share >= BUSY * ticks.saturating_sub(last.ticks).max(1) {
                    BUSY_FOR
                } else {
                    last.busy.saturating_sub(1)
                },
            };
        }
        self.pause = if odd { 0 } else { self.pause.saturating_add(1) };
        self.odd = match self.odd {
            0 if !odd => 0,
            _ if self.pause > PAUSE => 0,
            intervals => intervals.saturating_add(1),
        };
        self.often = evidence || (1..=WORTH).contains(&self.odd);
        let rate = |processor: &Processor| match (
            processor.busy > 0,
            processor.expected > 0,
            self.often,
        ) {
            (false, ..) => 0,
            (true, false, _) => SELDOM,
            (true, true, false) => USUAL,
            (true, true, true) => OFTEN,
        };
        self.processors.iter().map(rate).collect()
    }

    /// Whoever rounded oddly was found. Who does so next is another, and looked at as often.
    pub(crate) fn begin_anew(&mut self) {
        self.odd = 0;
    }

    /// Whether somebody may be mining, as it was when rates were last asked for.
    pub(crate) fn often(&self) -> bool {
        self.often
    }
}

/// Number, ticks that programs used, and all ticks, of a line such as `cpu3 user nice system idle ...`.
fn usage(line: &str) -> Option<(usize, u64, u64)> {
    let mut fields = line.strip_prefix("cpu")?.split_whitespace();
    // The first line is of all processors together and has no number.
    let number = line.as_bytes().get(3).filter(|byte| byte.is_ascii_digit());
    let number = number.and(fields.next())?.parse().ok()?;
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let used = ticks
        .iter()
        .take(2)
        .fold(0u64, |sum, n| sum.saturating_add(*n));
    let all = ticks
        .iter()
        .take(8)
        .fold(0u64, |sum, n| sum.saturating_add(*n));
    Some((number, used, all)).filter(|_| number < MOST_PROCESSORS)
}

/// As many as Linux knows.
const MOST_PROCESSORS: usize = 8192;

/// What the system counted.
pub(crate) fn stat() -> String {
    fs::read_to_string("/proc/stat").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of 100 ticks each on two processors: the first so busy, the second idle.
    fn after(intervals: u64, busy: u64) -> String {
        let ticks = intervals * 50;
        let used = ticks * busy / 100;
        format!(
            "cpu  1 2 3 4\ncpu0 {used} 0 0 {} 0 0 0 0 0 0\ncpu1 0 0 0 {ticks} 0 0 0 0 0 0\nintr 5\n",
            ticks - used
        )
    }

    /// So many samples in scope on the first processor, so many of them odd.
    fn seen(samples: u64, suspect: u64) -> [RoundingCounts; 1] {
        [RoundingCounts {
            samples,
            suspect,
            calls: samples,
        }]
    }

    #[test]
    fn idle_processors_sleep_and_busy_ones_are_looked_at() {
        let mut steer = Steer::default();
        let expected = u64::from(EXPECTED);
        for interval in 1..=expected {
            let rates = steer.rates(&after(interval, 100), &[], false);
            assert_eq!(rates, [USUAL, 0], "{interval}");
        }
        for interval in 1..5 {
            steer.rates(&after(expected + interval, 100), &[], false);
        }
        let late = expected + 5;
        assert_eq!(steer.rates(&after(late, 100), &[], false), [SELDOM, 0]);
        // A sample in scope brings it back.
        let rates = steer.rates(&after(late + 1, 100), &seen(1, 0), false);
        assert_eq!(rates, [USUAL, 0]);
    }

    #[test]
    fn a_tenth_of_a_processor_is_busy_enough() {
        assert_eq!(Steer::default().rates(&after(1, 10), &[], false)[0], USUAL);
        assert_eq!(Steer::default().rates(&after(1, 2), &[], false)[0], 0);
    }

    #[test]
    fn odd_rounding_is_looked_at_often_for_a_while_and_evidence_for_as_long_as_it_lasts() {
        let mut steer = Steer::default();
        let worth = u64::from(WORTH);
        for interval in 1..=worth {
            let rates = steer.rates(&after(interval, 100), &seen(interval, interval), false);
            assert_eq!(rates, [OFTEN, 0], "{interval}");
        }
        let mut next = worth;
        let mut rate = |odd, evidence| {
            next += 1;
            let suspect = if odd { next } else { 0 };
            steer.rates(&after(next, 100), &seen(next, suspect), evidence)[0]
        };
        assert_eq!(rate(true, false), USUAL);
        assert_eq!(rate(true, true), OFTEN);
        assert_eq!(rate(true, false), USUAL);
        for _ in 0..=PAUSE {
            assert_eq!(rate(false, false), USUAL);
        }
        assert_eq!(rate(true, false), OFTEN, "another one");
        for _ in 0..PAUSE {
            assert_eq!(rate(false, false), OFTEN, "it may only pause");
        }
        assert_eq!(rate(false, false), USUAL);
    }

    #[test]
    fn the_next_miner_is_looked_at_as_often_as_the_one_that_was_found() {
        let mut steer = Steer::default();
        for interval in 1..=3 * u64::from(WORTH) {
            if interval % 8 == 0 {
                steer.begin_anew();
            }
            let rates = steer.rates(&after(interval, 100), &seen(interval, interval), false);
            assert_eq!(rates, [OFTEN, 0], "{interval}");
        }
    }

    #[test]
    fn who_works_in_bursts_is_looked_at_in_the_next_one_too() {
        let mut steer = Steer::default();
        assert_eq!(steer.rates(&after(1, 20), &[], false)[0], USUAL);
        // Nothing more is used from here on.
        let idle = |interval: u64| format!("cpu0 10 0 0 {} 0 0 0 0 0 0\n", 50 * interval - 10);
        for interval in 2..2 + u64::from(BUSY_FOR) - 1 {
            assert_eq!(
                steer.rates(&idle(interval), &[], false)[0],
                USUAL,
                "{interval}"
            );
        }
        let late = 2 + u64::from(BUSY_FOR);
        assert_eq!(steer.rates(&idle(late), &[], false)[0], 0);
    }

    #[test]
    fn odd_lines_are_passed_over() {
        let mut steer = Steer::default();
        for text in [
            "",
            "cpu",
            "cpu0",
            "cpux 1 2",
            "cpu99999999 1 1",
            "cpu0 x",
            "\u{fffd}",
        ] {
            let rates = steer.rates(text, &[], true);
            assert!(rates.iter().all(|rate| *rate == 0), "{text}");
        }
    }
}
