//! Nothing of a secret rule leaves, whichever rule decided and wherever the secret stands.

use std::sync::Arc;

use hayward_model::{Evidence, Guard, Mode, Process, Response, WorkloadKind};
use hayward_record::{CommandLines, compat::cryptnono::log_line, log};
use proptest::prelude::*;

use super::*;

/// As much of a command line as an event carries.
const KEPT: usize = 4_096;
/// As much as it carries of what is around the match.
const WINDOW: usize = 128;

fn rule(id: &str, banned: &[String], secret: bool) -> Rule {
    Rule {
        banned: banned.iter().map(|text| text.as_bytes().to_vec()).collect(),
        secret,
        ..Rule::new(id, "test", 1)
    }
}

/// What an event tells of a process with this line, which matches up to `end`.
fn outcome(line: &[u8], end: usize, name: &str) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kept = &line[..line.len().min(KEPT)];
    let from = end.saturating_sub(WINDOW / 2).max(kept.len());
    let window = line.get(from..line.len().min(from + WINDOW));
    let window = window.filter(|_| end > kept.len());
    Outcome {
        verdict: Verdict {
            finding: Finding {
                guard: Guard::Command,
                rule: Some(0),
                generation: 1,
                process: Process {
                    pid: 7,
                    parent_pid: 1,
                    start_boot_ns: 1,
                    uid: 0,
                    comm: text(&name.as_bytes()[..name.len().min(15)]),
                    executable: format!("/tmp/{name}"),
                    command_line: text(kept),
                    command_line_bytes: u32::try_from(line.len() + 1).expect("a length"),
                },
                cgroup_id: 1,
                boot_ns: 5,
                done: Some(Action::Killed),
                response: None,
                evidence: Evidence {
                    judged_at: Some("exec".to_owned()),
                    match_end: u32::try_from(end).ok(),
                    match_window: window.map(text),
                    ..Evidence::default()
                },
            },
            mode: Mode::Enforce,
            response: Response::Kill,
        },
        action: Action::Killed,
        error: None,
    }
}

/// Everything that is written of an outcome.
fn written(
    table: &Arc<CommandTable>,
    outcome: Outcome,
    how: CommandLines,
    workload: &str,
) -> String {
    let veil = Veil::new(table, None, how);
    let matched = matched(&outcome.verdict.finding, Some(table));
    let workload = Workload {
        cgroup_id: 1,
        cgroup: format!("/{workload}"),
        kind: WorkloadKind::Cgroup,
        name: workload.to_owned(),
        ..Workload::default()
    };
    let mut record = describe(
        outcome,
        table.rules().first(),
        matched,
        Some(workload),
        &veil,
    );
    record.id.clear();
    veil.workload(record.workload.as_mut().expect("a workload"));
    [
        serde_json::to_string(&record).expect("JSON"),
        log::message(&record),
        log_line(&record).expect("a line"),
    ]
    .join("\n")
}

fn compile(public: &[String], secret: &[String]) -> Arc<CommandTable> {
    let rules = vec![rule("public", public, false), rule("hidden", secret, true)];
    Arc::new(CommandTable::compile(rules, 1, |_| 0).expect("good rules"))
}

#[test]
fn what_a_cut_leaves_is_masked_on_both_sides() {
    let secret = "stratumvault".to_owned();
    let table = compile(&["public".to_owned()], std::slice::from_ref(&secret));
    for (at, filler) in (KEPT - secret.len()..=KEPT).flat_map(|at| [(at, b'x'), (at, 0xff)]) {
        let mut line = vec![filler; at - 1];
        line.push(b' ');
        line.extend(format!("{secret} public").bytes());
        let text = written(
            &table,
            outcome(&line, line.len(), "sh"),
            CommandLines::Full,
            "w",
        );
        assert!(
            !text.contains("str") && !text.contains("ault"),
            "{at}: {text}"
        );
    }
}

#[test]
fn an_event_of_another_rule_is_masked_where_it_names_a_secret() {
    let table = compile(&["a hush b".to_owned()], &["hush".to_owned()]);
    let text = written(
        &table,
        outcome(b"x a HUSH b", 10, "xHush"),
        CommandLines::Full,
        "my-hush",
    );
    assert!(!text.to_lowercase().contains("hush"), "{text}");
    assert!(text.contains("a ••• b"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_output_contains_a_secret(
        secrets in proptest::collection::vec("[a-cA-C][a-c -]{1,8}[a-c]", 1..5),
        parts in proptest::collection::vec(("[a-d -]{0,12}", any::<prop::sample::Index>(), any::<bool>()), 1..8),
        padding in prop_oneof![Just(0_usize), KEPT - 60..KEPT + 20],
        full in any::<bool>(),
    ) {
        let table = compile(&["public".to_owned()], &secrets);
        let mut line = "#".repeat(padding).into_bytes();
        for (filler, secret, upper) in &parts {
            line.extend(filler.bytes());
            let text = &secrets[secret.index(secrets.len())];
            let text = if *upper { text.to_uppercase() } else { text.clone() };
            line.extend(text.bytes());
        }
        line.extend(b" public");
        let end = line.len();
        line.extend(format!(" {}", secrets[0]).bytes());
        let how = if full { CommandLines::Full } else { CommandLines::Masked };
        let text = written(&table, outcome(&line, end, &secrets[0]), how, &secrets[0]);
        let text = text.to_ascii_lowercase();
        for secret in &secrets {
            // What is in every record whatever is recorded.
            let empty = written(&table, outcome(b"", 0, ""), how, "").to_ascii_lowercase();
            let secret = secret.to_ascii_lowercase();
            prop_assert!(empty.contains(&secret) || !text.contains(&secret), "{secret:?} in {text}");
        }
    }
}
