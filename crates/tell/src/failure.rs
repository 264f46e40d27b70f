//! Why a try to tell somebody failed, and when to try again.

use std::time::Duration;

use hayward_workload::backoff;
use jiff::{Timestamp, fmt::rfc2822};

/// How often a message is tried.
pub(crate) const TRIES: u32 = 4;
/// How long to wait after the first failure, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a server may make us wait.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Characters of a reason that are told.
const LONGEST_REASON: usize = 200;

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// As a sentence, without what may be secret.
    pub(crate) reason: String,
    /// Another try may help.
    passing: bool,
    /// Not sooner than after this.
    after: Duration,
}

impl Failure {
    /// Another try may help.
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self {
            reason: printable(&reason.into()),
            passing: true,
            after: Duration::ZERO,
        }
    }

    /// No other try will help.
    pub(crate) fn lasting(reason: impl Into<String>) -> Self {
        Self {
            passing: false,
            ..Self::passing(reason)
        }
    }

    /// The same, and not sooner than a server has asked for, within bounds.
    pub(crate) fn not_before(mut self, after: Option<Duration>) -> Self {
        self.after = after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        self
    }

    /// How long to wait before the next try, after so many; none where there is none.
    pub(crate) fn pause(&self, tries: u32) -> Option<Duration> {
        let again = self.passing && tries < TRIES;
        again.then(|| backoff(tries.saturating_sub(1), PAUSES.0, PAUSES.1).max(self.after))
    }
}

/// The header `Retry-After`: seconds, or a date.
pub(crate) fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// Some of a text that others have chosen, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let shown = text.chars().map(|character| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    });
    shown.take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::throw;
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-01T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn a_server_may_say_when_within_bounds() {
        let after = |text: &str| retry_after(text.as_bytes(), now());
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            after("Sun, 01 Nov 2026 12:00:30 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(after("Sun, 01 Nov 2020 12:00:30 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        let pause = |text: &str, tries| {
            let failure = Failure::passing("x").not_before(after(text));
            failure.pause(tries).expect("another try")
        };
        assert_eq!(pause("7", 1), Duration::from_secs(7));
        assert_eq!(pause("86400", 1), LONGEST_RETRY_AFTER);
        assert!(pause("0", 1) >= PAUSES.0 / 2);
    }

    #[test]
    fn tries_end_and_what_lasts_is_not_tried_again() {
        assert!(Failure::passing("x").pause(TRIES - 1).is_some());
        assert_eq!(Failure::passing("x").pause(TRIES), None);
        assert_eq!(Failure::lasting("x").pause(1), None);
    }

    #[test]
    fn parsing_retry_after_never_panics() {
        let likely = "([0-9]{0,25}|[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9]{2}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{4}))";
        throw(200, &likely, |text| {
            let failure = Failure::passing("x").not_before(retry_after(text.as_bytes(), now()));
            prop_assert!(failure.pause(1) <= Some(LONGEST_RETRY_AFTER));
            Ok(())
        });
        throw(200, &prop::collection::vec(any::<u8>(), 0..60), |bytes| {
            let _ = retry_after(&bytes, now());
            Ok(())
        });
    }

    #[test]
    fn reasons_are_short_and_obeyed_by_no_terminal() {
        let failure = Failure::lasting(format!("\x1b[2J{}", "é".repeat(1000)));
        assert!(!failure.reason.contains('\x1b'));
        assert_eq!(failure.reason.chars().count(), LONGEST_REASON);
    }
}
