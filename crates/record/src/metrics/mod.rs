//! The agent's Prometheus metrics: every one is described in `catalogue`, registered here and nowhere else.
//!
//! Labels are bounded: guards, actions, statuses and causes are fixed words, targets are what settings name, and of rules the
//! first 200 have their own series. Counters that the kernel keeps are set to the kernel's totals, so they go on across restarts of the agent.

mod bans;
mod catalogue;
mod text;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hayward_model::{Evidence, Guard, GuardStatus, Record};
use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::Cause;

use bans::{OfBan, OfOutput};
use catalogue::Description;
pub use catalogue::reference;

/// The `Content-Type` of what [`Metrics::encode`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// So many rules have a series of their own; the others are counted together as [`OTHER_RULES`].
pub const RULE_SERIES: usize = 200;

/// The `rule` label of all rules past the first [`RULE_SERIES`] that were seen.
pub const OTHER_RULES: &str = "other";

type Seconds = Counter<f64, AtomicU64>;
type Ratio = Gauge<f64, AtomicU64>;

/// Bounds of [`Metrics::observe_decision`], in seconds.
const DECISION_BOUNDS: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfGuard {
    guard: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStatus {
    guard: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAction {
    guard: &'static str,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRule {
    guard: &'static str,
    rule: String,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCause {
    guard: &'static str,
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLoss {
    cause: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfList {
    list: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTarget {
    target: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: String,
    revision: String,
}

/// Every metric of the agent. Shared by reference; all methods may be called from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    status: Family<OfStatus, Gauge>,
    checked: Family<OfGuard, Counter>,
    denied: Family<OfGuard, Counter>,
    banned: Family<OfList, Counter>,
    bans: Family<OfBan, Gauge>,
    firewall_failures: Family<OfOutput, Counter>,
    sources_evicted: Counter,
    judged: Family<OfGuard, Counter>,
    judge_seconds: Family<OfGuard, Seconds>,
    verdicts: Family<OfAction, Counter>,
    rule_verdicts: Family<OfRule, Counter>,
    answers: Family<OfAction, Counter>,
    answers_lost: Counter,
    unanswered: Counter,
    told: Family<OfTarget, Counter>,
    lost: Family<OfCause, Counter>,
    unscanned: Family<OfCause, Counter>,
    no_table: Family<OfGuard, Counter>,
    scopes_full: Counter,
    rules: Family<OfGuard, Gauge>,
    rules_loaded: Family<OfGuard, Gauge>,
    rule_generation: Family<OfGuard, Gauge>,
    suspects: Family<OfGuard, Gauge>,
    nudges: Family<OfGuard, Counter>,
    attached: Family<OfGuard, Ratio>,
    decision: Family<OfGuard, Histogram, fn() -> Histogram>,
    containers_known: Gauge,
    records_nameless: Counter,
    contacts_bytes: Gauge,
    journal_bytes: Gauge,
    journal_errors: Family<OfLoss, Counter>,
    journal_records: Counter,
    rule_names: Mutex<HashSet<String>>,
}

impl Metrics {
    /// Metrics of a build: its version, and the revision of the source it was made from.
    pub fn new(version: &str, revision: &str) -> Self {
        let mut registry = Registry::default();
        let build = Family::<Build, Gauge>::default();
        build
            .get_or_create(&Build {
                version: version.to_owned(),
                revision: revision.to_owned(),
            })
            .set(1);
        register(&mut registry, &catalogue::BUILD, build);
        let journal_errors = Family::<OfLoss, Counter>::default();
        for cause in Cause::ALL {
            // There from the beginning, so that the first loss is an increase.
            let _ = journal_errors.get_or_create(&OfLoss {
                cause: cause.name(),
            });
        }
        Self {
            status: register(&mut registry, &catalogue::STATUS, Family::default()),
            checked: register(&mut registry, &catalogue::CHECKED, Family::default()),
            denied: register(&mut registry, &catalogue::DENIED, Family::default()),
            banned: register(&mut registry, &catalogue::BANNED, Family::default()),
            bans: register(&mut registry, &catalogue::BANS, bans::all()),
            firewall_failures: register(
                &mut registry,
                &catalogue::FIREWALL_FAILURES,
                Family::default(),
            ),
            sources_evicted: register(
                &mut registry,
                &catalogue::SOURCES_EVICTED,
                Counter::default(),
            ),
            judged: register(&mut registry, &catalogue::JUDGED, Family::default()),
            judge_seconds: register(&mut registry, &catalogue::JUDGE_SECONDS, Family::default()),
            verdicts: register(&mut registry, &catalogue::VERDICTS, Family::default()),
            rule_verdicts: register(&mut registry, &catalogue::RULE_VERDICTS, Family::default()),
            answers: register(&mut registry, &catalogue::ANSWERS, Family::default()),
            unanswered: register(&mut registry, &catalogue::UNANSWERED, Counter::default()),
            answers_lost: register(&mut registry, &catalogue::ANSWERS_LOST, Counter::default()),
            told: register(&mut registry, &catalogue::TOLD, Family::default()),
            lost: register(&mut registry, &catalogue::LOST, Family::default()),
            unscanned: register(&mut registry, &catalogue::UNSCANNED, Family::default()),
            no_table: register(&mut registry, &catalogue::NO_TABLE, Family::default()),
            scopes_full: register(&mut registry, &catalogue::SCOPES_FULL, Counter::default()),
            rules: register(&mut registry, &catalogue::RULES, Family::default()),
            rules_loaded: register(&mut registry, &catalogue::RULES_LOADED, Family::default()),
            rule_generation: register(
                &mut registry,
                &catalogue::RULE_GENERATION,
                Family::default(),
            ),
            suspects: register(&mut registry, &catalogue::SUSPECTS, Family::default()),
            nudges: register(&mut registry, &catalogue::NUDGES, Family::default()),
            attached: register(&mut registry, &catalogue::ATTACHED, Family::default()),
            decision: register(
                &mut registry,
                &catalogue::DECISION,
                Family::new_with_constructor(|| Histogram::new(DECISION_BOUNDS)),
            ),
            containers_known: register(
                &mut registry,
                &catalogue::CONTAINERS_KNOWN,
                Gauge::default(),
            ),
            records_nameless: register(
                &mut registry,
                &catalogue::RECORDS_NAMELESS,
                Counter::default(),
            ),
            contacts_bytes: register(&mut registry, &catalogue::CONTACTS_BYTES, Gauge::default()),
            journal_bytes: register(&mut registry, &catalogue::JOURNAL_BYTES, Gauge::default()),
            journal_errors: register(&mut registry, &catalogue::JOURNAL_ERRORS, journal_errors),
            journal_records: register(
                &mut registry,
                &catalogue::JOURNAL_RECORDS,
                Counter::default(),
            ),
            rule_names: Mutex::default(),
            registry,
        }
    }

    /// What a guard says of itself: 1 for its status, 0 for every other.
    pub fn set_status(&self, guard: Guard, status: GuardStatus) {
        for other in GuardStatus::ALL {
            let labels = OfStatus {
                guard: guard.name(),
                status: other.name(),
            };
            self.status
                .get_or_create(&labels)
                .set(i64::from(other == status));
        }
    }

    /// The kernel's total of what a guard looked at.
    pub fn set_checked(&self, guard: Guard, total: u64) {
        store(&self.checked, &of(guard), total);
    }

    /// The kernel's totals of judgements and of the time they took.
    pub fn set_judge_time(&self, guard: Guard, nanoseconds: u64, judgements: u64) {
        store(&self.judged, &of(guard), judgements);
        let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
        self.judge_seconds
            .get_or_create(&of(guard))
            .inner()
            .store(seconds.to_bits(), Ordering::Relaxed);
    }

    /// The kernel's total of events that did not reach the agent, by cause.
    pub fn set_events_lost(&self, guard: Guard, cause: &'static str, total: u64) {
        let guard = guard.name();
        store(&self.lost, &OfCause { guard, cause }, total);
    }

    /// How large the log of first contacts is.
    pub fn set_contacts_bytes(&self, bytes: u64) {
        self.contacts_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The kernel's total of what was refused.
    pub fn set_denied(&self, guard: Guard, total: u64) {
        store(&self.denied, &of(guard), total);
    }

    /// What each ban list has refused; no others are listed any more.
    pub fn set_banned(&self, lists: impl Iterator<Item = (String, u64)>) {
        self.banned.clear();
        for (list, total) in lists {
            store(&self.banned, &OfList { list }, total);
        }
    }

    /// The kernel's total of what it could not judge itself, by cause.
    pub fn set_unscanned(&self, guard: Guard, cause: &'static str, total: u64) {
        let guard = guard.name();
        store(&self.unscanned, &OfCause { guard, cause }, total);
    }

    /// The kernel's total of what went unjudged because there was no rule table.
    pub fn set_no_table(&self, guard: Guard, total: u64) {
        store(&self.no_table, &of(guard), total);
    }

    /// The kernel's total of cgroups that found no room in the map of scopes.
    pub fn set_scopes_full(&self, total: u64) {
        self.scopes_full.inner().store(total, Ordering::Relaxed);
    }

    /// How many containers' names are known.
    pub fn set_containers_known(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.containers_known.set(count);
    }

    /// The total of workloads that were to be answered and were not, since too many were at once.
    pub fn set_answers_lost(&self, total: u64) {
        self.answers_lost.inner().store(total, Ordering::Relaxed);
    }

    /// How many questions about processes were given up.
    pub fn set_unanswered(&self, total: u64) {
        self.unanswered.inner().store(total, Ordering::Relaxed);
    }

    /// The total of records without the name of their container.
    pub fn set_records_nameless(&self, total: u64) {
        self.records_nameless
            .inner()
            .store(total, Ordering::Relaxed);
    }

    /// How many are under suspicion now.
    pub fn set_suspects(&self, guard: Guard, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.suspects.get_or_create(&of(guard)).set(count);
    }

    /// Counts interruptions of busy processors.
    pub fn count_nudges(&self, guard: Guard, count: u64) {
        self.nudges.get_or_create(&of(guard)).inc_by(count);
    }

    /// The part of the time, up to 1, in which a guard's sensor is on its event.
    pub fn set_attached(&self, guard: Guard, share: f64) {
        self.attached.get_or_create(&of(guard)).set(share);
    }

    /// Counts a finding by the seconds from the first sight on which it rests.
    pub fn observe_decision(&self, guard: Guard, seconds: f64) {
        self.decision.get_or_create(&of(guard)).observe(seconds);
    }

    /// The rules in force: how many, of which generation, and when they were read.
    pub fn set_rules(&self, guard: Guard, count: usize, generation: u32, loaded: Timestamp) {
        let labels = of(guard);
        self.rules
            .get_or_create(&labels)
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        self.rule_generation
            .get_or_create(&labels)
            .set(i64::from(generation));
        self.rules_loaded
            .get_or_create(&labels)
            .set(loaded.as_second());
    }

    /// Counts a record's verdict. Acts on the agent itself are no verdicts.
    pub fn count(&self, record: &Record) {
        let Some(guard) = record.guard else {
            return;
        };
        let (guard, action) = (guard.name(), record.action.name());
        if record.cause.is_some() {
            self.answers
                .get_or_create(&OfAction { guard, action })
                .inc();
        }
        // Whoever probes this host from outside is no process of it.
        let inbound = |evidence: &Evidence| evidence.inbound.is_some();
        if record.process.is_none() && !record.evidence.as_ref().is_some_and(inbound) {
            return;
        }
        self.verdicts
            .get_or_create(&OfAction { guard, action })
            .inc();
        if let Some(rule) = &record.rule {
            let rule = self.rule_label(rule);
            self.rule_verdicts
                .get_or_create(&OfRule {
                    guard,
                    rule,
                    action,
                })
                .inc();
        }
    }

    /// Counts a record that was written to the journal.
    pub fn count_journal_record(&self) {
        self.journal_records.inc();
    }

    /// Counts a record that could not be written to the journal, by its cause.
    pub fn count_journal_error(&self, cause: &'static str) {
        self.journal_errors.get_or_create(&OfLoss { cause }).inc();
    }

    /// Counts records that a target of `tell` is told of, by what became of them.
    pub fn count_told(&self, target: &str, result: &'static str, by: u64) {
        let target = target.to_owned();
        self.told
            .get_or_create(&OfTarget { target, result })
            .inc_by(by);
    }

    /// Bytes that the journal holds on disk.
    pub fn set_journal_bytes(&self, bytes: u64) {
        self.journal_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// All metrics in Prometheus' text format, to be served as [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        text::encode(&self.registry)
    }

    fn rule_label(&self, rule: &str) -> String {
        let mut names = self
            .rule_names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if names.contains(rule) || names.len() < RULE_SERIES {
            names.insert(rule.to_owned());
            rule.to_owned()
        } else {
            OTHER_RULES.to_owned()
        }
    }
}

const fn of(guard: Guard) -> OfGuard {
    OfGuard {
        guard: guard.name(),
    }
}

fn store<Labels: Clone + Eq + std::hash::Hash>(
    family: &Family<Labels, Counter>,
    labels: &Labels,
    total: u64,
) {
    family
        .get_or_create(labels)
        .inner()
        .store(total, Ordering::Relaxed);
}

fn register<M: Metric + Clone>(registry: &mut Registry, description: &Description, metric: M) -> M {
    // The registry puts `_total` behind counters and a full stop behind the help itself.
    let name = description.name.trim_end_matches("_total");
    registry.register(name, description.help, metric.clone());
    metric
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::promtool;
