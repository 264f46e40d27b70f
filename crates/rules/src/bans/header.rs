//! What a list's comments say of it: where it came from, and of when it is.

use jiff::{Timestamp, civil::Date, fmt::rfc2822, tz::TimeZone};

/// Comments that tell of when a list is begin so, or hold this before a colon.
const DATED: [&str; 5] = ["date", "updated", "modified", "generated", "last"];

/// Where a list came from: the first address of a page in a comment.
pub(super) fn source(comment: &str) -> Option<String> {
    let start = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| comment.find(scheme))
        .min()?;
    let url = comment.get(start..)?.split_whitespace().next()?;
    Some(
        url.trim_end_matches([',', '.', ')', '>', '"', ';'])
            .to_owned(),
    )
}

/// Of when it is, where a comment says so.
pub(super) fn date(comment: &str) -> Option<Timestamp> {
    let (key, value) = comment.split_once(':')?;
    let key = key.to_ascii_lowercase();
    if !DATED.iter().any(|word| key.contains(word)) {
        return None;
    }
    let value = value.trim();
    if let Ok(time) = value.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(time) = rfc2822::parse(value) {
        return Some(time.timestamp());
    }
    // A day, whatever follows it.
    let day: Date = value.get(..10)?.parse().ok()?;
    let midnight = day.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp())
}
