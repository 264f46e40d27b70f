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
fn a_log_line_has_the_words_that_alerts_match() {
    let line = json!({"action": "killed", "labels": {"a": [1, 2]}, "image": null});
    assert_eq!(
        render_line(&line),
        r#"{"action": "killed", "labels": {"a": [1, 2]}, "image": null}"#
    );
    assert_eq!(
        log_line(&samples::killed(1, "builtin/xmrig", "w")).unwrap(),
        json!({
            "action": "killed",
            "pid": 123,
            "cmdline": "/tmp/xmrig -o pool",
            "matched": "xmrig",
            "source": "execwhacker.bpf",
            "labels": {"io.kubernetes.pod.namespace": "binder"},
            "image": "quay.io/user-image:1",
        })
    );
    let mut missed = scanned();
    missed.action = Action::Missed;
    let line = log_line(&missed).unwrap();
    assert_eq!(line["action"], "missed-kill");
    assert_eq!(line["source"], "psutil.process_iter");
    assert_eq!(line["matched"], "secret/7");
}

#[test]
fn what_cryptnono_does_not_know_has_no_line() {
    let mut record = samples::killed(1, "x", "w");
    record.action = Action::Observed;
    assert_eq!(log_line(&record), None);
    record.action = Action::Killed;
    record.process = None;
    assert_eq!(log_line(&record), None);
}
