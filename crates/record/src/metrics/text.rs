//! Prometheus' text format, which every scraper reads, from the registry's OpenMetrics.
//!
//! The formats differ in little: OpenMetrics describes a counter without the `_total` of its samples, and has lines for
//! units and for the end. In the older format such a counter would have samples that nothing describes.

use std::collections::HashSet;

use prometheus_client::registry::Registry;

pub(super) fn encode(registry: &Registry) -> String {
    let mut open_metrics = String::new();
    if prometheus_client::encoding::text::encode(&mut open_metrics, registry).is_err() {
        // Writing to a String does not fail; half a page would be worse than none.
        return String::new();
    }
    convert(&open_metrics)
}

fn convert(open_metrics: &str) -> String {
    let counters: HashSet<&str> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        match described(line) {
            Some((keyword, name, rest)) if counters.contains(name) => {
                text.extend(["# ", keyword, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The parts of a HELP or TYPE line.
fn described(line: &str) -> Option<(&str, &str, &str)> {
    let (keyword, rest) = line.strip_prefix("# ")?.split_once(' ')?;
    let (name, rest) = rest.split_once(' ')?;
    Some((keyword, name, rest))
}
