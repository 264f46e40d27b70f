//! Bans of the guard `inbound`: readers look, operators ban, lift and allow.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{
        ConnectInfo, DefaultBodyLimit, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{ApiError, aside};
use crate::{
    agent::Agent,
    inbound::ProofReport,
    ledger::{
        Allow, AllowReport, AllowRequest, BanRequest, BansReport, LedgerError, LiftReport,
        LiftRequest, ListedBan, WhyBanned,
    },
    peer::Peer,
};

/// A list of as many addresses as there may be bans, each as long as they get, has room in it.
const LARGEST_LIST: usize = 64 << 20;

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        let status = match error {
            LedgerError::Off => StatusCode::CONFLICT,
            LedgerError::Request(_)
            | LedgerError::Refused(_)
            | LedgerError::Full { .. }
            | LedgerError::TooManyAllowed { .. }
            | LedgerError::Ban { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            LedgerError::File(_) | LedgerError::Kernel(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

pub(super) fn routes() -> Router<Arc<Agent>> {
    let lists = post(ban).layer(DefaultBodyLimit::max(LARGEST_LIST));
    let lifts = post(lift).layer(DefaultBodyLimit::max(LARGEST_LIST));
    Router::new()
        .route("/v1/inbound/bans", lists.get(list))
        .route("/v1/inbound/bans/why", get(why))
        .route("/v1/inbound/bans/lift", lifts)
        .route("/v1/inbound/bans/flush", post(flush))
        .route(
            "/v1/inbound/allow",
            get(allowed).post(allow).delete(disallow),
        )
        .route("/v1/inbound/prove", post(prove))
}

async fn list(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<ListedBan>>, ApiError> {
    Ok(Json(aside(move || agent.inbound_bans()).await?))
}

/// Query of `GET /v1/inbound/bans/why`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhyQuery {
    address: String,
}

async fn why(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<WhyQuery>, QueryRejection>,
) -> Result<Json<WhyBanned>, ApiError> {
    let Query(query) = query?;
    let report = aside(move || agent.why_banned(&query.address)).await?;
    Ok(Json(report?))
}

async fn ban(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<BanRequest>, JsonRejection>,
) -> Result<Json<BansReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.ban_sources(&request, actor)).await?;
    Ok(Json(report?))
}

async fn lift(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<LiftRequest>, JsonRejection>,
) -> Result<Json<LiftReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.lift_bans(&request, actor)).await?;
    Ok(Json(report?))
}

/// How many bans were ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct FlushReport {
    /// So many.
    pub lifted: usize,
}

async fn flush(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<FlushReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let lifted = aside(move || agent.flush_bans(actor)).await??;
    Ok(Json(FlushReport { lifted }))
}

async fn allowed(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<Allow>>, ApiError> {
    Ok(Json(aside(move || agent.allowed_sources()).await?))
}

async fn allow(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<AllowRequest>, JsonRejection>,
) -> Result<Json<AllowReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.allow_sources(&request, actor)).await?;
    Ok(Json(report?))
}

async fn disallow(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<LiftRequest>, JsonRejection>,
) -> Result<Json<LiftReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.disallow_sources(&request, actor)).await?;
    Ok(Json(report?))
}

async fn prove(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<ProofReport>, ApiError> {
    peer.operator(&agent)?;
    let report = aside(move || agent.prove_interfaces()).await?;
    let failed = |error: hayward_kernel::KernelError| {
        ApiError(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    Ok(Json(report.map_err(failed)?))
}
