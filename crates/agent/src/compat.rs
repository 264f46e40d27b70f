//! What operators of cryptnono and scanblocker have dashboards and alerts on: their log lines and metrics, beside our own.

mod scanblocker;

use std::{
    io::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, http::header, response::IntoResponse};
use hayward_model::{Guard, Record};
use hayward_policy::Policy;
use hayward_record::compat::cryptnono::{
    self, BySource, Execwhacker, Flowkiller, Timing, log_line,
};
use jiff::Timestamp;

use crate::{agent::Agent, metrics};

pub(crate) use scanblocker::{Scanblocker, start as tell_contacts, tell_scan};

/// cryptnono's counters, as far as records tell them.
#[derive(Debug, Default)]
pub(crate) struct Cryptnono {
    execwhacker: Mutex<Execwhacker>,
    flowkiller: Mutex<Flowkiller>,
}

impl Cryptnono {
    /// Writes cryptnono's line for a record that it would have had one for, and counts it.
    pub(crate) fn record(&self, record: &Record) {
        let mut flows = lock(&self.flowkiller);
        let before = flows.log_and_kill.count;
        flows.count(record);
        if flows.log_and_kill.count > before {
            flows.log_and_kill.seconds += age(record);
        }
        drop(flows);
        let Some(line) = log_line(record) else { return };
        // Where cryptnono writes it, and by itself: whoever collects it finds what its alerts look for. Nobody may be
        // reading, which is no reason to stop.
        let _ = std::io::stdout()
            .lock()
            .write_all(format!("{line}\n").as_bytes());
        // The Monero detector has no metrics.
        if record.guard != Some(Guard::Command) {
            return;
        }
        let mut counters = lock(&self.execwhacker);
        counters.count(record);
        counters.log_and_kill.count += 1;
        counters.log_and_kill.seconds += age(record);
    }

    /// Everything that flowkiller counts.
    fn flowkiller(&self, agent: &Agent) -> Flowkiller {
        let mut counters = *lock(&self.flowkiller);
        let kernel = agent.with_kernel(|kernel| kernel.counters());
        counters.connects_checked = kernel.unwrap_or_default().outbound_contacts;
        counters
    }

    /// Everything that execwhacker counts: records tell what was done, the kernel and the scan what was looked at.
    fn execwhacker(&self, agent: &Agent) -> Execwhacker {
        let mut counters = *lock(&self.execwhacker);
        let kernel = agent.with_kernel(|kernel| kernel.counters());
        let kernel = kernel.unwrap_or_default();
        let scanned = agent.scan_cost.lock().map(|cost| cost.processes_ever);
        counters.checked = BySource {
            exec: kernel.checked,
            scan: scanned.unwrap_or(0),
        };
        let matched = kernel.killed + kernel.observed + kernel.spared;
        counters.allowed_without_match = BySource {
            exec: kernel.checked.saturating_sub(matched),
            scan: counters
                .checked
                .scan
                .saturating_sub(counters.killed.scan + counters.missed.scan),
        };
        #[expect(clippy::cast_precision_loss, reason = "a sum of seconds")]
        let seconds = kernel.timed_ns as f64 / 1e9;
        counters.kill_if_needed = Timing {
            count: kernel.timed,
            seconds,
        };
        counters
    }
}

/// Serves the metrics of those whose operators look for them, where settings say so.
pub(crate) async fn serve(agent: &Arc<Agent>, policy: &Policy) {
    if let (Some([execs, flows]), Some(counters)) = (policy.compat_cryptnono, &agent.cryptnono) {
        let key = "metrics.cryptnono";
        let commands = execwhacker(agent.clone(), counters.clone());
        let connects = flowkiller(agent.clone(), counters.clone());
        for (address, pages) in [(execs, commands), (flows, connects)] {
            metrics::serve(agent, address, key, pages, |report, address| {
                report.cryptnono.push(address);
            })
            .await;
        }
    }
    if let (Some(address), Some(counter)) = (policy.compat_scanblocker, &agent.scanblocker) {
        let pages = scanblocker::pages(counter.clone());
        let key = "metrics.scanblocker";
        metrics::serve(agent, address, key, pages, |report, address| {
            report.scanblocker = Some(address);
        })
        .await;
    }
}

/// execwhacker's metrics, on any path.
fn execwhacker(agent: Arc<Agent>, cryptnono: Arc<Cryptnono>) -> Router {
    Router::new().fallback(move || {
        let page = cryptnono::render_metrics(&cryptnono.execwhacker(&agent));
        async move { text(page) }
    })
}

/// flowkiller's metrics, on any path.
fn flowkiller(agent: Arc<Agent>, cryptnono: Arc<Cryptnono>) -> Router {
    Router::new().fallback(move || {
        let page = cryptnono::render_flow_metrics(&cryptnono.flowkiller(&agent));
        async move { text(page) }
    })
}

/// Seconds since what a record is about.
fn age(record: &Record) -> f64 {
    let age = Timestamp::now().duration_since(record.time);
    age.as_secs_f64().max(0.0)
}

fn lock<T>(counters: &Mutex<T>) -> MutexGuard<'_, T> {
    counters.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(page: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page)
}
