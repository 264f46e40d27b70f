//! Bringing the metrics up to date with the kernel's counters, and serving them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use hayward_model::Guard;

use tokio::net::TcpListener;

use crate::{agent::Agent, status::MetricsReport};

/// How soon an address that was taken is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

impl Agent {
    /// Takes over the kernel's totals.
    pub(crate) fn refresh_metrics(&self) {
        let metrics = self.pipeline.recorder.metrics();
        for guard in Guard::ALL {
            metrics.set_status(guard, self.guard_status(guard).0);
        }
        let names = &self.pipeline.names;
        metrics.set_containers_known(names.known());
        metrics.set_records_nameless(names.nameless());
        metrics.set_answers_lost(self.pipeline.answers.lost());
        metrics.set_unanswered(hayward_workload::given_up());
        let guard = Guard::Command;
        if let Ok(tables) = self.pipeline.tables.read() {
            metrics.set_rules(
                guard,
                tables.count(),
                tables.current.generation(),
                tables.loaded,
            );
        }
        if let Ok(counters) = self.with_kernel(|kernel| kernel.counters()) {
            metrics.set_checked(guard, counters.checked);
            metrics.set_judge_time(guard, counters.timed_ns, counters.timed);
            metrics.set_events_lost(guard, "ring-full", counters.lost_ring_full);
            metrics.set_unscanned(guard, "too-long", counters.unscanned_long);
            metrics.set_unscanned(guard, "read-failed", counters.unscanned_read);
            metrics.set_no_table(guard, counters.no_table);
            metrics.set_scopes_full(counters.scopes_full);
            let guard = Guard::Randomx;
            metrics.set_checked(guard, counters.rounding_samples);
            metrics.set_events_lost(guard, "ring-full", counters.rounding_lost);
            metrics.set_events_lost(guard, "no-room", counters.rounding_no_room);
            let guard = Guard::Egress;
            metrics.set_checked(guard, counters.egress_checked);
            metrics.set_denied(guard, counters.egress_denied);
            metrics.set_events_lost(guard, "ring-full", counters.egress_lost);
            let guard = Guard::Outbound;
            metrics.set_checked(guard, counters.outbound_contacts);
            metrics.set_denied(guard, counters.outbound_denied);
            metrics.set_events_lost(guard, "ring-full", counters.outbound_lost);
            metrics.set_events_lost(guard, "no-room", counters.outbound_no_room);
            metrics.set_events_lost(guard, "log-ring-full", counters.outbound_log_lost);
            metrics.set_events_lost(guard, "log-unwritten", self.pipeline.contacts.unwritten());
            metrics.set_contacts_bytes(self.pipeline.contacts.bytes());
            let guard = Guard::Inbound;
            let unrecorded = self.pipeline.inbound.unrecorded();
            metrics.set_events_lost(guard, "unrecorded", unrecorded);
            metrics.set_checked(guard, counters.inbound_contacts);
            metrics.set_denied(guard, counters.inbound_dropped);
            metrics.set_events_lost(guard, "ring-full", counters.inbound_lost);
            metrics.set_events_lost(guard, "no-room", counters.inbound_no_room);
            metrics.set_events_lost(guard, "log-ring-full", counters.inbound_log_lost);
            metrics.set_sources_evicted(counters.inbound_evicted);
            let guard = Guard::Pool;
            metrics.set_checked(guard, counters.pool_checked);
            metrics.set_denied(guard, counters.pool_denied);
            metrics.set_events_lost(guard, "ring-full", counters.pool_lost);
            metrics.set_events_lost(guard, "no-room", counters.pool_no_room);
            let lists = self.ban_lists().unwrap_or_default().into_iter();
            metrics.set_banned(lists.map(|list| (list.name, list.refused)));
        }
        for (strength, origin, count) in self.pipeline.ledger.tally() {
            metrics.set_bans(strength, origin, count);
        }
        let undecodable = self
            .pipeline
            .undecodable
            .load(std::sync::atomic::Ordering::Relaxed);
        metrics.set_events_lost(guard, "undecodable", undecodable);
    }
}

/// Serves pages at an address, in the runtime that this is called in. An address that cannot be had keeps no guard from
/// its work: it is told in the log and in the status, and tried again until it can. `listening` gets the address with
/// its port.
pub(crate) async fn serve(
    agent: &Arc<Agent>,
    address: SocketAddr,
    key: &'static str,
    pages: Router,
    listening: fn(&mut MetricsReport, String),
) {
    let name = format!("{key} {address}");
    match TcpListener::bind(address).await {
        Ok(listener) => begin(agent, listener, pages, listening),
        Err(error) => {
            let problem = format!(
                "no metrics at {address}: {error}; set `{key}` to another address, or stop what uses it"
            );
            tracing::error!("{problem}");
            agent.not_listening().insert(name.clone(), problem);
            let agent = agent.clone();
            tokio::spawn(async move {
                let listener = loop {
                    tokio::time::sleep(TRY_AGAIN).await;
                    if let Ok(listener) = TcpListener::bind(address).await {
                        break listener;
                    }
                };
                tracing::info!("metrics are served at {address} now");
                agent.not_listening().remove(&name);
                begin(&agent, listener, pages, listening);
            });
        }
    }
}

fn begin(
    agent: &Agent,
    listener: TcpListener,
    pages: Router,
    listening: fn(&mut MetricsReport, String),
) {
    if let (Ok(address), Ok(mut report)) = (listener.local_addr(), agent.listening.lock()) {
        listening(&mut report, address.to_string());
    }
    tokio::spawn(async move { axum::serve(listener, pages).await });
}

/// `/metrics`, and nothing else.
pub(crate) fn router(agent: Arc<Agent>) -> Router {
    Router::new().route("/metrics", get(move || respond(agent.clone())))
}

async fn respond(agent: Arc<Agent>) -> impl IntoResponse {
    agent.refresh_metrics();
    let body = agent.pipeline.recorder.metrics().encode();
    (
        [(header::CONTENT_TYPE, hayward_record::metrics::CONTENT_TYPE)],
        body,
    )
}
