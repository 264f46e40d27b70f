//! Tests of the metrics: values, bounds, and the format that promtool accepts.

use std::io::Write;
use std::process::{Command, Stdio};

use hayward_model::{Action, BanOrigin, BanStrength};

use super::*;
use crate::journal::samples;

fn filled() -> Metrics {
    let metrics = Metrics::new("0.1.0", "abc\"def");
    let guard = Guard::Command;
    metrics.set_status(guard, GuardStatus::Enforcing);
    metrics.set_checked(guard, 1_000);
    metrics.set_judge_time(guard, 1_500_000_000, 1_000);
    metrics.set_events_lost(guard, "ring-full", 2);
    metrics.set_unscanned(guard, "too-long", 3);
    metrics.set_rules(
        guard,
        30_000,
        7,
        Timestamp::from_second(1_700_000_000).unwrap(),
    );
    metrics.count(&samples::killed(1, "xmrig", "w"));
    metrics.count_journal_record();
    metrics.count_journal_error("no-space");
    metrics.set_bans(BanStrength::Soft, BanOrigin::Import, 12);
    metrics.set_sources_evicted(9);
    metrics.count_firewall_failures("ipset banned", "absent", 2);
    metrics.count_firewall_failures("ipset banned", "late", 0);
    metrics.count_told("hooks.example", "queue-full", 5);
    metrics.set_journal_bytes(4_096);
    metrics
}

#[test]
fn every_value_is_shown() {
    let metrics = filled();
    metrics.set_status(Guard::Command, GuardStatus::Degraded);
    let text = metrics.encode();
    for line in [
        r#"hayward_build_info{version="0.1.0",revision="abc\"def"} 1"#,
        r#"hayward_guard_status{guard="command",status="enforcing"} 0"#,
        r#"hayward_guard_status{guard="command",status="degraded"} 1"#,
        r#"hayward_checked_total{guard="command"} 1000"#,
        r#"hayward_judged_total{guard="command"} 1000"#,
        r#"hayward_judge_seconds_total{guard="command"} 1.5"#,
        r#"hayward_events_lost_total{guard="command",cause="ring-full"} 2"#,
        r#"hayward_unscanned_total{guard="command",cause="too-long"} 3"#,
        r#"hayward_rules{guard="command"} 30000"#,
        r#"hayward_rules_timestamp_seconds{guard="command"} 1700000000"#,
        r#"hayward_rule_generation{guard="command"} 7"#,
        r#"hayward_verdicts_total{guard="command",action="killed"} 1"#,
        r#"hayward_rule_verdicts_total{guard="command",rule="xmrig",action="killed"} 1"#,
        r#"hayward_bans{strength="soft",origin="import"} 12"#,
        r#"hayward_bans{strength="full",origin="scan"} 0"#,
        "hayward_inbound_sources_evicted_total 9",
        r#"hayward_firewall_failures_total{output="ipset banned",cause="absent"} 2"#,
        r#"hayward_firewall_failures_total{output="ipset banned",cause="late"} 0"#,
        "hayward_journal_bytes 4096",
        r#"hayward_journal_errors_total{cause="no-space"} 1"#,
        "hayward_journal_records_total 1",
        r#"hayward_told_total{target="hooks.example",result="queue-full"} 5"#,
        "# TYPE hayward_checked_total counter",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn rules_past_the_bound_are_counted_as_other() {
    let metrics = Metrics::new("0", "0");
    for number in 0..RULE_SERIES + 50 {
        metrics.count(&samples::killed(1, &format!("rule-{number}"), "w"));
    }
    metrics.count(&samples::killed(1, "rule-0", "w"));
    let text = metrics.encode();
    let series = text
        .lines()
        .filter(|line| line.starts_with("hayward_rule_verdicts_total"))
        .count();
    assert_eq!(series, RULE_SERIES + 1);
    assert!(text.contains(r#"rule="other",action="killed"} 50"#));
    assert!(text.contains(r#"rule="rule-0",action="killed"} 2"#));
}

#[test]
fn acts_on_the_agent_are_no_verdicts() {
    let metrics = Metrics::new("0", "0");
    let mut record = samples::killed(1, "x", "w");
    record.action = Action::SwitchedOff;
    record.process = None;
    metrics.count(&record);
    assert!(!metrics.encode().contains("hayward_verdicts_total{"));
}

#[test]
fn the_reference_names_every_metric() {
    let page = reference();
    for line in filled().encode().lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            let (name, kind) = name.split_once(' ').unwrap();
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name}");
        }
    }
}

#[test]
fn promtool_accepts_the_metrics() {
    promtool(&filled().encode());
}

/// Checks a page with promtool, where the machine has it.
pub(crate) fn promtool(text: &str) {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        eprintln!(
            "promtool is not installed (Debian package `prometheus`); the format was not checked by it"
        );
        return;
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}
