//! Points in time and nanoseconds since boot, one from the other.

use hayward_kernel::boot_ns;
use jiff::Timestamp;

/// When an event of the kernel happened. Events since before a suspend are right, since the clock counts that time.
pub(crate) fn timestamp(event_boot_ns: u64) -> Timestamp {
    let age = i128::from(boot_ns()) - i128::from(event_boot_ns);
    let now = Timestamp::now().as_nanosecond();
    Timestamp::from_nanosecond(now - age).unwrap_or_else(|_| Timestamp::now())
}

/// The kernel's clock at a point in time; one before boot is 1, since 0 means never, and one that it will not reach for
/// five hundred years is its last.
pub(crate) fn to_boot_ns(time: Timestamp) -> u64 {
    let ahead = time.as_nanosecond() - Timestamp::now().as_nanosecond();
    let at = i128::from(boot_ns()) + ahead;
    u64::try_from(at.max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_boot_are_past_and_times_far_away_are_not() {
        assert_eq!(to_boot_ns(Timestamp::UNIX_EPOCH), 1);
        assert_eq!(to_boot_ns(Timestamp::MIN), 1);
        assert_eq!(to_boot_ns(Timestamp::MAX), u64::MAX);
        let now = to_boot_ns(Timestamp::now());
        assert!(now.abs_diff(boot_ns()) < 1_000_000_000);
    }
}
