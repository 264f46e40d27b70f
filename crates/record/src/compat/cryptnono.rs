//! Cryptnono's metrics and log lines, so that dashboards and alerts made for it go on working.

mod line;
mod monero;

use std::fmt::Write as _;

use hayward_model::{Action, Guard, Record};

/// Where cryptnono's execwhacker serves its metrics.
pub const EXECWHACKER_PORT: u16 = 12121;

/// Where cryptnono's flowkiller serves its metrics.
pub const FLOWKILLER_PORT: u16 = 12122;

const AT_EXEC: &str = "execwhacker.bpf";
const AT_SCAN: &str = "psutil.process_iter";

/// A count for processes seen when they start, and one for those found by the scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BySource {
    /// Seen at exec.
    pub exec: u64,
    /// Found running.
    pub scan: u64,
}

/// How often something was done and how long it took altogether.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timing {
    /// How often.
    pub count: u64,
    /// Seconds altogether.
    pub seconds: f64,
}

/// The counters of execwhacker.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Execwhacker {
    /// Processes judged.
    pub checked: BySource,
    /// Processes killed.
    pub killed: BySource,
    /// Processes that were gone before they could be killed.
    pub missed: BySource,
    /// Spared because the banned string is part of a longer word.
    pub allowed_as_substring: BySource,
    /// Spared by an allow pattern.
    pub allowed_by_pattern: BySource,
    /// Nothing matched.
    pub allowed_without_match: BySource,
    /// Errors that nobody foresaw.
    pub unexpected_errors: u64,
    /// Killing, with its log line.
    pub log_and_kill: Timing,
    /// Judging, and killing where needed.
    pub kill_if_needed: Timing,
}

/// The counters of flowkiller.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Flowkiller {
    /// Connections looked at.
    pub connects_checked: u64,
    /// Processes killed for a banned address, and for a scan.
    pub killed: ByReason,
    /// Processes that were gone before they could be killed.
    pub missed: ByReason,
    /// Killing, with its log line.
    pub log_and_kill: Timing,
}

/// A count for each reason to kill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByReason {
    /// The address is on a list.
    pub banned_ip: u64,
    /// Too many distinct destinations.
    pub scan: u64,
}

/// The log line that cryptnono would have written; none for what it has no line for, such as `observe`.
pub fn log_line(record: &Record) -> Option<String> {
    match record.guard? {
        Guard::Command | Guard::Outbound => line::line(record),
        Guard::Randomx => monero::line(record),
        Guard::Egress | Guard::Pool | Guard::Inbound => None,
    }
}

impl Execwhacker {
    /// Counts what a record says was done. What was checked comes from the kernel's own counters.
    pub fn count(&mut self, record: &Record) {
        if record.guard != Some(Guard::Command) || record.process.is_none() {
            return;
        }
        let counter = match record.action {
            Action::Killed => &mut self.killed,
            Action::Missed => &mut self.missed,
            Action::Spared => &mut self.allowed_by_pattern,
            _ => return,
        };
        if source(record) == AT_SCAN {
            counter.scan += 1;
        } else {
            counter.exec += 1;
        }
    }
}

impl Flowkiller {
    /// Counts what a record says was done: where cryptnono kills, a connection or a packet may have been refused here instead.
    pub fn count(&mut self, record: &Record) {
        let evidence = record.evidence.as_ref();
        let is_banned = evidence.is_some_and(|evidence| evidence.ban_list.is_some());
        let counts = match record.action {
            Action::Killed | Action::Denied => &mut self.killed,
            Action::Missed => &mut self.missed,
            _ => return,
        };
        match record.guard {
            Some(Guard::Outbound) => counts.scan += 1,
            Some(Guard::Egress) if is_banned => counts.banned_ip += 1,
            _ => return,
        }
        self.log_and_kill.count += 1;
    }
}

/// Execwhacker's metrics in Prometheus' text format.
pub fn render_metrics(counters: &Execwhacker) -> String {
    let mut page = Page::new("cryptnono_execwhacker_");
    for (name, help, counts) in [
        ("checked", "Processes judged", counters.checked),
        ("killed", "Processes killed", counters.killed),
        (
            "missed",
            "Processes gone before they could be killed",
            counters.missed,
        ),
    ] {
        page.counter(&format!("processes_{name}_total"), help);
        page.by_source("", counts);
    }
    page.counter("processes_allowed_total", "Processes left alone");
    for (reason, counts) in [
        ("is-substring", counters.allowed_as_substring),
        ("allowed-pattern", counters.allowed_by_pattern),
        ("no-match", counters.allowed_without_match),
    ] {
        page.by_source(&format!("allowedby=\"{reason}\","), counts);
    }
    page.counter("unexpected_errors_total", "Unforeseen errors");
    page.sample("", counters.unexpected_errors);
    page.summary(
        "log_and_kill_execution_seconds",
        "Time spent on killing",
        counters.log_and_kill,
    );
    page.summary(
        "kill_if_needed_execution_seconds",
        "Time spent on judging",
        counters.kill_if_needed,
    );
    page.text
}

/// Flowkiller's metrics in Prometheus' text format.
pub fn render_flow_metrics(counters: &Flowkiller) -> String {
    let mut page = Page::new("cryptnono_flowkiller_");
    page.counter("connects_checked_total", "Connections judged");
    page.sample("", counters.connects_checked);
    for (name, help, counts) in [
        ("killed", "Processes killed", counters.killed),
        (
            "missed",
            "Processes gone before they could be killed",
            counters.missed,
        ),
    ] {
        page.counter(&format!("processes_{name}_total"), help);
        page.sample("{reason=\"banned-ip\"}", counts.banned_ip);
        page.sample("{reason=\"scan\"}", counts.scan);
    }
    page.summary(
        "log_and_kill_execution_seconds",
        "Time spent on killing",
        counters.log_and_kill,
    );
    page.text
}

/// A page of metrics that share the beginning of their names.
struct Page {
    prefix: &'static str,
    /// The metric being written.
    name: String,
    text: String,
}

impl Page {
    const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            name: String::new(),
            text: String::new(),
        }
    }

    fn describe(&mut self, name: &str, help: &str, kind: &str) {
        self.name = format!("{}{name}", self.prefix);
        let name = &self.name;
        self.text += &format!("# HELP {name} {help}.\n# TYPE {name} {kind}\n");
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.describe(name, help, "counter");
    }

    fn sample(&mut self, labels: &str, value: u64) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }

    fn by_source(&mut self, labels: &str, counts: BySource) {
        self.sample(&format!("{{{labels}source=\"{AT_EXEC}\"}}"), counts.exec);
        self.sample(&format!("{{{labels}source=\"{AT_SCAN}\"}}"), counts.scan);
    }

    fn summary(&mut self, name: &str, help: &str, timing: Timing) {
        self.describe(name, help, "summary");
        let name = &self.name;
        self.text += &format!(
            "{name}_count {}\n{name}_sum {}\n",
            timing.count, timing.seconds
        );
    }
}

fn source(record: &Record) -> &'static str {
    let judged_at = record
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.judged_at.as_deref());
    if judged_at == Some("scan") {
        AT_SCAN
    } else {
        AT_EXEC
    }
}

#[cfg(test)]
mod tests;
