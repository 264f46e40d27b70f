//! The way up, from the kernel's bytes to the journal, top to bottom:
//!
//! bytes -> wire -> Event -> detect -> Finding -> policy -> Verdict -> respond -> Outcome -> record

use std::sync::{
    Arc, Mutex, RwLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use hayward_kernel::wire;
use hayward_model::{
    Action, Event, Finding, Mode, Outcome, Response, RoundingEvent, Verdict, Workload,
};
use hayward_policy::Policy;
use hayward_record::Recorder;
use hayward_respond::Killed;
use hayward_rules::{
    Rule,
    table::{CommandTable, Judgement},
};
use hayward_workload::Cgroups;
use tokio::sync::broadcast;

use crate::{
    canary::CANARY_RULE, describe, process, randomx::Detectors, rules::Tables, seen::Seen,
    veil::Veil,
};

/// Everything that the way up needs, shared with whatever changes it.
pub struct Pipeline {
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) tables: RwLock<Tables>,
    pub(crate) cgroups: Mutex<Cgroups>,
    pub(crate) recorder: Recorder,
    /// The `randomx` guard's detector.
    pub(crate) randomx: Mutex<Detectors>,
    /// What scans need not record again.
    pub(crate) seen: Mutex<Seen>,
    /// Deaths of canaries, which are no verdicts.
    pub(crate) canaries: AtomicU64,
    /// Id of the cgroup whose rounding is awaited as a proof; 0 once it was seen.
    pub(crate) rounding_canary: AtomicU64,
    /// Where clients get what the sensor of `randomx` sees, while they ask for it.
    pub(crate) sightings: broadcast::Sender<Arc<RoundingEvent>>,
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
        match event {
            Event::Exec(event) => self.take_command(hayward_detect::exec(event)),
            Event::Running(event) => self.take_command(hayward_detect::running(event)),
            Event::Rounding(event) => self.take_rounding(&event),
        }
    }

    fn take_command(&self, finding: Finding) {
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
        self.conclude(finding, rule, table.as_deref(), &current);
    }

    /// The way from a finding to its record, the same for every guard. `table` is the one that judged, if any did.
    pub(crate) fn conclude(
        &self,
        finding: Finding,
        rule: Option<&Rule>,
        table: Option<&CommandTable>,
        current: &CommandTable,
    ) {
        let policy = self.policy();
        let cgroup = finding.cgroup_id;
        let wanted = &policy.workloads.environment;
        let cgroups = self.cgroups.lock().ok();
        let workload = cgroups.map(|mut cgroups| cgroups.workload(cgroup, wanted));
        let verdict = decide(&policy, finding, rule, workload.as_ref());
        let outcome = respond(verdict);
        let matched = describe::matched(&outcome.verdict.finding, table);
        if !self.is_news(&outcome, matched.as_deref()) {
            return;
        }
        // Secrets of rules that were in force and of those that are: an event may be older than either.
        let judged_by = table.filter(|t| t.generation() != current.generation());
        let secrets: Vec<_> = [Some(current), judged_by]
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
    pub(crate) fn tables_for(
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

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy
            .read()
            .map_or_else(|e| e.into_inner().clone(), |p| p.clone())
    }

    /// What goes on running is found again and again, and recorded once: not at all by a scan where its start was.
    fn is_news(&self, outcome: &Outcome, matched: Option<&str>) -> bool {
        let finding = &outcome.verdict.finding;
        let at_exec = finding.evidence.judged_at.as_deref() == Some("exec");
        // What has been killed at its start will not be seen again.
        if at_exec && outcome.action == Action::Killed {
            return true;
        }
        let is_new = self
            .seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .is_new(outcome, matched);
        is_new || at_exec
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
