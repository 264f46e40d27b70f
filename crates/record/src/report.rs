//! The report: what was stopped, or in observe mode would have been, by rule and workload. No runtime is asked yet, so
//! that records name neither images nor namespaces: the rows by image are then kinds of workload.

use std::collections::HashMap;

use hayward_model::{Action, Guard, Record, WorkloadKind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What stands for a namespace or workload that no record names.
const UNKNOWN: &str = "unknown";

/// Verdicts, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// All of them.
    pub total: Counts,
    /// By the rule's id.
    pub rules: Vec<Row>,
    /// By image; where no runtime told it, by kind of workload, such as `(unit)`.
    pub images: Vec<Row>,
    /// By Kubernetes namespace, for what has one.
    pub namespaces: Vec<Row>,
}

/// How often what was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Processes ended.
    pub killed: u64,
    /// Processes that `observe` spared: what enforcing would have stopped.
    pub observed: u64,
    /// Processes that an allow pattern spared.
    pub spared: u64,
    /// Processes that could not be ended.
    pub missed: u64,
    /// Sources of scans against this host that were banned.
    #[serde(default)]
    pub banned: u64,
}

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The rule, image or namespace.
    pub name: String,
    /// What was done.
    #[serde(flatten)]
    pub counts: Counts,
    /// The earliest.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
}

impl Counts {
    /// All of them together.
    pub const fn sum(&self) -> u64 {
        self.killed + self.observed + self.spared + self.missed + self.banned
    }

    fn of(action: Action) -> Option<Self> {
        let mut counts = Self::default();
        match action {
            Action::Killed => counts.killed = 1,
            Action::Observed => counts.observed = 1,
            Action::Spared => counts.spared = 1,
            Action::Missed => counts.missed = 1,
            Action::Banned => counts.banned = 1,
            _ => return None,
        }
        Some(counts)
    }

    const fn add(&mut self, other: Self) {
        self.killed += other.killed;
        self.observed += other.observed;
        self.spared += other.spared;
        self.missed += other.missed;
        self.banned += other.banned;
    }
}

/// A report in the making: it grows with the number of rules, images and namespaces, not with that of records.
#[derive(Debug, Default)]
pub struct Summary {
    total: Counts,
    rules: Table,
    images: Table,
    namespaces: Table,
}

impl Summary {
    /// Adds a record, where it is a verdict. The order of the records does not matter.
    pub fn add(&mut self, record: &Record) {
        let Some(counts) = Counts::of(record.action) else {
            return;
        };
        self.total.add(counts);
        let inbound = record.guard.filter(|guard| *guard == Guard::Inbound);
        let rule = record.rule.as_deref();
        let rule = rule.or(inbound.map(Guard::name)).unwrap_or(UNKNOWN);
        self.rules.add(rule, counts, record.time);
        // Who probes this host is no workload of it.
        if inbound.is_some() {
            return;
        }
        self.images.add(image(record), counts, record.time);
        let workload = record.workload.as_ref();
        if let Some(namespace) = workload.and_then(|workload| workload.namespace.as_deref()) {
            self.namespaces.add(namespace, counts, record.time);
        }
    }

    /// The sums. The rows with most come first.
    pub fn report(self) -> Report {
        Report {
            total: self.total,
            rules: self.rules.into_rows(),
            images: self.images.into_rows(),
            namespaces: self.namespaces.into_rows(),
        }
    }
}

fn image(record: &Record) -> &str {
    let Some(workload) = &record.workload else {
        return UNKNOWN;
    };
    workload.image.as_deref().unwrap_or(match workload.kind {
        WorkloadKind::Container => "(container)",
        WorkloadKind::Pod => "(pod)",
        WorkloadKind::Unit => "(unit)",
        WorkloadKind::User => "(user)",
        WorkloadKind::Cgroup => "(cgroup)",
    })
}

#[derive(Debug, Default)]
struct Table(HashMap<String, Row>);

impl Table {
    fn add(&mut self, name: &str, counts: Counts, time: Timestamp) {
        if let Some(row) = self.0.get_mut(name) {
            row.counts.add(counts);
            row.first = row.first.min(time);
            row.last = row.last.max(time);
        } else {
            let row = Row {
                name: name.to_owned(),
                counts,
                first: time,
                last: time,
            };
            self.0.insert(name.to_owned(), row);
        }
    }

    fn into_rows(self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.0.into_values().collect();
        rows.sort_by(|a, b| {
            b.counts
                .sum()
                .cmp(&a.counts.sum())
                .then_with(|| a.name.cmp(&b.name))
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;

    #[test]
    fn verdicts_are_summed_by_rule_image_and_namespace() {
        let with = |second, rule, action, image: Option<&str>| {
            let mut record = samples::killed(second, rule, "w");
            record.action = action;
            if let Some(workload) = &mut record.workload {
                workload.image = image.map(str::to_owned);
            }
            record
        };
        let mut summary = Summary::default();
        for record in [
            with(30, "b", Action::Observed, Some("i")),
            with(10, "b", Action::Killed, None),
            with(20, "b", Action::Spared, Some("i")),
            with(40, "a", Action::Missed, Some("i")),
            with(99, "a", Action::Started, Some("i")),
        ] {
            summary.add(&record);
        }
        let report = summary.report();
        let row = |name: &str, [killed, observed, spared, missed]: [u64; 4], first, last| Row {
            name: name.to_owned(),
            counts: Counts {
                killed,
                observed,
                spared,
                missed,
                banned: 0,
            },
            first: Timestamp::from_second(first).unwrap(),
            last: Timestamp::from_second(last).unwrap(),
        };
        assert_eq!(report.total.sum(), 4);
        assert_eq!(
            report.rules,
            [
                row("b", [1, 1, 1, 0], 10, 30),
                row("a", [0, 0, 0, 1], 40, 40)
            ]
        );
        assert_eq!(
            report.images,
            [
                row("i", [0, 1, 1, 1], 20, 40),
                row("(container)", [1, 0, 0, 0], 10, 10)
            ]
        );
        assert_eq!(report.namespaces, [row("binder", [1, 1, 1, 1], 10, 40)]);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    #[test]
    fn sources_of_scans_are_counted_by_their_guard_and_belong_to_no_image() {
        let mut summary = Summary::default();
        for action in [Action::Banned, Action::Banned, Action::Observed] {
            let mut record = samples::killed(1, "x", "w");
            (record.rule, record.process, record.workload) = (None, None, None);
            (record.guard, record.action) = (Some(Guard::Inbound), action);
            summary.add(&record);
        }
        let report = summary.report();
        let row = &report.rules[0];
        assert_eq!(row.name, "inbound");
        assert_eq!((row.counts.banned, row.counts.observed), (2, 1));
        assert_eq!(report.images, []);
    }
}
