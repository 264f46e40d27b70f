//! One log line per record: a sentence for people, and the same as fields for machines.

use hayward_model::{Action, Mode, Record, Workload, WorkloadKind};

use crate::mask::printable;

/// Writes the record's one log line. Acts against a process, and what went wrong, are warnings.
pub fn write(record: &Record) {
    macro_rules! event {
        ($level:ident) => {{
            let process = record.process.as_ref();
            let workload = record.workload.as_ref();
            tracing::$level!(
                target: "hayward::record",
                id = record.id,
                action = record.action.name(),
                guard = record.guard.map(hayward_model::Guard::name),
                rule = record.rule.as_deref(),
                matched = record.matched.as_deref(),
                mode = record.mode.map(mode_name),
                generation = record.generation,
                pid = process.map(|process| process.pid),
                parent_pid = process.map(|process| process.parent_pid),
                uid = process.map(|process| process.uid),
                comm = process.map(|process| process.comm.as_str()),
                executable = process.map(|process| process.executable.as_str()),
                command_line = process.map(|process| process.command_line.as_str()),
                cgroup_id = workload.map(|workload| workload.cgroup_id),
                cgroup = workload.map(|workload| workload.cgroup.as_str()),
                workload = workload.map(|workload| workload.name.as_str()),
                namespace = workload.and_then(|workload| workload.namespace.as_deref()),
                image = workload.and_then(|workload| workload.image.as_deref()),
                pod_uid = workload.and_then(|workload| workload.pod_uid.as_deref()),
                source = record.source(),
                actor_uid = record.actor.as_ref().map(|actor| actor.uid),
                actor_pid = record.actor.as_ref().map(|actor| actor.pid),
                "{}",
                message(record)
            );
        }};
    }
    match record.action {
        Action::Killed
        | Action::Denied
        | Action::Missed
        | Action::SwitchedOff
        | Action::ReloadRefused
        | Action::Answered
        | Action::Refused
        | Action::Tripped
        | Action::Alarmed
        | Action::Frozen
        | Action::Throttled
        | Action::WorkloadKilled
        | Action::Evicted
        | Action::Quarantined => {
            event!(warn);
        }
        _ => event!(info),
    }
}

/// The record as one sentence, for example
/// `killed xmrig (pid 123, uid 1000) in container 0123456789ab: rule builtin/xmrig: Monero miner`.
pub fn message(record: &Record) -> String {
    let mut text = match record.action {
        Action::Killed => "killed",
        Action::Denied => "denied",
        Action::Observed => "observed, and did not stop,",
        Action::Spared => "spared",
        Action::Missed => "could not stop",
        Action::Answered => "answered the workload for",
        Action::Cleared => "found nothing against",
        Action::SwitchedOff => "switched off",
        Action::SwitchedOn => "switched on",
        Action::Reloaded => "reloaded settings and rules",
        Action::ReloadRefused => "refused new settings or rules; the old ones stay in force",
        Action::Started => "started",
        Action::Stopped => "stopped",
        Action::Forgot => "removed records of a user",
        Action::Frozen => "froze all processes",
        Action::Thawed => "thawed all processes",
        Action::Throttled => "throttled all processes",
        Action::Released => "released all processes",
        Action::WorkloadKilled => "killed all processes",
        Action::Evicted => "evicted all processes",
        Action::Granted => "granted something",
        Action::Revoked => "revoked what was granted",
        Action::Quarantined => "quarantined all processes",
        Action::Refused => "did not do what was to be done",
        Action::Forgiven => "forgave the strikes",
        Action::Tripped => "only observes from now on",
        Action::Alarmed => "was alarmed",
        Action::BreakerReset => "put in force again",
        Action::Banned => "banned",
        Action::Unbanned => "banned no more",
        Action::Allowed => "allowed",
        Action::Disallowed => "allowed no more",
    }
    .to_owned();
    if let Some(process) = &record.process {
        let name = printable(&process.comm);
        text += &format!(" {name} (pid {}, uid {})", process.pid, process.uid);
    } else if let Some(source) = record.source() {
        text += &format!(" {source}");
    } else if let (Some(guard), None, []) = (record.guard, &record.workload, &record.nets[..]) {
        text += &format!(" guard {guard}");
    }
    if let Some(workload) = &record.workload {
        text += &format!(" in {}", place(workload));
    }
    if let Some(actor) = &record.actor {
        text += &format!(" by {}", printable(&actor.to_string()));
    }
    if let Some(rule) = &record.rule {
        text += &format!(": rule {}", printable(rule));
    }
    let parts = [record.reason.as_deref(), record.detail_after_source()];
    for part in parts.into_iter().flatten() {
        text += &format!(": {}", printable(part));
    }
    text
}

fn place(workload: &Workload) -> String {
    let kind = match workload.kind {
        WorkloadKind::Container => "container",
        WorkloadKind::Pod => "pod",
        WorkloadKind::Unit => "unit",
        WorkloadKind::User => "user session",
        WorkloadKind::Cgroup => "cgroup",
    };
    let name = printable(&workload.name);
    match &workload.namespace {
        Some(namespace) => format!("{kind} {name} (namespace {})", printable(namespace)),
        None => format!("{kind} {name}"),
    }
}

const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}

#[cfg(test)]
mod tests {
    use hayward_model::{Actor, Evidence, Guard};

    use super::*;
    use crate::journal::samples;

    #[test]
    fn a_kill_says_who_where_and_why() {
        let record = samples::killed(1, "builtin/xmrig", "jupyter-ann");
        assert_eq!(
            message(&record),
            "killed xmrig (pid 123, uid 1000) in container jupyter-ann (namespace binder): rule builtin/xmrig: Monero miner"
        );
    }

    #[test]
    fn an_act_says_who_did_it() {
        let mut record = samples::killed(1, "x", "x");
        (record.process, record.workload, record.rule, record.reason) = (None, None, None, None);
        record.action = Action::SwitchedOff;
        record.guard = Some(Guard::Command);
        record.actor = Some(Actor {
            uid: 0,
            pid: 7,
            name: Some("root".to_owned()),
            login: Some("ann".to_owned()),
        });
        record.detail = Some("for 1h".to_owned());
        assert_eq!(
            message(&record),
            "switched off guard command by root (uid 0), logged in as ann: for 1h"
        );
    }

    #[test]
    fn a_source_that_is_banned_stands_where_a_process_does() {
        let mut record = samples::killed(1, "x", "x");
        (record.process, record.workload, record.rule, record.reason) = (None, None, None, None);
        (record.action, record.guard) = (Action::Banned, Some(Guard::Inbound));
        record.evidence = Some(Evidence {
            inbound: Some(samples::probing("203.0.113.9/32")),
            ..Evidence::default()
        });
        record.detail = Some("203.0.113.9 sent SYN: it is banned for 1 h".to_owned());
        let expected = "banned 203.0.113.9: sent SYN: it is banned for 1 h";
        assert_eq!(message(&record), expected);
    }

    #[test]
    fn what_is_done_to_sources_by_hand_names_them_and_no_guard() {
        let mut record = samples::killed(1, "x", "x");
        (record.process, record.workload, record.rule, record.reason) = (None, None, None, None);
        (record.action, record.guard) = (Action::Allowed, Some(Guard::Inbound));
        record.nets = vec!["203.0.113.0/24".parse().expect("a prefix")];
        record.detail = Some("203.0.113.0/24 for ever".to_owned());
        assert_eq!(message(&record), "allowed: 203.0.113.0/24 for ever");
    }

    #[test]
    fn a_process_cannot_forge_a_log_line_by_its_name() {
        let mut record = samples::killed(1, "x", "x");
        if let Some(process) = &mut record.process {
            process.comm = "a\nb\u{1b}[2J".to_owned();
        }
        let text = message(&record);
        assert!(text.contains(r"a\nb\u{1b}[2J") && !text.chars().any(char::is_control));
    }
}
