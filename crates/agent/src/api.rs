//! The local API: HTTP over a unix socket. Peer credentials decide: readers look, operators (root) act.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{
        ConnectInfo, Query, State,
        connect_info::Connected,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use hayward_model::{Actor, Guard};
use hayward_record::journal::{Order, Query as JournalQuery};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::watch};

use crate::{AgentError, agent::Agent, compat, metrics, status::MetricsReport};

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy)]
struct Peer {
    uid: u32,
    pid: u32,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred();
        // Whoever cannot be told is nobody.
        credentials.map_or(
            Self {
                uid: u32::MAX,
                pid: 0,
            },
            |credentials| Self {
                uid: credentials.uid(),
                pid: credentials
                    .pid()
                    .and_then(|pid| u32::try_from(pid).ok())
                    .unwrap_or(0),
            },
        )
    }
}

impl Peer {
    /// Only root acts. The group of readers is kept by the socket's own permissions.
    fn operator(self) -> Result<Actor, ApiError> {
        if self.uid == 0 {
            return Ok(Actor {
                uid: self.uid,
                pid: self.pid,
            });
        }
        let message = format!("uid {} may look and not act: use sudo", self.uid);
        Err(ApiError(StatusCode::FORBIDDEN, message))
    }
}

/// An answer that is an error, as `{"error": "..."}`.
#[derive(Debug)]
struct ApiError(StatusCode, String);

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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventsQuery {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    rule: Option<String>,
    workload: Option<String>,
    id: Option<String>,
    limit: Option<usize>,
    newest: bool,
}

/// Serves the API, and the metrics where settings want them, until `stop` is true. Both addresses are taken before
/// `ready` is called.
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
    let listener = policy
        .metrics_listen
        .map(|address| metrics::bind(address, "metrics.listen"))
        .transpose()?;
    let cryptnono = policy
        .compat_cryptnono
        .map(|addresses| addresses.map(|address| metrics::bind(address, "metrics.cryptnono")));
    let socket = policy.api.socket.clone();
    let listen_error = |source| AgentError::Listen {
        address: socket.display().to_string(),
        key: "api.socket",
        source,
    };
    runtime.block_on(async {
        let api = listen(&socket, &policy.api.readers).map_err(listen_error)?;
        let mut report = MetricsReport::default();
        if let Some(listener) = listener {
            let pages = metrics::router(agent.clone());
            report.listen = Some(metrics::serve(listener, pages)?);
        }
        if let (Some([execwhacker, flowkiller]), Some(counters)) = (cryptnono, &agent.cryptnono) {
            let pages = compat::execwhacker(agent.clone(), counters.clone());
            report.cryptnono = vec![
                metrics::serve(execwhacker?, pages)?,
                metrics::serve(flowkiller?, compat::flowkiller())?,
            ];
        }
        if let Ok(mut current) = agent.listening.lock() {
            *current = report;
        }
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
fn listen(socket: &Path, readers: &str) -> io::Result<UnixListener> {
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
    let mode = match group_id(readers) {
        Some(group) => {
            std::os::unix::fs::chown(socket, None, Some(group))?;
            0o660
        }
        None => 0o600,
    };
    fs::set_permissions(socket, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Looked up in the file itself: a static binary has no name service.
fn group_id(name: &str) -> Option<u32> {
    let text = fs::read_to_string("/etc/group").ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/reload", post(reload))
        .route("/v1/off", post(off))
        .route("/v1/on", post(on))
        .route("/v1/forget", post(forget))
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

/// Records as JSON lines.
async fn events(
    State(agent): State<Arc<Agent>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query?;
    let query = JournalQuery {
        since: query.since,
        until: query.until,
        rule: query.rule,
        workload: query.workload,
        id: query.id,
        limit: query.limit,
        order: if query.newest {
            Order::NewestFirst
        } else {
            Order::OldestFirst
        },
        ..JournalQuery::default()
    };
    let failed = |error: hayward_record::JournalError| {
        ApiError(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let records = agent
        .pipeline
        .recorder
        .journal()
        .reader()
        .query(query)
        .map_err(failed)?;
    let mut body = String::new();
    for record in records {
        let line = serde_json::to_string(&record.map_err(failed)?);
        body.push_str(&line.unwrap_or_default());
        body.push('\n');
    }
    Ok(Body::from(body).into_response())
}

async fn reload(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ReloadRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator()?;
    let Json(request) = request?;
    Ok(Json(agent.reload(request.dry_run, Some(actor))?))
}

async fn off(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<OffRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator()?;
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
    let actor = peer.operator()?;
    let Json(request) = request?;
    agent.on(request.guard, actor)?;
    Ok(Json(agent.status()))
}

async fn forget(
    State(agent): State<Arc<Agent>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<ForgetRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let actor = peer.operator()?;
    let Json(request) = request?;
    let removed = agent.forget(&request.subject, actor)?;
    Ok(Json(serde_json::json!({ "removed": removed })))
}

#[cfg(test)]
mod tests;
