//! Bringing the metrics up to date with the kernel's counters, and serving them.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, http::header, response::IntoResponse, routing::get};
use hayward_model::Guard;

use crate::{AgentError, agent::Agent};

impl Agent {
    /// Takes over the kernel's totals.
    pub(crate) fn refresh_metrics(&self) {
        let metrics = self.pipeline.recorder.metrics();
        let guard = Guard::Command;
        metrics.set_status(guard, self.guard_status().0);
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
            metrics.set_judge_time(guard, counters.judge_ns, counters.checked);
            metrics.set_events_lost(guard, "ring-full", counters.lost_ring_full);
            metrics.set_unscanned(guard, "too-long", counters.unscanned_long);
            metrics.set_unscanned(guard, "read-failed", counters.unscanned_read);
            metrics.set_no_table(guard, counters.no_table);
            metrics.set_scopes_full(counters.scopes_full);
        }
        let undecodable = self
            .pipeline
            .undecodable
            .load(std::sync::atomic::Ordering::Relaxed);
        metrics.set_events_lost(guard, "undecodable", undecodable);
    }
}

/// Takes the address, so that a port that is in use is an error at the start; `key` is the setting that has it.
pub(crate) fn bind(
    address: SocketAddr,
    key: &'static str,
) -> Result<std::net::TcpListener, AgentError> {
    std::net::TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| AgentError::Listen {
            address: address.to_string(),
            key,
            source,
        })
}

/// Serves pages at an address that was taken, in the runtime that this is called in. Returns the address with its port.
pub(crate) fn serve(listener: std::net::TcpListener, pages: Router) -> Result<String, AgentError> {
    let failed = |source| AgentError::Thread { source };
    let address = listener.local_addr().map_err(failed)?.to_string();
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let server = axum::serve(listener, pages);
    tokio::spawn(async move { server.await });
    Ok(address)
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
