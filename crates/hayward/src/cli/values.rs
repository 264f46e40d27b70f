//! Values on the command line, from their texts.

use std::time::Duration;

use hayward_model::Action;
use hayward_policy::InterfaceSelector;
use hayward_respond::Grace;

/// `500ms`, `10s`, `5m`, `2h`, `30d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    hayward_policy::parse_duration(text)
}

/// Whole seconds, up to an hour.
pub(super) fn grace(text: &str) -> Result<Grace, String> {
    let seconds = duration(text)?.as_secs();
    let seconds = u16::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds <= 3600);
    seconds.map(Grace).ok_or("an hour at most".to_owned())
}

pub(super) fn action(text: &str) -> Result<Action, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

pub(super) fn since(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = duration(text)?;
    jiff::Timestamp::now()
        .checked_sub(ago)
        .map_err(|error| error.to_string())
}

pub(super) fn interface(text: &str) -> Result<InterfaceSelector, String> {
    InterfaceSelector::parse(text)
}
