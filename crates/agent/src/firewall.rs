//! Bans in firewalls: in sets of the operator's own, and in a table of ours where no program can be attached.

mod call;
mod changes;
mod listing;
mod set;
mod standing;
mod table;
mod text;

use std::{
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hayward_kernel::InboundBans;
use hayward_model::{Guard, Mode};
use hayward_policy::{Output, Policy};
use hayward_record::Metrics;
use ipnet::IpNet;

use crate::{AgentError, agent::Agent, inbound::lock};

pub(crate) use changes::{Changes, Followed};
pub(crate) use table::TablePlan;

use changes::Obeyed;
use set::{Bans, KeptSet};
use standing::{Cause, Standing};
use table::OwnTable;

/// How often it is looked whether anything is to be done, beside whenever a ban changes.
const TICK: Duration = Duration::from_secs(1);
/// How often all is looked at, since others may change firewalls: one that is loaded anew forgets its elements.
const ALL: Duration = Duration::from_secs(60);
/// The same where something was wrong.
const SOON: Duration = Duration::from_secs(5);
/// Of a second, looking at all may take so much of the time.
const SHARE: u32 = 50;

/// The sets, and what they are to say.
#[derive(Debug)]
struct Firewall {
    sets: Vec<KeptSet>,
    table: Option<OwnTable>,
    bans: Bans,
    is_in_force: bool,
    /// When all is to be looked at.
    next: Instant,
    mark: String,
    /// A table that an earlier agent has left was looked for.
    is_tidy: bool,
}

impl Firewall {
    fn new(mark: String) -> Self {
        Self {
            sets: Vec::new(),
            table: None,
            bans: Bans::new(),
            is_in_force: false,
            next: Instant::now(),
            mark,
            is_tidy: false,
        }
    }

    fn step(&mut self, agent: &Agent) {
        let policy = agent.policy();
        let waiting = agent.pipeline.firewall.take();
        let is_in_force = agent.are_bans_in_force();
        let mut anew = waiting.anew || is_in_force != self.is_in_force;
        self.is_in_force = is_in_force;
        let outputs = &policy.inbound.outputs;
        anew |= self.have(outputs);
        let plan = lock(&agent.pipeline.inbound.table).clone();
        anew |= self.have_table(plan.as_ref());
        if anew || Instant::now() >= self.next {
            self.look_at_all(agent);
        } else if self.is_in_force && !waiting.changes.is_empty() {
            self.follow(waiting.changes);
        }
        self.tell(agent);
    }

    /// Keeps these sets and no others. Says whether there are new ones.
    fn have(&mut self, outputs: &[Output]) -> bool {
        let nothing = Bans::new();
        self.sets.retain_mut(|set| {
            let stays = outputs.contains(&set.output);
            if !stays {
                set.agree(&nothing);
            }
            stays
        });
        let mut is_new = false;
        for output in outputs {
            if !self.sets.iter().any(|set| set.output == *output) {
                let set = KeptSet::new(output.clone(), None, &self.mark);
                self.sets.push(set);
                is_new = true;
            }
        }
        is_new
    }

    /// The same of the table.
    fn have_table(&mut self, plan: Option<&TablePlan>) -> bool {
        match (plan, &self.table) {
            (Some(plan), Some(table)) if table.is_by(plan) => false,
            (Some(plan), _) => {
                // What an earlier agent has left stays until this one takes its place.
                self.table = Some(OwnTable::new(&self.mark, plan.clone()));
                self.is_tidy = false;
                true
            }
            (None, _) => {
                if !self.is_tidy {
                    match table::remove(&self.mark) {
                        Ok(_) => self.is_tidy = true,
                        Err(error) => tracing::error!("{error}"),
                    }
                }
                self.table = None;
                false
            }
        }
    }

    fn look_at_all(&mut self, agent: &Agent) {
        let begun = Instant::now();
        self.bans.clear();
        if self.is_in_force && (!self.sets.is_empty() || self.table.is_some()) {
            let all = agent.pipeline.ledger.obeyed().into_iter();
            let all = all.map(|ban| (ban.net, Obeyed::new(ban.remaining, ban.strength)));
            self.bans.extend(all);
        }
        for set in &mut self.sets {
            set.agree(&self.bans);
        }
        if let Some(table) = &mut self.table {
            table.agree(&self.bans);
        }
        let pause = if self.is_wrong() { SOON } else { ALL };
        self.next = Instant::now() + pause.max(begun.elapsed() * SHARE);
    }

    fn follow(&mut self, changes: std::collections::BTreeMap<IpNet, Option<Obeyed>>) {
        let mut changed = Vec::new();
        for (net, change) in changes {
            match change {
                Some(ban) => self.bans.insert(net, ban),
                None => self.bans.remove(&net),
            };
            changed.push(net);
        }
        for set in &mut self.sets {
            set.follow(&self.bans, &changed);
        }
        if let Some(table) = &mut self.table {
            table.follow(&self.bans, &changed);
        }
        if self.is_wrong() {
            self.next = self.next.min(Instant::now() + SOON);
        }
    }

    fn standings(&self) -> impl Iterator<Item = &Standing> {
        let sets = self.sets.iter().map(|set| &set.standing);
        sets.chain(self.table.iter().map(|table| &table.standing))
    }

    fn is_wrong(&self) -> bool {
        self.standings().any(Standing::is_wrong)
    }

    fn tell(&mut self, agent: &Agent) {
        let problems: Vec<String> = self.standings().filter_map(Standing::told).collect();
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        agent.pipeline.inbound.note("firewall", problem);
        let metrics = agent.pipeline.recorder.metrics();
        for set in &mut self.sets {
            let failed = set.standing.take_failed();
            count(metrics, &set.standing.name, &failed);
        }
        if let Some(table) = &mut self.table {
            let failed = table.take_failed();
            count(metrics, &table.standing.name, &failed);
        }
    }
}

/// Counts what failed. All causes are there from the beginning, so that the first failure is an increase.
fn count(metrics: &Metrics, output: &str, failed: &[Cause]) {
    for cause in Cause::ALL {
        let failures = failed.iter().filter(|it| **it == cause).count();
        metrics.count_firewall_failures(output, cause.name(), failures);
    }
}

impl Agent {
    /// Has firewalls follow the bans from now on.
    pub(crate) fn start_firewall(
        self: &Arc<Self>,
        stop: &Arc<AtomicBool>,
    ) -> Result<JoinHandle<()>, AgentError> {
        let mut firewall = Firewall::new(table::name(&self.policy().pins));
        let (agent, stop) = (self.clone(), stop.clone());
        let builder = std::thread::Builder::new().name("firewall".to_owned());
        let thread = builder.spawn(move || {
            agent.pipeline.firewall.wake(std::thread::current());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                firewall.step(&agent);
                std::thread::park_timeout(TICK);
            }
        });
        thread.map_err(|source| AgentError::Thread { source })
    }

    /// The kernel's map of bans, with its changes noted for firewalls.
    pub(crate) fn followed(&self, map: InboundBans) -> Followed<InboundBans> {
        let changes = self.pipeline.firewall.clone();
        Followed { map, changes }
    }

    /// Nothing is dropped where the guard only observes, or is switched off.
    fn are_bans_in_force(&self) -> bool {
        let enforces = self.policy().guard_mode(Guard::Inbound).0 == Mode::Enforce;
        let off = self.with_kernel(|kernel| kernel.cells().off_until(Guard::Inbound));
        enforces && !matches!(off, Ok(Some(_)))
    }
}

/// Takes what an agent with these settings has entered out of firewalls, and its table away. Says what could not be taken out.
///
/// # Errors
/// Where the table cannot be removed.
pub fn leave_firewalls(policy: &Policy) -> Result<Vec<String>, String> {
    let mark = table::name(&policy.pins);
    let mut problems = Vec::new();
    for output in &policy.inbound.outputs {
        let mut set = KeptSet::new(output.clone(), None, &mark);
        set.agree(&Bans::new());
        problems.extend(set.standing.problem().map(str::to_owned));
    }
    table::remove(&mark)?;
    Ok(problems)
}
