//! How often each workload was found to do what is not allowed, within a window.

use std::{
    collections::{HashMap, VecDeque},
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use hayward_model::{Action, Actor, Mode, Outcome, Record, Strike, Workload};
use hayward_policy::{Policy, Step, StrikeSettings};
use hayward_respond::Judged;
use hayward_rules::{Rule, table::CommandTable};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    agent::Agent,
    answers::Answer,
    clock,
    pipeline::Pipeline,
    scope,
    veil::Veil,
    workloads::{FindError, standing, whole},
};

/// Workloads that are remembered. Where there are more, the one that was found least lately is forgotten.
const MOST_WORKLOADS: usize = 16_384;
/// Findings remembered of one workload where settings ask for no more: so many are shown.
const MOST_SHOWN: usize = 100;

/// Findings by workload.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    workloads: HashMap<u64, VecDeque<Timestamp>>,
}

/// A workload with strikes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StrikesReport {
    /// Which one.
    pub workload: Workload,
    /// How many count now.
    pub strikes: u32,
    /// When the last one was.
    pub last: Timestamp,
    /// What comes next, and at how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Step>,
}

impl Strikes {
    /// Counts a finding about the workload of a cgroup.
    pub(crate) fn strike(
        &mut self,
        cgroup_id: u64,
        at: Timestamp,
        settings: &StrikeSettings,
    ) -> Strike {
        if !self.workloads.contains_key(&cgroup_id) && self.workloads.len() >= MOST_WORKLOADS {
            let oldest = self.workloads.iter().min_by_key(|(_, times)| times.back());
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.workloads.remove(&oldest);
            }
        }
        let times = self.workloads.entry(cgroup_id).or_default();
        forget_old(times, at, settings.window);
        times.push_back(at);
        let asked_for = settings.steps.last().map_or(0, |step| step.after as usize);
        while times.len() > asked_for.max(MOST_SHOWN) {
            times.pop_front();
        }
        Strike {
            cgroup_id,
            number: u32::try_from(times.len()).unwrap_or(u32::MAX),
        }
    }

    /// Takes over what an earlier agent recorded, oldest first.
    pub(crate) fn restore(
        &mut self,
        records: impl Iterator<Item = Record>,
        settings: &StrikeSettings,
    ) {
        for record in records {
            if let Some(strike) = record.strike {
                self.strike(strike.cgroup_id, record.time, settings);
            } else if record.action == Action::Forgiven
                && let Some(workload) = record.workload
            {
                self.workloads.remove(&workload.cgroup_id);
            }
        }
    }

    /// Forgets the strikes of a workload. Returns how many counted.
    fn forgive(&mut self, cgroup_id: u64, now: Timestamp, window: Duration) -> u32 {
        let mut times = self.workloads.remove(&cgroup_id).unwrap_or_default();
        forget_old(&mut times, now, window);
        u32::try_from(times.len()).unwrap_or(u32::MAX)
    }

    /// Those that count: cgroup, how many, and the last.
    fn all(&mut self, now: Timestamp, window: Duration) -> Vec<(u64, u32, Timestamp)> {
        self.workloads.retain(|_, times| {
            forget_old(times, now, window);
            !times.is_empty()
        });
        let all = self.workloads.iter().filter_map(|(id, times)| {
            let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
            Some((*id, count, *times.back()?))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(_, count, last)| std::cmp::Reverse((*count, *last)));
        all
    }
}

fn forget_old(times: &mut VecDeque<Timestamp>, now: Timestamp, window: Duration) {
    let age = |at: &Timestamp| Duration::try_from(now.duration_since(*at)).unwrap_or_default();
    while times.front().is_some_and(|at| age(at) >= window) {
        times.pop_front();
    }
}

/// What a finding that was enforced leads to.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) strike: Option<Strike>,
    /// What is to be done to the workload.
    pub(crate) answer: Option<Answer>,
    /// What the breaker says of the rule.
    pub(crate) breaker: Option<(Action, String)>,
}

impl Pipeline {
    pub(crate) fn strikes(&self) -> MutexGuard<'_, Strikes> {
        self.strikes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was enforced against its whole workload, and says what is to be done to that, if anything is.
    pub(crate) fn count_against(
        &self,
        policy: &Policy,
        outcome: &Outcome,
        workload: Option<&Workload>,
        by: Option<(&Rule, Option<&CommandTable>)>,
    ) -> Counted {
        let verdict = &outcome.verdict;
        let finding = &verdict.finding;
        let counts = [
            Action::Killed,
            Action::Denied,
            Action::Missed,
            Action::Answered,
        ]
        .contains(&outcome.action);
        let path = workload.map(|workload| workload.cgroup.as_str());
        let Some(path) = path.filter(|path| !path.is_empty() && counts) else {
            return Counted::default();
        };
        // What is quarantined goes on trying, and was answered already.
        if verdict.mode != Mode::Enforce || finding.evidence.quarantined {
            return Counted::default();
        }
        let rules = policy.scope_rules();
        let standing =
            |path: &str| standing(policy, path, scope::decide(rules, &self.names, path).policy);
        let whole = whole(standing, path);
        let id = if whole == path {
            Some(finding.cgroup_id)
        } else {
            self.cgroups.lock().ok().and_then(|it| it.id_of(whole))
        };
        // It has gone, and nothing can be done to it.
        let Some(id) = id else {
            return Counted::default();
        };
        let breaker = by.and_then(|(rule, table)| self.count_act(policy, rule, table, id));
        let at = clock::timestamp(finding.boot_ns);
        let strike = self.strikes().strike(id, at, &policy.strikes);
        let by_strikes = policy.strikes.response(strike.number);
        let by_verdict = Some(verdict.response).filter(|response| response.is_workloads());
        let answer = by_strikes.max(by_verdict).map(|response| Answer {
            response,
            cgroup_id: id,
            path: whole.to_owned(),
            judged: Judged {
                pid: finding.process.pid,
                start_boot_ns: finding.process.start_boot_ns,
            },
            workload: None,
            cause: String::new(),
            guard: Some(finding.guard),
            rule: None,
            strikes: (by_strikes > by_verdict).then_some(strike.number),
            veil: Veil::default(),
        });
        Counted {
            strike: Some(strike),
            answer,
            breaker,
        }
    }
}

impl Agent {
    /// The workloads with strikes, those with most first.
    pub fn strikes(&self) -> Vec<StrikesReport> {
        let settings = self.policy().strikes.clone();
        let all = self
            .pipeline
            .strikes()
            .all(Timestamp::now(), settings.window);
        let reports = all.into_iter().filter_map(|(id, strikes, last)| {
            let path = self.pipeline.cgroups.lock().ok()?.path_of(id)?;
            let next = settings.steps.iter().find(|step| step.after > strikes);
            Some(StrikesReport {
                workload: self.named(id, &path),
                strikes,
                last,
                next: next.copied(),
            })
        });
        reports.collect()
    }

    /// Forgets the strikes of a workload, and says how many there were.
    pub fn forgive(&self, text: &str, actor: Actor) -> Result<u32, FindError> {
        let workload = self.find_workload(text)?;
        let window = self.policy().strikes.window;
        let forgiven =
            self.pipeline
                .strikes()
                .forgive(workload.cgroup_id, Timestamp::now(), window);
        let detail = format!("{forgiven} strikes");
        self.record_act_on(Action::Forgiven, None, Some(actor), Some(workload), detail);
        Ok(forgiven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_model::Response;

    fn settings() -> StrikeSettings {
        let step = Step {
            after: 3,
            response: Response::Freeze,
        };
        StrikeSettings {
            window: Duration::from_secs(600),
            steps: vec![step],
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    #[test]
    fn findings_count_for_as_long_as_the_window_and_against_their_own_workload() {
        let (mut strikes, settings) = (Strikes::default(), settings());
        let mut number = |id, second| strikes.strike(id, at(second), &settings).number;
        assert_eq!([number(1, 0), number(1, 1), number(2, 2)], [1, 2, 1]);
        assert_eq!(number(1, 599), 3);
        // Those of the seconds 0 and 1 are over.
        assert_eq!(number(1, 601), 2);
        assert_eq!(strikes.all(at(601), settings.window)[0], (1, 2, at(601)));
        assert_eq!(strikes.forgive(1, at(602), settings.window), 2);
        assert_eq!(strikes.strike(1, at(603), &settings).number, 1);
        assert_eq!(strikes.all(at(5_000), settings.window), []);
    }

    #[test]
    fn memory_is_bounded_however_many_workloads_and_findings_there_are() {
        let (mut strikes, settings) = (Strikes::default(), settings());
        for second in 0..500 {
            strikes.strike(7, at(second), &settings);
        }
        assert_eq!(strikes.workloads[&7].len(), MOST_SHOWN);
        for id in 100..100 + MOST_WORKLOADS as u64 {
            strikes.strike(id, at(500 + id as i64), &settings);
        }
        assert_eq!(strikes.workloads.len(), MOST_WORKLOADS);
        assert!(!strikes.workloads.contains_key(&7), "the least lately");
    }
}
