//! What tests of `tell` share.

use std::path::Path;

use serde_json::Value;

use crate::{BANNED, Ended, Host, Launch, Start};

/// Settings with these entries of `tell`.
pub fn settings(entries: &[String]) -> Start {
    Start {
        settings: format!("tell: [{}]\n", entries.join(", ")),
        ..Start::default()
    }
}

/// Starts a banned program in a cgroup, which does not survive it.
pub fn kill(cgroup: &Path) {
    let launched = Launch::new("/bin/true", &[BANNED]).run(cgroup);
    assert_eq!(launched, Ended::Signal(9));
}

/// What `hayward tell` says of the target of this number.
pub fn target(host: &Host, number: usize) -> Value {
    host.hayward(&["tell", "--json"]).ok().json()[number].clone()
}

/// Waits until so many records have this fate at the first target.
pub fn wait_for_fate(host: &Host, fate: &str, count: u64) {
    host.wait_until(&format!("{count} {fate}"), || {
        target(host, 0)["told"][fate].as_u64() >= Some(count)
    });
}

/// The problems of the status, as text.
pub fn problems(host: &Host) -> String {
    host.status()["problems"].to_string()
}
