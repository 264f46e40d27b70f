//! Points in time and nanoseconds since boot, one from the other.

use hayward_kernel::boot_ns;
use jiff::Timestamp;

/// When an event of the kernel happened. Events since before a suspend are right, since the clock counts that time.
pub(crate) fn timestamp(event_boot_ns: u64) -> Timestamp {
    let age = i128::from(boot_ns()) - i128::from(event_boot_ns);
    let now = Timestamp::now().as_nanosecond();
    Timestamp::from_nanosecond(now - age).unwrap_or_else(|_| Timestamp::now())
}

/// The kernel's clock at a point in time; one before boot is 1, since 0 means never.
pub(crate) fn to_boot_ns(time: Timestamp) -> u64 {
    let ahead = time.as_nanosecond() - Timestamp::now().as_nanosecond();
    u64::try_from(i128::from(boot_ns()) + ahead)
        .unwrap_or(0)
        .max(1)
}
