//! Talking to the agent over its socket.

use std::{ops::ControlFlow, path::Path};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Frame, Incoming},
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};

use crate::{failure::Failure, show};

/// Asks for a path and parses the answer.
pub(crate) fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, Failure> {
    Ok(serde_json::from_slice(&request(
        socket,
        Method::GET,
        path,
        Vec::new(),
    )?)?)
}

/// Asks for JSON lines.
pub(crate) fn get_lines<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<Vec<T>, Failure> {
    let mut lines = Vec::new();
    for_each_line(socket, path, |line| lines.push(line))?;
    Ok(lines)
}

/// Asks for JSON lines and hands over one after the other: there may be more than fit into memory.
pub(crate) fn for_each_line<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    mut take: impl FnMut(T),
) -> Result<(), Failure> {
    runtime()?.block_on(async {
        let read = read_lines(socket, path, |line| {
            if !line.is_empty() {
                take(serde_json::from_slice(line)?);
            }
            Ok(ControlFlow::Continue(()))
        });
        read.await.map(|_| ())
    })
}

/// Sends a body and parses the answer.
pub(crate) fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Failure> {
    let answer = request(socket, Method::POST, path, serde_json::to_vec(body)?)?;
    Ok(serde_json::from_slice(&answer)?)
}

/// The same with the method that removes.
pub(crate) fn delete<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, Failure> {
    let answer = request(socket, Method::DELETE, path, serde_json::to_vec(body)?)?;
    Ok(serde_json::from_slice(&answer)?)
}

/// Hands over lines of bytes as they come, until `line` says that it is enough. Fails when the agent ends the answer.
pub(crate) async fn follow(
    socket: &Path,
    path: &str,
    line: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    if read_lines(socket, path, line).await?.is_break() {
        return Ok(());
    }
    Err(Failure::NoAgent(format!(
        "the agent at {} has stopped",
        socket.display()
    )))
}

/// Hands over lines of bytes as they come, and says whether `line` broke off.
async fn read_lines(
    socket: &Path,
    path: &str,
    mut line: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Failure>,
) -> Result<ControlFlow<()>, Failure> {
    let mut body = respond(socket, Method::GET, path, Vec::new()).await?;
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map(Frame::into_data) else {
            break;
        };
        pending.extend_from_slice(&frame.unwrap_or_default());
        let mut rest = pending.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if line(&rest[..end])?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            rest = &rest[end + 1..];
        }
        pending = rest.to_vec();
    }
    Ok(ControlFlow::Continue(()))
}

fn request(socket: &Path, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    runtime()?.block_on(async {
        let body = respond(socket, method, path, body).await?;
        Ok(body.collect().await?.to_bytes().to_vec())
    })
}

/// What a client's connections run in.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The body of an answer that is no error.
async fn respond(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Incoming, Failure> {
    let stream = tokio::net::UnixStream::connect(socket)
        .await
        .map_err(|error| unreachable(socket, &error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "hayward")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body();
    if status.is_success() {
        return Ok(body);
    }
    let bytes = body.collect().await?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = answer["error"]
        .as_str()
        .map_or_else(|| status.to_string(), str::to_owned);
    let text = text.lines().map(show::printable).collect::<Vec<_>>();
    let text = text.join("\n");
    Err(match status {
        StatusCode::FORBIDDEN | StatusCode::NOT_IMPLEMENTED => Failure::Kernel(text),
        StatusCode::NOT_FOUND | StatusCode::CONFLICT => Failure::NotSo(text),
        StatusCode::UNPROCESSABLE_ENTITY => Failure::BadInput(text),
        _ => Failure::Other(anyhow::anyhow!(text)),
    })
}

fn unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    let place = socket.display();
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let uid = rustix::process::getuid().as_raw();
        return Failure::Kernel(format!(
            "uid {uid} may not use the agent's socket {place}: use sudo, or join the group that `api.readers` names"
        ));
    }
    Failure::NoAgent(format!(
        "no agent answers at {place}: {error}; is it running? --socket or $HAYWARD_SOCKET names another"
    ))
}

/// Percent-encoding of everything that a query does not hold as it is.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
