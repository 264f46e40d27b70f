//! Talking to the agent over its socket.

use std::path::Path;

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};

use crate::failure::Failure;

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
    let body = request(socket, Method::GET, path, Vec::new())?;
    let lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| Ok(serde_json::from_slice(line)?))
        .collect()
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

fn request(socket: &Path, method: Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::connect(socket).await.map_err(|error| {
            let help = "is it running, and may you read the socket? --socket or $HAYWARD_SOCKET names another";
            Failure::NoAgent(format!("no agent answers at {}: {error}; {help}", socket.display()))
        })?;
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
        let bytes = response.into_body().collect().await?.to_bytes().to_vec();
        if status.is_success() {
            return Ok(bytes);
        }
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = answer["error"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        Err(if status.as_u16() == 422 { Failure::BadInput(text) } else { Failure::Other(anyhow::anyhow!(text)) })
    })
}
