//! Which findings are recorded: of a source the same one once an hour, and of all no more than a disk can take. Whoever makes up
//! sources could fill it otherwise.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use hayward_model::InboundVerdict;
use ipnet::IpNet;

/// The same of a source is recorded once in this time.
const WHILE: Duration = Duration::from_secs(3600);
/// So many are remembered for that. The oldest make room.
const MOST_REMEMBERED: usize = 16_384;
const MINUTE: Duration = Duration::from_secs(60);

/// What was recorded lately.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    known: HashMap<(IpNet, InboundVerdict), Instant>,
    /// In the order in which they were recorded.
    order: VecDeque<(IpNet, InboundVerdict)>,
    /// When a minute began, and how many were recorded in it.
    minute: Option<(Instant, u32)>,
    /// Those that were not recorded since there were too many.
    left_out: u64,
}

impl Recorded {
    /// Whether a finding is recorded. Bans always are but for their repetition, since the kernel makes no more than settings say;
    /// of the others `most` are in a minute.
    pub(crate) fn admits(
        &mut self,
        source: IpNet,
        verdict: InboundVerdict,
        most: u32,
        now: Instant,
    ) -> bool {
        self.forget(now);
        let key = (source, verdict);
        if self.known.contains_key(&key) {
            return false;
        }
        let bans = matches!(verdict, InboundVerdict::Banned | InboundVerdict::SoftBanned);
        if !bans && !self.has_room(most, now) {
            self.left_out += 1;
            return false;
        }
        self.known.insert(key, now);
        self.order.push_back(key);
        true
    }

    /// How many were not recorded since there were too many.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn has_room(&mut self, most: u32, now: Instant) -> bool {
        let (since, count) = self.minute.get_or_insert((now, 0));
        if now.saturating_duration_since(*since) >= MINUTE {
            (*since, *count) = (now, 0);
        }
        let has_room = *count < most;
        *count += u32::from(has_room);
        has_room
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let at = self.known.get(oldest);
            let is_over = at.is_none_or(|at| now.saturating_duration_since(*at) >= WHILE);
            if !is_over && self.order.len() < MOST_REMEMBERED {
                return;
            }
            self.known.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const BANNED: InboundVerdict = InboundVerdict::Banned;
    const OBSERVED: InboundVerdict = InboundVerdict::Observed;

    fn source(number: u32) -> IpNet {
        IpNet::V4(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn the_same_of_a_source_is_recorded_once_an_hour() {
        let mut recorded = Recorded::default();
        let now = Instant::now();
        assert!(recorded.admits(source(1), BANNED, 9, now));
        assert!(!recorded.admits(source(1), BANNED, 9, now + WHILE / 2));
        assert!(recorded.admits(source(2), BANNED, 9, now + WHILE / 2));
        assert!(recorded.admits(source(1), OBSERVED, 9, now + WHILE / 2));
        assert!(recorded.admits(source(1), BANNED, 9, now + WHILE));
    }

    #[test]
    fn of_many_that_are_not_banned_some_are_recorded_and_the_others_counted() {
        let mut recorded = Recorded::default();
        let now = Instant::now();
        let admitted = |recorded: &mut Recorded, verdict, from, now| {
            let sources = from..from + 100;
            sources
                .filter(|number| recorded.admits(source(*number), verdict, 10, now))
                .count()
        };
        assert_eq!(admitted(&mut recorded, OBSERVED, 0, now), 10);
        assert_eq!(recorded.left_out(), 90);
        assert_eq!(admitted(&mut recorded, BANNED, 0, now), 100);
        assert_eq!(admitted(&mut recorded, OBSERVED, 1000, now + MINUTE), 10);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_make_room() {
        let mut recorded = Recorded::default();
        let now = Instant::now();
        for number in 0..40_000 {
            assert!(recorded.admits(source(number), BANNED, 1, now));
        }
        assert!(recorded.known.len() <= MOST_REMEMBERED);
        assert_eq!(recorded.known.len(), recorded.order.len());
        assert!(!recorded.admits(source(39_999), BANNED, 1, now));
        assert!(recorded.admits(source(0), BANNED, 1, now));
    }
}
