//! The way up, from the kernel's bytes to the journal, top to bottom:
//!
//! bytes -> wire -> Event -> detect -> Finding -> policy -> Verdict -> respond -> Outcome -> record

use std::sync::{
    Arc, Mutex, RwLock,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use hayward_kernel::wire;
use hayward_model::{
    Action, CgroupEvent, Event, Finding, Guard, Mode, Outcome, Record, Response, RoundingEvent,
    Verdict, Workload,
};
use hayward_policy::{Decision, Policy};
use hayward_record::Recorder;
use hayward_respond::Killed;
use hayward_rules::{
    Rule,
    table::{CommandTable, Judgement},
};
use hayward_workload::{Cgroups, in_time};
use tokio::sync::broadcast;

use crate::{
    agent::Agent,
    answers::{Answer, Answers},
    bans::BanLists,
    breaker::{self, Breaker},
    canary::CANARY_RULE,
    contacts::Contacts,
    describe,
    egress::Refusals,
    firewall::Changes,
    inbound::Inbound,
    kept::Ended,
    ledger::Ledger,
    names::{Names, Unnamed},
    notice::Notices,
    process,
    randomx::Detectors,
    rules::Tables,
    scope,
    seen::Seen,
    strikes::Strikes,
    veil::Veil,
};

/// Why a process runs that was to be ended.
const HELD_UP: &str =
    "the process holds up whoever asks when it started: it is ended once that is known";

/// Everything that the way up needs, shared with whatever changes it.
pub struct Pipeline {
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) tables: RwLock<Tables>,
    pub(crate) cgroups: Mutex<Cgroups>,
    /// What containers are called.
    pub(crate) names: Names,
    pub(crate) recorder: Recorder,
    /// The `randomx` guard's detector.
    pub(crate) randomx: Mutex<Detectors>,
    /// A miner was found, and the sensor does not know it yet.
    pub(crate) found_miner: AtomicBool,
    /// Which rules only observe, since they are new and act on too much.
    pub(crate) breaker: Mutex<Breaker>,
    /// Findings by workload, and what is to be done to workloads.
    pub(crate) strikes: Mutex<Strikes>,
    pub(crate) answers: Answers,
    /// Words for those whose programs were killed.
    pub(crate) notices: Notices,
    /// What an earlier agent has recorded.
    pub(crate) ended_before: Ended,
    /// What scans need not record again.
    pub(crate) seen: Mutex<Seen>,
    /// Deaths of canaries, which are no verdicts.
    pub(crate) canaries: AtomicU64,
    /// Id of the cgroup whose rounding is awaited as a proof; 0 once it was seen.
    pub(crate) rounding_canary: AtomicU64,
    /// Id of the cgroup whose refusal is awaited as a proof; 0 once it was seen.
    pub(crate) egress_canary: AtomicU64,
    /// The same for the guard `outbound`.
    pub(crate) outbound_canary: AtomicU64,
    /// What was recorded of refusals lately.
    pub(crate) refusals: Mutex<Refusals>,
    /// The same two of the guard `pool`.
    pub(crate) pool_canary: AtomicU64,
    pub(crate) pool_refusals: Mutex<Refusals>,
    /// What the guard `inbound` knows.
    pub(crate) inbound: Inbound,
    /// Bans that firewalls are to be told of.
    pub(crate) firewall: Changes,
    /// The log of first contacts.
    pub(crate) contacts: Contacts,
    /// Ban lists in force.
    pub(crate) bans: Mutex<BanLists>,
    /// Bans of the guard `inbound`.
    pub(crate) ledger: Ledger,
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
            Event::Exec(event) => {
                self.note_cgroup(event.cgroup_id, event.cgroup.as_deref());
                self.take_command(hayward_detect::exec(event));
            }
            Event::Running(event) => self.take_command(hayward_detect::running(event)),
            Event::Rounding(event) => self.take_rounding(&event),
            Event::Cgroup(event) => self.take_cgroup(&event),
            Event::Egress(event) => self.take_egress(event),
            Event::Outbound(event) => self.take_outbound(event),
            Event::Pool(event) => self.take_pool(event),
            Event::Contact(event) => self.take_contact(event),
            Event::Inbound(event) => self.take_inbound(event),
            // They come by a ring of their own, where scanblocker's lines are wanted.
            Event::InboundContact(_) => {}
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
        self.conclude(finding, rule, table.as_ref(), &current);
    }

    /// Where the cgroup lies: who looks later may not find it any more.
    fn note_cgroup(&self, id: u64, path: Option<&str>) {
        if let (Some(path), Ok(mut cgroups)) = (path, self.cgroups.lock()) {
            cgroups.note(id, path);
        }
    }

    fn take_cgroup(&self, event: &CgroupEvent) {
        self.note_cgroup(event.cgroup_id, Some(&event.path));
        self.names.made(&event.path);
    }

    /// The way from a finding to its record, the same for every guard. `table` is the one that judged, if any did.
    pub(crate) fn conclude(
        &self,
        finding: Finding,
        rule: Option<&Rule>,
        table: Option<&Arc<CommandTable>>,
        current: &Arc<CommandTable>,
    ) {
        let policy = self.policy();
        let cgroup = finding.cgroup_id;
        let wanted = &policy.workloads.environment;
        let cgroups = self.cgroups.lock().ok();
        let workload = cgroups.map(|mut cgroups| cgroups.workload(cgroup, wanted));
        let path = workload.as_ref().map(|workload| workload.cgroup.as_str());
        let scope = path
            .filter(|path| !path.is_empty())
            .map(|path| scope::decide(policy.scope_rules(), &self.names, path));
        let randomx = (finding.guard == Guard::Randomx).then_some(&*breaker::RANDOMX);
        let tried = rule.or(randomx);
        let tripped = tried.is_some_and(|rule| self.breaker().is_tripped(rule, &policy.breaker));
        let verdict = decide(&policy, finding, rule, tripped, scope.as_ref());
        let outcome = respond(verdict);
        let matched = describe::matched(&outcome.verdict.finding, table.map(AsRef::as_ref));
        if !self.is_news(&outcome, matched.as_deref()) {
            return;
        }
        let by = tried.map(|rule| (rule, table.map(AsRef::as_ref)));
        let counted = self.count_against(&policy, &outcome, workload.as_ref(), by);
        let guard = outcome.verdict.finding.guard;
        let veil = Veil::new(current, table, policy.journal.command_lines);
        let mut record = describe::describe(outcome, rule, matched, workload, &veil);
        record.strike = counted.strike;
        let mut answer = counted.answer.map(|answer| Answer {
            cause: record.id.clone(),
            rule: record.rule.clone(),
            workload: record.workload.clone().map(|workload| Workload {
                cgroup_id: answer.cgroup_id,
                cgroup: answer.path.clone(),
                ..workload
            }),
            veil: veil.clone(),
            ..answer
        });
        // Where a name may say that nothing is to be done, it is waited for.
        if !policy.scope_rules().is_by_name()
            && let Some(answer) = answer.take()
        {
            self.answers.offer(answer);
        }
        self.write(Unnamed {
            record,
            veil,
            answer,
        });
        if let Some((action, detail)) = counted.breaker {
            self.recorder.record(&Record {
                guard: Some(guard),
                rule: tried.map(|rule| rule.id.clone()),
                detail: Some(detail),
                ..Agent::new_record(action)
            });
        }
    }

    /// Writes a record once its container's name is known, or nobody can be expected to tell it.
    pub(crate) fn write(&self, unnamed: Unnamed) {
        if let Some(unnamed) = self.names.wait(unnamed) {
            self.finish(unnamed);
        }
    }

    /// Writes a record, with the names that are known by now, and has its workload answered.
    pub(crate) fn finish(&self, unnamed: Unnamed) {
        let Unnamed {
            mut record,
            veil,
            answer,
        } = unnamed;
        if let Some(workload) = &mut record.workload {
            self.names.complete(workload);
            veil.workload(workload);
        }
        self.recorder.record(&record);
        self.notices.tell(&record, &self.policy().notice);
        if let Some(answer) = answer {
            self.answers.offer(answer);
        }
    }

    /// The same for one that was kept while it waited.
    pub(crate) fn finish_kept(&self, unnamed: Unnamed) {
        let id = unnamed.record.id.clone();
        self.finish(unnamed);
        self.names.release(&id);
    }

    /// Takes up a record that an earlier agent was about to write when it was killed.
    pub(crate) fn take_left(&self, record: Record) {
        let (Some(current), _) = self.tables_for(0) else {
            return;
        };
        let veil = Veil::new(&current, None, self.policy().journal.command_lines);
        let unnamed = Unnamed {
            record,
            veil,
            answer: None,
        };
        if let Some(unnamed) = self.names.wait(unnamed) {
            self.finish_kept(unnamed);
        }
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
        // What has been killed at its start will not be seen again, but by the next agent.
        if at_exec && outcome.action == Action::Killed {
            return !self.ended_before.has(&finding.process);
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
    tripped: bool,
    scope: Option<&Decision>,
) -> Verdict {
    let without_rule = match finding.done {
        Some(Action::Observed) => Mode::Observe,
        _ => Mode::Enforce,
    };
    let mode = match rule {
        _ if tripped => Mode::Observe,
        Some(rule) => rule.mode,
        None => without_rule,
    };
    let response = rule.and_then(|rule| rule.response).or(finding.response);
    policy.judge(finding, mode, response, scope)
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
        (None, Mode::Enforce, response) if response.is_workloads() && !response.kills() => {
            (Action::Answered, None)
        }
        (None, Mode::Enforce, response) if response.kills() => {
            let process = &verdict.finding.process;
            let (pid, start) = (process.pid, process.start_boot_ns);
            match in_time(move || hayward_respond::kill(pid, start)) {
                Some(Ok(Killed::Killed)) => (Action::Killed, None),
                Some(Ok(other)) => (Action::Missed, Some(other.to_string())),
                Some(Err(error)) => (Action::Missed, Some(error.to_string())),
                None => (Action::Missed, Some(HELD_UP.to_owned())),
            }
        }
        // The kernel has refused it.
        (None, Mode::Enforce, Response::Deny) => (Action::Denied, None),
        (None, ..) => (Action::Observed, None),
    };
    Outcome {
        verdict,
        action,
        error,
    }
}
