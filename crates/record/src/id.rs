//! Record ids: 26 characters that are unique and sort by time.
//!
//! Ten characters carry the milliseconds since 1970, sixteen carry 80 bits that are random for the first id of a
//! millisecond and count up for the following ones, in an alphabet without I, L, O and U, so that an id read aloud from a
//! terminal is typed back correctly.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Length of an id in characters.
pub const LENGTH: usize = 26;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM_BITS: u32 = 80;

/// The milliseconds and the low bits of the id that was given last.
static LAST: Mutex<(u64, u128)> = Mutex::new((0, 0));

/// A new id for something that happened at `time`. Two ids of one millisecond sort in the order of the calls.
pub fn next(time: Timestamp) -> String {
    let milliseconds = u64::try_from(time.as_millisecond()).unwrap_or(0);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let low = if last.0 == milliseconds {
        last.1 + 1
    } else {
        random()
    };
    *last = (milliseconds, low);
    drop(last);
    encode((u128::from(milliseconds) << RANDOM_BITS) | low)
}

/// 79 random bits: the highest of the 80 stays clear, so that counting up has room.
fn random() -> u128 {
    let high = RandomState::new().hash_one(0_u8);
    let low = RandomState::new().hash_one(1_u8);
    ((u128::from(high) << 64) | u128::from(low)) & ((1 << (RANDOM_BITS - 1)) - 1)
}

fn encode(value: u128) -> String {
    (0..LENGTH)
        .rev()
        .map(|place| {
            let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or(0);
            char::from(ALPHABET[digit])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_in_call_order_within_a_millisecond() {
        let time = Timestamp::from_millisecond(1_795_000_000_123).unwrap();
        let ids: Vec<String> = (0..10_000).map(|_| next(time)).collect();
        assert!(ids.iter().all(|id| id.len() == LENGTH));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert_eq!(&ids[0][..10], &ids[9_999][..10]);
    }

    #[test]
    fn ids_sort_by_time() {
        let early = next(Timestamp::from_millisecond(1_000).unwrap());
        let late = next(Timestamp::from_millisecond(1_001).unwrap());
        let later = next(Timestamp::from_second(1_795_000_000).unwrap());
        assert!(early < late && late < later);
    }

    #[test]
    fn the_time_part_is_the_milliseconds_in_base_32() {
        assert!(next(Timestamp::from_millisecond(33).unwrap()).starts_with("0000000011"));
    }

    #[test]
    fn a_time_before_1970_still_gets_an_id() {
        assert_eq!(next(Timestamp::from_second(-5).unwrap()).len(), LENGTH);
    }
}
