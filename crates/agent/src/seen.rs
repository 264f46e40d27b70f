//! What is known of running processes already, so that a scan does not record the same again.

use std::collections::{HashMap, VecDeque};

use hayward_model::{Action, Outcome};

use crate::process;

/// Processes remembered; the oldest goes first. Scans forget those that are gone.
const MOST_PROCESSES: usize = 16_384;
/// Findings remembered of one process. One that goes on changing its command line has more recorded.
const MOST_FINDINGS: usize = 32;

/// What was found, as far as it makes a record another one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    generation: u32,
    rule: Option<u32>,
    matched: Option<String>,
    action: Action,
}

/// Findings about one process.
#[derive(Debug, Default)]
struct Findings {
    start_boot_ns: u64,
    known: VecDeque<Known>,
}

/// Processes that were recorded and may still run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    processes: HashMap<u32, Findings>,
    order: VecDeque<u32>,
}

impl Seen {
    /// Remembers an outcome and says whether it was new. `matched` is the banned string that was found.
    pub(crate) fn is_new(&mut self, outcome: &Outcome, matched: Option<&str>) -> bool {
        let finding = &outcome.verdict.finding;
        let (pid, start_boot_ns) = (finding.process.pid, finding.process.start_boot_ns);
        let known = Known {
            generation: finding.generation,
            rule: finding.rule,
            matched: matched.map(str::to_owned),
            action: outcome.action,
        };
        let findings = self.processes.entry(pid).or_insert_with(|| {
            self.order.push_back(pid);
            Findings::default()
        });
        if !process::is_same(findings.start_boot_ns, start_boot_ns) {
            *findings = Findings {
                start_boot_ns,
                known: VecDeque::new(),
            };
        }
        // Rules of another generation are no longer judged by.
        findings.known.retain(|k| k.generation == known.generation);
        let is_new = !findings.known.contains(&known);
        if is_new {
            if findings.known.len() == MOST_FINDINGS {
                findings.known.pop_front();
            }
            findings.known.push_back(known);
        }
        if self.order.len() > MOST_PROCESSES
            && let Some(oldest) = self.order.pop_front()
        {
            self.processes.remove(&oldest);
        }
        is_new
    }

    /// Forgets every process that no longer runs.
    pub(crate) fn keep(&mut self, runs: impl Fn(u32) -> bool) {
        self.processes.retain(|pid, _| runs(*pid));
        self.order.retain(|pid| self.processes.contains_key(pid));
        self.processes.shrink_to(2 * self.order.len());
        self.order.shrink_to(2 * self.order.len());
    }
}

#[cfg(test)]
mod tests {
    use hayward_model::{Mode, Response, RunningEvent, Verdict};

    use super::*;

    fn outcome(pid: u32, start_boot_ns: u64, rule: u32, generation: u32) -> Outcome {
        let event = RunningEvent {
            boot_ns: 5,
            generation,
            pid,
            parent_pid: 1,
            start_boot_ns,
            uid: 0,
            cgroup_id: 1,
            rule,
            spared: false,
            observe: true,
            comm: String::new(),
            executable: Vec::new(),
            command_line: Vec::new(),
            match_end: 0,
        };
        Outcome {
            verdict: Verdict {
                finding: hayward_detect::running(event),
                mode: Mode::Observe,
                response: Response::Kill,
            },
            action: Action::Observed,
            error: None,
        }
    }

    #[test]
    fn once_for_each_process_rule_generation_and_string() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&outcome(7, 1_000, 1, 1), Some("a")));
        assert!(!seen.is_new(&outcome(7, 1_000, 1, 1), Some("a")));
        assert!(seen.is_new(&outcome(7, 1_000, 1, 1), Some("b")), "string");
        assert!(!seen.is_new(&outcome(7, 1_000, 1, 1), Some("a")), "still");
        assert!(seen.is_new(&outcome(7, 1_000, 2, 1), Some("a")), "rule");
        assert!(seen.is_new(&outcome(8, 1_000, 1, 1), Some("a")), "process");
        let another = 1_000 + 50_000_000;
        assert!(seen.is_new(&outcome(7, another, 1, 1), Some("a")), "pid");
        assert!(seen.is_new(&outcome(8, 1_000, 1, 2), Some("a")), "rules");
        let mut missed = outcome(8, 1_000, 1, 2);
        missed.action = Action::Missed;
        assert!(seen.is_new(&missed, Some("a")), "another outcome");
    }

    #[test]
    fn what_is_gone_is_forgotten_and_nothing_grows_for_ever() {
        let mut seen = Seen::default();
        for pid in 0..40_000 {
            seen.is_new(&outcome(pid, 1_000, 1, 1), None);
        }
        assert!(seen.processes.len() <= MOST_PROCESSES && seen.order.len() <= MOST_PROCESSES);
        for word in 0..1_000 {
            seen.is_new(&outcome(39_999, 1_000, 1, 1), Some(&word.to_string()));
        }
        assert_eq!(seen.processes[&39_999].known.len(), MOST_FINDINGS);
        seen.keep(|pid| pid >= 39_998);
        assert_eq!((seen.processes.len(), seen.order.len()), (2, 2));
        assert!(!seen.is_new(&outcome(39_998, 1_000, 1, 1), None));
        assert!(seen.is_new(&outcome(39_997, 1_000, 1, 1), None));
    }
}
