//! Tests that the names and words are those that cryptnono's users look for.

use hayward_model::Evidence;

use super::*;
use crate::journal::samples;

fn scanned() -> Record {
    let mut record = samples::killed(1, "secret/7", "w");
    record.matched = None;
    record.evidence = Some(Evidence {
        judged_at: Some("scan".to_owned()),
        ..Evidence::default()
    });
    record
}

#[test]
fn records_are_counted_where_dashboards_look() {
    let mut counters = Execwhacker {
        checked: BySource { exec: 9, scan: 4 },
        allowed_without_match: BySource { exec: 7, scan: 0 },
        kill_if_needed: Timing {
            count: 9,
            seconds: 0.5,
        },
        ..Execwhacker::default()
    };
    let mut spared = samples::killed(1, "x", "w");
    spared.action = Action::Spared;
    let mut observed = samples::killed(1, "x", "w");
    observed.action = Action::Observed;
    for record in [
        &samples::killed(1, "x", "w"),
        &scanned(),
        &spared,
        &observed,
    ] {
        counters.count(record);
    }
    let text = render_metrics(&counters);
    for line in [
        r#"cryptnono_execwhacker_processes_checked_total{source="execwhacker.bpf"} 9"#,
        r#"cryptnono_execwhacker_processes_checked_total{source="psutil.process_iter"} 4"#,
        r#"cryptnono_execwhacker_processes_killed_total{source="execwhacker.bpf"} 1"#,
        r#"cryptnono_execwhacker_processes_killed_total{source="psutil.process_iter"} 1"#,
        r#"cryptnono_execwhacker_processes_missed_total{source="execwhacker.bpf"} 0"#,
        r#"cryptnono_execwhacker_processes_allowed_total{allowedby="is-substring",source="execwhacker.bpf"} 0"#,
        r#"cryptnono_execwhacker_processes_allowed_total{allowedby="allowed-pattern",source="execwhacker.bpf"} 1"#,
        r#"cryptnono_execwhacker_processes_allowed_total{allowedby="no-match",source="execwhacker.bpf"} 7"#,
        "cryptnono_execwhacker_unexpected_errors_total 0",
        "cryptnono_execwhacker_log_and_kill_execution_seconds_count 0",
        "cryptnono_execwhacker_kill_if_needed_execution_seconds_sum 0.5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    crate::metrics::promtool(&text);
}

#[test]
fn what_was_refused_counts_as_what_flowkiller_would_have_killed() {
    let of = |guard, action, ban_list: Option<&str>| Record {
        guard: Some(guard),
        action,
        evidence: Some(Evidence {
            ban_list: ban_list.map(str::to_owned),
            ..Evidence::default()
        }),
        ..samples::killed(1, "x", "w")
    };
    let mut counters = Flowkiller::default();
    for record in [
        of(Guard::Outbound, Action::Killed, None),
        of(Guard::Outbound, Action::Denied, None),
        of(Guard::Outbound, Action::Missed, None),
        of(Guard::Outbound, Action::Observed, None),
        of(Guard::Egress, Action::Denied, Some("/a")),
        of(Guard::Egress, Action::Denied, None),
        of(Guard::Command, Action::Killed, None),
    ] {
        counters.count(&record);
    }
    let by = |banned_ip, scan| ByReason { banned_ip, scan };
    assert_eq!((counters.killed, counters.missed), (by(1, 2), by(0, 1)));
    assert_eq!(counters.log_and_kill.count, 4);
    let line = log_line(&of(Guard::Outbound, Action::Killed, None)).expect("a line");
    assert!(line.contains(r#""action": "killed""#) && line.contains(r#""source": "flowkiller""#));
    assert_eq!(log_line(&of(Guard::Outbound, Action::Denied, None)), None);
}

#[test]
fn flow_metrics_have_their_reasons() {
    let text = render_flow_metrics(&Flowkiller {
        connects_checked: 5,
        killed: ByReason {
            banned_ip: 1,
            scan: 2,
        },
        ..Flowkiller::default()
    });
    for line in [
        "cryptnono_flowkiller_connects_checked_total 5",
        r#"cryptnono_flowkiller_processes_killed_total{reason="banned-ip"} 1"#,
        r#"cryptnono_flowkiller_processes_killed_total{reason="scan"} 2"#,
        r#"cryptnono_flowkiller_processes_missed_total{reason="scan"} 0"#,
        "cryptnono_flowkiller_log_and_kill_execution_seconds_count 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    crate::metrics::promtool(&text);
}

#[test]
fn a_log_line_is_what_python_would_have_written() {
    let mut record = samples::killed(1, "builtin/xmrig", "w");
    record.matched = Some("XMRig".to_owned());
    if let Some(process) = &mut record.process {
        process.command_line = "/tmp/xmrig \"é\u{7f}😀\n".to_owned();
    }
    assert_eq!(
        log_line(&record).unwrap(),
        [
            r#"{"pid": 123, "cmdline": "/tmp/xmrig \"\u00e9"#,
            "\u{7f}",
            r#"\ud83d\ude00\n", "matched": "xmrig", "source": "execwhacker.bpf", "#,
            r#""labels": {"io.kubernetes.pod.namespace": "binder"}, "image": "quay.io/user-image:1", "#,
            r#""action": "killed", "event": "Killed process", "level": "info", "#,
            &format!(r#""timestamp": "{}"}}"#, record.time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")),
        ]
        .concat()
    );
    let mut missed = scanned();
    missed.action = Action::Missed;
    let line = log_line(&missed).unwrap();
    assert!(line.contains(r#""action": "missed-kill", "#), "{line}");
    assert!(
        line.contains(r#""matched": "secret/7", "source": "psutil.process_iter", "#),
        "{line}"
    );
}

#[test]
fn what_cryptnono_does_not_know_has_no_line() {
    let mut record = samples::killed(1, "x", "w");
    record.action = Action::Observed;
    assert_eq!(log_line(&record), None);
    let mut record = scanned();
    record.action = Action::Spared;
    assert_eq!(log_line(&record), None, "its scan is silent about these");
    record.action = Action::Killed;
    record.process = None;
    assert_eq!(log_line(&record), None);
}
