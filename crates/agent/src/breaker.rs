//! The breaker: a rule that is new here and acts on a large part of the workloads is more likely wrong than they are. It
//! then only observes, it alone, until an operator puts it in force or it is no longer new.
//!
//! What counts is on how many workloads it acted, not how often: one abuser adds one. Rules that have been in force for
//! long are only reported.

mod ages;

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{LazyLock, MutexGuard, PoisonError},
    time::Duration,
};

use hayward_kernel::{Pins, Tripped};
use hayward_model::{Action, Actor};
use hayward_policy::{BreakerSettings, Policy};
use hayward_rules::{Rule, table::CommandTable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, canary::CANARY_RULE, clock, pipeline::Pipeline};
use ages::Ages;

/// Established rules whose alarm is remembered, so that it is raised once.
const MOST_ALARMS: usize = 1_024;

/// The state of the breaker.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    ages: Ages,
    /// By rule, the workloads on which it acted since it is in force.
    acted: BTreeMap<String, HashSet<u64>>,
    alarmed: HashSet<String>,
    /// Workloads that were in scope when last looked at.
    live: usize,
    /// None where the kernel carries no guard.
    kernel: Option<Tripped>,
}

/// A rule that the breaker has tripped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TripReport {
    /// Its id.
    pub rule: String,
    /// When it was tripped.
    pub at: Timestamp,
    /// Until when it only observes, unless an operator puts it in force before.
    pub until: Timestamp,
    /// On how many workloads it had acted.
    pub workloads: usize,
}

/// What an act of a rule leads to.
#[derive(Debug, PartialEq)]
enum Act {
    /// Nothing.
    Fine,
    /// The rule only observes from now on.
    Trip(TripReport),
    /// The rule acts on as many workloads, and goes on doing so.
    Alarm(usize),
}

impl Breaker {
    /// Reads how long rules have been in force here. Problems are told, and then all rules count as new.
    pub(crate) fn open(folder: &Path) -> (Self, Option<String>) {
        let (ages, problem) = Ages::open(folder);
        let breaker = Self {
            ages,
            ..Self::default()
        };
        (breaker, problem)
    }

    /// Takes the kernel's side in hand.
    pub(crate) fn attach(&mut self, pins: &Pins) {
        match Tripped::open(pins) {
            Ok(tripped) => self.kernel = Some(tripped),
            Err(error) => tracing::error!("the breaker works in the agent alone: {error}"),
        }
    }

    /// Tells the kernel which rules of a table are tripped, before it is in force. Rules that are new or have changed
    /// are young from now on.
    pub(crate) fn prepare(&mut self, table: &CommandTable, settings: &BreakerSettings) {
        self.ages.note(rules(table), Timestamp::now());
        self.acted
            .retain(|id, _| rules(table).any(|rule| rule.id == *id));
        let Some(kernel) = &self.kernel else { return };
        for (index, rule) in table.rules().iter().enumerate() {
            if let (Some(trip), Ok(index)) =
                (self.ages.trip(rule, settings.young), index.try_into())
            {
                let until = clock::to_boot_ns(trip.until);
                told(kernel.trip(table.generation(), index, until));
            }
        }
    }

    /// Lets go of what was said of earlier tables.
    pub(crate) fn arrived(&self, table: &CommandTable) {
        if let Some(kernel) = &self.kernel {
            told(kernel.keep(table.generation()));
        }
    }

    /// How many workloads there are.
    pub(crate) fn set_live(&mut self, workloads: usize) {
        self.live = workloads;
    }

    /// Whether a rule only observes now.
    pub(crate) fn is_tripped(&self, rule: &Rule, settings: &BreakerSettings) -> bool {
        self.ages.trip(rule, settings.young).is_some()
    }

    /// A rule acted on a workload.
    fn acted(&mut self, rule: &Rule, workload: u64, settings: &BreakerSettings) -> Act {
        if settings.young.is_zero() || rule.id == CANARY_RULE {
            return Act::Fine;
        }
        let now = Timestamp::now();
        let limit = settings.limit(self.live);
        let workloads = self.acted.entry(rule.id.clone()).or_default();
        if workloads.len() <= limit {
            workloads.insert(workload);
        }
        let count = workloads.len();
        if count <= limit {
            return Act::Fine;
        }
        if let Some(trip) = self.ages.trip_now(rule, count, now, settings.young) {
            return Act::Trip(trip);
        }
        if self.alarmed.len() < MOST_ALARMS && self.alarmed.insert(rule.id.clone()) {
            return Act::Alarm(count);
        }
        Act::Fine
    }

    fn reset(&mut self, rule: &Rule) -> bool {
        self.acted.remove(&rule.id);
        self.ages.reset(rule)
    }
}

/// All that can be tripped: the rules of a table, but for the canary's, and the guard that goes by none.
fn rules(table: &CommandTable) -> impl Iterator<Item = &Rule> {
    let operators = table.rules().iter();
    operators
        .filter(|rule| rule.id != CANARY_RULE)
        .chain([&*RANDOMX])
}

/// What stands for the guard `randomx`, which goes by no rules.
pub(crate) static RANDOMX: LazyLock<Rule> = LazyLock::new(|| Rule::new("randomx", "agent", 1));

fn told(result: Result<(), hayward_kernel::KernelError>) {
    if let Err(error) = result {
        tracing::error!("{error}");
    }
}

/// Where a rule stands in a table.
fn place(table: &CommandTable, id: &str) -> Option<u32> {
    let place = table.rules().iter().position(|rule| rule.id == id)?;
    u32::try_from(place).ok()
}

impl Pipeline {
    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts that a rule acted on a workload. Returns what is to be recorded: what was done, and why.
    pub(crate) fn count_act(
        &self,
        policy: &Policy,
        rule: &Rule,
        table: Option<&CommandTable>,
        workload: u64,
    ) -> Option<(Action, String)> {
        let settings = &policy.breaker;
        let mut breaker = self.breaker();
        match breaker.acted(rule, workload, settings) {
            Act::Fine => None,
            Act::Alarm(count) => {
                let detail = format!(
                    "it acted on {count} workloads, and goes on, since it is not new here or was put in force by hand"
                );
                Some((Action::Alarmed, detail))
            }
            Act::Trip(trip) => {
                if let (Some(kernel), Some(table)) = (&breaker.kernel, table)
                    && let Some(place) = place(table, &rule.id)
                {
                    let until = clock::to_boot_ns(trip.until);
                    told(kernel.trip(table.generation(), place, until));
                }
                let detail = format!(
                    "it is new here and acted on {} of {} workloads, so it only observes until {}; `hayward breaker reset {}` puts it in force",
                    trip.workloads,
                    breaker.live.max(trip.workloads),
                    trip.until.strftime("%Y-%m-%d %H:%M UTC"),
                    rule.id
                );
                Some((Action::Tripped, detail))
            }
        }
    }
}

/// Why a rule was not put in force.
#[derive(Debug, thiserror::Error)]
#[error("the breaker has tripped no rule called {0}: `hayward breaker` lists those that it has")]
pub struct NotTripped(String);

impl Agent {
    /// The rules that the breaker has tripped.
    pub fn trips(&self) -> Vec<TripReport> {
        let policy = self.policy();
        let Ok(table) = self.pipeline.tables.read().map(|it| it.current.clone()) else {
            return Vec::new();
        };
        let breaker = self.pipeline.breaker();
        let trips = rules(&table).filter_map(|rule| breaker.ages.trip(rule, policy.breaker.young));
        trips.collect()
    }

    /// Puts a tripped rule in force. It is not tripped again before it changes.
    pub fn reset_breaker(&self, id: &str, actor: Actor) -> Result<(), NotTripped> {
        let unknown = || NotTripped(id.to_owned());
        let tables = self.pipeline.tables.read();
        let table = tables.map(|it| it.current.clone()).map_err(|_| unknown())?;
        let rule = rules(&table)
            .find(|rule| rule.id == id)
            .ok_or_else(unknown)?;
        let mut breaker = self.pipeline.breaker();
        if !breaker.reset(rule) {
            return Err(unknown());
        }
        if let (Some(kernel), Some(place)) = (&breaker.kernel, place(&table, id)) {
            told(kernel.reset(table.generation(), place));
        }
        drop(breaker);
        let mut record = Self::new_record(Action::BreakerReset);
        record.rule = Some(id.to_owned());
        record.actor = Some(actor);
        self.pipeline.recorder.record(&record);
        Ok(())
    }

    /// What operators should know of tripped rules.
    pub(crate) fn trip_problems(&self) -> Vec<String> {
        let trips = self.trips().into_iter();
        let problem = |trip: TripReport| {
            format!(
                "the rule {0} only observes until {1}: it is new here and acted on {2} workloads; look at `hayward events --rule {0}`, then correct it, or put it in force with `hayward breaker reset {0}`",
                trip.rule,
                trip.until.strftime("%Y-%m-%d %H:%M UTC"),
                trip.workloads
            )
        };
        trips.map(problem).collect()
    }
}

/// How long a rule only observes: until it is no longer young.
fn until(since: Timestamp, young: Duration) -> Timestamp {
    since.checked_add(young).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BreakerSettings {
        BreakerSettings {
            young: Duration::from_secs(3600),
            workloads: 10,
            share_percent: 33,
        }
    }

    fn rule(id: &str) -> Rule {
        Rule {
            banned: vec![id.as_bytes().to_vec()],
            ..Rule::new(id, "a test", 1)
        }
    }

    fn breaker(folder: &Path, rules: &[Rule]) -> Breaker {
        let (mut breaker, problem) = Breaker::open(folder);
        assert_eq!(problem, None);
        let table = CommandTable::compile(rules.to_vec(), 1, |_| 0).expect("a table");
        breaker.prepare(&table, &settings());
        breaker
    }

    #[test]
    fn a_young_rule_trips_on_many_workloads_and_one_workload_adds_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (wide, other) = (rule("wide"), rule("other"));
        let mut breaker = breaker(folder.path(), &[wide.clone(), other.clone()]);
        for _ in 0..1_000 {
            assert_eq!(breaker.acted(&other, 1, &settings()), Act::Fine);
        }
        for workload in 0..10 {
            assert_eq!(breaker.acted(&wide, workload, &settings()), Act::Fine);
        }
        assert_eq!(breaker.acted(&wide, 3, &settings()), Act::Fine);
        let act = breaker.acted(&wide, 10, &settings());
        assert!(
            matches!(&act, Act::Trip(trip) if trip.workloads == 11),
            "{act:?}"
        );
        assert!(breaker.is_tripped(&wide, &settings()));
        assert!(!breaker.is_tripped(&other, &settings()));
        // As it is after a restart, until somebody changes it or resets it.
        let mut next = self::breaker(folder.path(), &[wide.clone(), other.clone()]);
        assert!(next.is_tripped(&wide, &settings()));
        assert!(next.reset(&wide) && !next.reset(&other));
        assert!(!next.is_tripped(&wide, &settings()));
        for workload in 0..100 {
            let act = next.acted(&wide, workload, &settings());
            assert!(matches!(act, Act::Fine | Act::Alarm(_)), "{act:?}");
        }
    }

    #[test]
    fn where_there_are_many_workloads_it_takes_a_share_of_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let wide = rule("wide");
        let mut breaker = breaker(folder.path(), std::slice::from_ref(&wide));
        breaker.set_live(300);
        for workload in 0..99 {
            assert_eq!(breaker.acted(&wide, workload, &settings()), Act::Fine);
        }
        assert!(matches!(
            breaker.acted(&wide, 99, &settings()),
            Act::Trip(_)
        ));
    }

    #[test]
    fn an_established_rule_only_alarms_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = rule("old");
        let mut breaker = breaker(folder.path(), std::slice::from_ref(&old));
        let settings = BreakerSettings {
            // As long as a test takes: it is in force for longer at once.
            young: Duration::from_nanos(1),
            ..settings()
        };
        for workload in 0..10 {
            assert_eq!(breaker.acted(&old, workload, &settings), Act::Fine);
        }
        assert_eq!(breaker.acted(&old, 10, &settings), Act::Alarm(11));
        assert_eq!(breaker.acted(&old, 11, &settings), Act::Fine);
        assert!(!breaker.is_tripped(&old, &settings));
    }
}
