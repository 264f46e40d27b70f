//! The way up, from the kernel's bytes to the journal, top to bottom:
//!
//! bytes -> wire -> Event -> detect -> Finding -> policy -> Verdict -> respond -> Outcome -> record

use std::sync::{
    Arc, Mutex, RwLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hayward_kernel::wire;
use hayward_model::{Action, Event, Finding, Mode, Outcome, Response, Verdict, Workload};
use hayward_policy::Policy;
use hayward_record::Recorder;
use hayward_respond::Killed;
use hayward_rules::{
    Rule,
    table::{CommandTable, Judgement},
};
use hayward_workload::Cgroups;

use crate::{canary::CANARY_RULE, describe, process, rules::Tables, seen::Seen, veil::Veil};

/// Everything that the way up needs, shared with whatever changes it.
pub struct Pipeline {
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) tables: RwLock<Tables>,
    pub(crate) cgroups: Mutex<Cgroups>,
    pub(crate) recorder: Recorder,
    /// What scans need not record again.
    pub(crate) seen: Mutex<Seen>,
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
        let (Some(current), table) = self.tables_for(finding.generation) else {
            return;
        };
        let Some((finding, table)) = judge_unscanned(finding, table, &current) else {
            return;
        };
        let rule = finding
            .rule
            .and_then(|rule| table.as_ref()?.rules().get(rule as usize));
        if rule.is_some_and(|rule| rule.id == CANARY_RULE) {
            self.canaries.fetch_add(1, Relaxed);
            return;
        }
        let policy = self.policy();
        let cgroup = finding.cgroup_id;
        let workload = self.cgroups.lock().ok().map(|mut c| c.workload(cgroup));
        let verdict = decide(&policy, finding, rule, workload.as_ref());
        let outcome = respond(verdict);
        let matched = describe::matched(&outcome.verdict.finding, table.as_deref());
        if !self.is_news(&outcome, matched.as_deref()) {
            return;
        }
        // Secrets of rules that were in force and of those that are: an event may be older than either.
        let judged_by = table
            .as_deref()
            .filter(|t| t.generation() != current.generation());
        let secrets: Vec<_> = [Some(&*current), judged_by]
            .into_iter()
            .flatten()
            .map(CommandTable::secrets)
            .filter(|secrets| !secrets.is_empty())
            .collect();
        let veil = Veil {
            secrets: &secrets,
            how: policy.journal.command_lines,
        };
        let record = describe::describe(outcome, rule, matched, workload, &veil);
        self.recorder.record(&record);
    }

    /// The table in force, and that of a generation.
    fn tables_for(
        &self,
        generation: u32,
    ) -> (Option<Arc<CommandTable>>, Option<Arc<CommandTable>>) {
        self.tables.read().map_or((None, None), |tables| {
            (
                Some(tables.current.clone()),
                tables.of_generation(generation),
            )
        })
    }

    fn policy(&self) -> Arc<Policy> {
        self.policy
            .read()
            .map_or_else(|e| e.into_inner().clone(), |p| p.clone())
    }

    /// Scans come back to what still runs: they record it once, and not at all where its start was recorded.
    fn is_news(&self, outcome: &Outcome, matched: Option<&str>) -> bool {
        let by_scan = outcome.verdict.finding.evidence.judged_at.as_deref() == Some("scan");
        // What has been killed at its start will not be seen again.
        if !by_scan && outcome.action == Action::Killed {
            return true;
        }
        let is_new = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .is_new(outcome, matched);
        is_new || !by_scan
    }
}

/// The policy in force for a finding's workload and rule.
fn decide(
    policy: &Policy,
    finding: Finding,
    rule: Option<&Rule>,
    workload: Option<&Workload>,
) -> Verdict {
    let without_rule = match finding.done {
        Some(Action::Observed) => Mode::Observe,
        _ => Mode::Enforce,
    };
    let mode = rule.map_or(without_rule, |rule| rule.mode);
    let response = rule.and_then(|rule| rule.response);
    let path = workload.map(|workload| workload.cgroup.as_str());
    policy.judge(
        finding,
        mode,
        response,
        path.filter(|path| !path.is_empty()),
    )
}

/// What the kernel could not judge is judged here, from /proc, by the rules in force now.
fn judge_unscanned(
    mut finding: Finding,
    table: Option<Arc<CommandTable>>,
    current: &Arc<CommandTable>,
) -> Option<(Finding, Option<Arc<CommandTable>>)> {
    if finding.done.is_some() || finding.rule.is_some() {
        return Some((finding, table));
    }
    let current = current.clone();
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
