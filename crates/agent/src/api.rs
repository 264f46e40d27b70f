//! The local API: HTTP over a unix socket. Peer credentials decide: readers look, operators act.

mod inbound;

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{
        ConnectInfo, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hayward_kernel::KernelError;
use hayward_model::Guard;
use hayward_respond::ActError;
use hayward_tell::{TargetReport, TestReport};
use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::watch};

use crate::{
    AgentError,
    act::{ActReport, ActRequest, RequestError},
    agent::Agent,
    bans::BanReport,
    breaker::TripReport,
    compat,
    grants::{GrantError, GrantReport, GrantRequest},
    metrics,
    peer::{Peer, group_id},
    sightings,
    stream::{self, EventsQuery},
    strikes::StrikesReport,
    why::WhyReport,
    workloads::{FindError, WorkloadReport},
};

pub use inbound::FlushReport;

/// An answer that is an error, as `{"error": "..."}`.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) StatusCode, pub(crate) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

impl From<AgentError> for ApiError {
    fn from(error: AgentError) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let status = match &error {
            RequestError::Find(FindError::Unknown(_))
            | RequestError::Act(ActError::Gone { .. }) => StatusCode::NOT_FOUND,
            RequestError::Find(FindError::Ambiguous { .. }) => StatusCode::UNPROCESSABLE_ENTITY,
            RequestError::Act(ActError::Forbidden(_)) => StatusCode::FORBIDDEN,
            RequestError::Act(ActError::NotOurs { .. }) => StatusCode::CONFLICT,
            RequestError::Act(ActError::Impossible { .. }) => StatusCode::NOT_IMPLEMENTED,
            RequestError::Act(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        let status = match error {
            GrantError::Find(error) => return RequestError::from(error).into(),
            GrantError::Act(error) => return RequestError::from(error).into(),
            GrantError::Destination(_) | GrantError::Kernel(KernelError::TooManyNames { .. }) => {
                StatusCode::BAD_REQUEST
            }
            GrantError::Off => StatusCode::CONFLICT,
            GrantError::Kernel(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self(rejection.status(), rejection.body_text())
    }
}

/// Body of `POST /v1/off` and `POST /v1/on`. A misspelt key must not switch off for ever.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffRequest {
    /// One guard; none for all.
    pub guard: Option<Guard>,
    /// For how long; none until switched on.
    pub seconds: Option<u64>,
}

/// Body of `POST /v1/reload`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Only say what would change.
    pub dry_run: bool,
}

/// Body of `POST /v1/forget`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// A user id, or a workload's name.
    pub subject: String,
}

/// Serves the API, and the metrics where settings want them, until `stop` is true. The socket is taken before `ready`
/// is called.
pub fn serve(
    agent: &Arc<Agent>,
    ready: impl FnOnce(),
    mut stop: watch::Receiver<bool>,
) -> Result<(), AgentError> {
    let policy = agent.policy();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| AgentError::Thread { source })?;
    let socket = policy.api.socket.clone();
    let listen_error = |source| AgentError::Listen {
        address: socket.display().to_string(),
        key: "api.socket",
        source,
    };
    runtime.block_on(async {
        let api = listen(agent, &socket, &policy.api.readers).map_err(listen_error)?;
        if let Some(address) = policy.metrics_listen {
            let pages = metrics::router(agent.clone());
            metrics::serve(
                agent,
                address,
                "metrics.listen",
                pages,
                |report, address| {
                    report.listen = Some(address);
                },
            )
            .await;
        }
        compat::serve(agent, &policy).await;
        ready();
        let app = router(agent.clone()).into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(api, app);
        tokio::select! {
            result = server => result.map_err(listen_error),
            _ = stop.wait_for(|stop| *stop) => Ok(()),
        }
    })?;
    let _ = fs::remove_file(&socket);
    Ok(())
}

/// Listens on the socket; one that a dead agent left behind is replaced, one that answers is not.
fn listen(agent: &Agent, socket: &Path, readers: &str) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    if socket.exists() {
        fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    let given = group_id(readers)
        .map(|group| std::os::unix::fs::chown(socket, None, Some(group)))
        .transpose();
    let mode = match given {
        Ok(Some(())) => 0o660,
        Ok(None) => 0o600,
        Err(error) => {
            let problem = format!(
                "only root may use the socket: it cannot be given to the group {readers}: {error}"
            );
            tracing::warn!("{problem}");
            agent
                .not_listening()
                .insert("api.readers".to_owned(), problem);
            0o600
        }
    };
    fs::set_permissions(socket, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/rounding", get(rounding))
        .route("/v1/reload", post(reload))
        .route("/v1/off", post(off))
        .route("/v1/on", post(on))
        .route("/v1/forget", post(forget))
        .route("/v1/workloads", get(workloads))
        .route("/v1/act", post(act))
        .route("/v1/why", get(why))
        .route("/v1/strikes", get(strikes))
        .route("/v1/grants", get(grants).post(grant))
        .route("/v1/bans", get(ban_lists))
        .route("/v1/forgive", post(forgive))
        .route("/v1/breaker", get(trips))
        .route("/v1/breaker/reset", post(reset))
        .route("/v1/tell", get(told))
        .route("/v1/tell/test", post(test_tell))
        .merge(inbound::routes())
        .fallback(async || ApiError(StatusCode::NOT_FOUND, "there is no such path".to_owned()))
        .method_not_allowed_fallback(async || {
            let message = "this path has another method".to_owned();
            ApiError(StatusCode::METHOD_NOT_ALLOWED, message)
        })
        .with_state(agent)
}

async fn status(State(agent): State<Arc<Agent>>) -> impl IntoResponse {
    Json(agent.status())
}

async fn events(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let body = stream::records(&agent, query)
        .map_err(|error| ApiError(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(body.into_response())
}

async fn rounding(State(agent): State<Arc<Agent>>) -> Response {
    sightings::lines(agent.pipeline.sightings.subscribe()).into_response()
}

async fn reload(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ReloadRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    Ok(Json(agent.reload(request.dry_run, Some(actor))?))
}

async fn off(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<OffRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    agent.off(
        request.guard,
        request.seconds.map(Duration::from_secs),
        actor,
    )?;
    Ok(Json(agent.status()))
}

async fn on(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<OffRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    agent.on(request.guard, actor)?;
    Ok(Json(agent.status()))
}

async fn forget(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ForgetRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    if request.subject.is_empty() {
        let message = "name a user id or a workload".to_owned();
        return Err(ApiError(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    Ok(Json(agent.forget(&request.subject, actor)?))
}

async fn workloads(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<WorkloadReport>>, ApiError> {
    Ok(Json(aside(move || agent.workloads()).await?))
}

async fn strikes(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<StrikesReport>>, ApiError> {
    Ok(Json(aside(move || agent.strikes()).await?))
}

/// Body of `POST /v1/forgive`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgiveRequest {
    /// A workload's name or its beginning, a cgroup id, or a cgroup's path.
    pub workload: String,
}

async fn forgive(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ForgiveRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let forgiven = aside(move || agent.forgive(&request.workload, actor)).await?;
    let forgiven = forgiven.map_err(RequestError::from)?;
    Ok(Json(serde_json::json!({ "forgiven": forgiven })))
}

async fn trips(State(agent): State<Arc<Agent>>) -> Json<Vec<TripReport>> {
    Json(agent.trips())
}

/// Body of `POST /v1/breaker/reset`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {
    /// Id of a rule.
    pub rule: String,
}

async fn reset(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ResetRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    agent
        .reset_breaker(&request.rule, actor)
        .map_err(|error| ApiError(StatusCode::NOT_FOUND, error.to_string()))?;
    Ok(Json(serde_json::json!({ "rule": request.rule })))
}

async fn told(State(agent): State<Arc<Agent>>) -> Json<Vec<TargetReport>> {
    Json(agent.tell.report())
}

async fn test_tell(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Json<Vec<TestReport>>, ApiError> {
    peer.operator(&agent)?;
    Ok(Json(agent.tell.test().await))
}

async fn grants(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<GrantReport>>, ApiError> {
    let grants = aside(move || agent.grants()).await?;
    Ok(Json(grants.map_err(GrantError::from)?))
}

async fn ban_lists(State(agent): State<Arc<Agent>>) -> Result<Json<Vec<BanReport>>, ApiError> {
    let lists = aside(move || agent.ban_lists()).await?;
    Ok(Json(lists.map_err(GrantError::from)?))
}

async fn grant(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<GrantRequest>, JsonRejection>,
) -> Result<Json<GrantReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.grant(&request, actor)).await?;
    Ok(Json(report?))
}

/// Query of `GET /v1/why`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhyQuery {
    workload: String,
}

async fn why(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<WhyQuery>, QueryRejection>,
) -> Result<Json<WhyReport>, ApiError> {
    let Query(query) = query?;
    let report = aside(move || agent.why(&query.workload)).await?;
    Ok(Json(report.map_err(RequestError::from)?))
}

async fn act(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ActRequest>, JsonRejection>,
) -> Result<Json<ActReport>, ApiError> {
    let actor = peer.operator(&agent)?;
    let Json(request) = request?;
    let report = aside(move || agent.act(&request, actor)).await?;
    Ok(Json(report?))
}

/// Does what may wait for seconds, while others get their answers.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests;
