//! The way up, from the kernel's bytes to the journal, top to bottom:
//!
//! bytes -> wire -> Event -> detect -> Finding -> policy -> Verdict -> respond -> Outcome -> record

use std::sync::{
    Arc, Mutex, RwLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hayward_kernel::wire;
use hayward_model::{Action, Event, Finding, Mode, Outcome, Record, Response, Verdict};
use hayward_policy::Policy;
use hayward_record::{CommandLines, Recorder, id, mask, mask_bytes};
use hayward_respond::Killed;
use hayward_rules::{
    Rule,
    table::{CommandTable, Judgement},
};
use hayward_workload::Cgroups;

use crate::{canary::CANARY_RULE, clock, process, rules::Tables};

/// What stands for a secret.
const MASKED: &str = "•••";

/// Everything that the way up needs, shared with whatever changes it.
pub struct Pipeline {
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) tables: RwLock<Tables>,
    pub(crate) cgroups: Mutex<Cgroups>,
    pub(crate) recorder: Recorder,
    /// Deaths of canaries, which are no verdicts.
    pub(crate) canaries: AtomicU64,
    /// Events that could not be read.
    pub(crate) undecodable: AtomicU64,
}

impl Pipeline {
    /// Takes one event from the kernel's ring. The kernel has decided already, unless it could not judge.
    pub fn take_bytes(&self, bytes: &[u8]) {
        match wire::decode(bytes) {
            Ok(event) => self.take(event),
            Err(error) => {
                tracing::error!("an event of the kernel cannot be read: {error}");
                self.undecodable.fetch_add(1, Relaxed);
            }
        }
    }

    /// Takes one event to its end.
    pub fn take(&self, event: Event) {
        let Some(finding) = hayward_detect::command(event) else {
            return;
        };
        let table = self
            .tables
            .read()
            .ok()
            .and_then(|t| t.of_generation(finding.generation));
        let Some((finding, table)) = judge_unscanned(finding, table, &self.current_table()) else {
            return;
        };
        let rule = finding
            .rule
            .and_then(|rule| table.as_ref()?.rules().get(rule as usize))
            .cloned();
        if rule.as_ref().is_some_and(|rule| rule.id == CANARY_RULE) {
            self.canaries.fetch_add(1, Relaxed);
            return;
        }
        let verdict = self.decide(finding, rule.as_ref());
        let outcome = respond(verdict);
        self.recorder
            .record(&self.describe(outcome, rule.as_ref(), table.as_deref()));
    }

    fn current_table(&self) -> Option<Arc<CommandTable>> {
        self.tables.read().ok().map(|tables| tables.current.clone())
    }

    /// The policy in force for a finding's workload and rule.
    fn decide(&self, finding: Finding, rule: Option<&Rule>) -> Verdict {
        let path = self
            .cgroups
            .lock()
            .ok()
            .and_then(|mut c| c.path_of(finding.cgroup_id));
        let policy = self
            .policy
            .read()
            .map_or_else(|e| e.into_inner().clone(), |p| p.clone());
        let without_rule = match finding.done {
            Some(Action::Observed) => Mode::Observe,
            _ => Mode::Enforce,
        };
        let mode = rule.map_or(without_rule, |rule| rule.mode);
        let response = rule.and_then(|rule| rule.response);
        policy.judge(finding, mode, response, path.as_deref())
    }

    /// The journal's line. What a secret rule matched is masked everywhere.
    fn describe(
        &self,
        outcome: Outcome,
        rule: Option<&Rule>,
        table: Option<&CommandTable>,
    ) -> Record {
        let setting = decided_by_setting(&outcome.verdict.finding);
        let Verdict {
            finding,
            mode,
            response,
        } = outcome.verdict;
        let Finding {
            guard,
            generation,
            mut process,
            cgroup_id,
            boot_ns,
            mut evidence,
            ..
        } = finding;
        let line = process.command_line.clone().into_bytes();
        let matched = rule
            .zip(table)
            .and_then(|(_, table)| table.matched_text(finding.rule?, &line, evidence.match_end?));
        let secret = rule.is_some_and(|rule| rule.secret);
        let ranges = table
            .map(|table| table.secret_ranges(&line))
            .unwrap_or_default();
        let how = self
            .policy
            .read()
            .map_or(CommandLines::None, |p| p.journal.command_lines);
        process.command_line = mask_bytes(&line, how, &ranges);
        evidence.match_window = evidence
            .match_window
            .filter(|_| !secret)
            .map(|w| mask(&w, how, &[]));
        if rule.is_some_and(|rule| rule.secret && !rule.executable.is_empty()) {
            // The name itself is the secret.
            for text in [
                &mut process.executable,
                &mut process.comm,
                &mut process.command_line,
            ] {
                *text = MASKED.to_owned();
            }
        }
        let workload = self
            .cgroups
            .lock()
            .ok()
            .map(|mut cgroups| cgroups.workload(cgroup_id));
        let time = clock::timestamp(boot_ns);
        Record {
            id: id::next(time),
            time,
            action: outcome.action,
            guard: Some(guard),
            rule: rule
                .map(|rule| rule.id.clone())
                .or(setting.map(|(id, _)| id.to_owned())),
            reason: rule
                .filter(|_| !secret)
                .and_then(|rule| rule.reason.clone())
                .or(setting.map(|(_, reason)| reason.to_owned())),
            matched: matched.filter(|_| !secret),
            generation: Some(generation),
            mode: Some(mode),
            response: Some(response),
            process: Some(process),
            workload,
            evidence: Some(evidence),
            actor: None,
            detail: outcome.error,
        }
    }
}

/// The setting that decided where no rule did: what stands in the record as its rule and its reason.
fn decided_by_setting(finding: &Finding) -> Option<(&'static str, &'static str)> {
    match (finding.rule, finding.done, &finding.evidence.unscanned) {
        (None, Some(Action::Killed), Some(_)) => Some((
            "unscanned",
            "the command line could not be judged in the kernel, and `unscanned` is set to kill",
        )),
        (None, Some(Action::Killed | Action::Observed), None) if finding.evidence.fileless => {
            Some(("fileless", "the program has no name in any file system"))
        }
        _ => None,
    }
}

/// What the kernel could not judge is judged here, from /proc, by the rules in force now.
fn judge_unscanned(
    mut finding: Finding,
    table: Option<Arc<CommandTable>>,
    current: &Option<Arc<CommandTable>>,
) -> Option<(Finding, Option<Arc<CommandTable>>)> {
    if finding.done.is_some() || finding.rule.is_some() {
        return Some((finding, table));
    }
    let current = current.clone()?;
    let running = process::read(finding.process.pid)
        .filter(|p| process::is_same(p.start_boot_ns, finding.process.start_boot_ns));
    let Some(running) = running else {
        finding.done = Some(Action::Missed);
        return Some((finding, table));
    };
    let judged = current.judge(
        &running.arguments,
        Some(&running.executable),
        finding.boot_ns,
    );
    finding.generation = current.generation();
    match judged {
        Judgement::Clean => finding.done = Some(Action::Cleared),
        Judgement::Spared { rule, end } => {
            (finding.rule, finding.evidence.match_end) = (Some(rule), Some(end));
            finding.done = Some(Action::Spared);
        }
        Judgement::Observed { rule, end } | Judgement::Banned { rule, end } => {
            (finding.rule, finding.evidence.match_end) = (Some(rule), Some(end));
        }
    }
    Some((finding, Some(current)))
}

/// Acts, where the kernel has not acted and the verdict says so.
fn respond(verdict: Verdict) -> Outcome {
    let (action, error) = match (verdict.finding.done, verdict.mode, verdict.response) {
        (Some(done), ..) => (done, None),
        (None, Mode::Enforce, Response::Kill) => {
            let process = &verdict.finding.process;
            match hayward_respond::kill(process.pid, process.start_boot_ns) {
                Ok(Killed::Killed) => (Action::Killed, None),
                Ok(other) => (Action::Missed, Some(other.to_string())),
                Err(error) => (Action::Missed, Some(error.to_string())),
            }
        }
        (None, ..) => (Action::Observed, None),
    };
    Outcome {
        verdict,
        action,
        error,
    }
}
