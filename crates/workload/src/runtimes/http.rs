//! HTTP over a runtime's socket, with limits on what it may answer.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Frame, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::{MOST_BYTES, Problem, Socket};
use crate::Owner;

/// Bytes of a user's runtime's answer: it may say what it likes, and there are many users.
const MOST_BYTES_OF_USERS: usize = 256 << 10;
/// Bytes of a line of events. One holds the labels of one container.
const LONGEST_LINE: usize = 256 << 10;
/// Bytes of an error's text that are told.
const LONGEST_ERROR: usize = 200;

/// An answer whose body was not read yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Incoming,
    pending: Vec<u8>,
    /// Whose containers the runtime has.
    pub(super) owner: Owner,
    /// Ends with the answer.
    _connection: JoinSet<()>,
}

/// Asks for a path, over a connection of its own.
pub(super) async fn get(socket: &Socket, path: &str) -> Result<Answer, Problem> {
    request(socket, Method::GET, path).await?.successful().await
}

/// The same with any method, and with an answer that may be an error.
pub(super) async fn request(
    socket: &Socket,
    method: Method,
    path: &str,
) -> Result<Answer, Problem> {
    let (stream, owner) = socket.connect().await?;
    let told = |error: hyper::Error| format!("this is no HTTP: {}", causes(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let mut connections = JoinSet::new();
    connections.spawn(async move {
        // What fails shows in the answer.
        let _ = connection.await;
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(told)?;
    Ok(Answer {
        status: response.status(),
        body: response.into_body(),
        pending: Vec::new(),
        owner,
        _connection: connections,
    })
}

impl Answer {
    /// An answer that is an error, as one.
    pub(super) async fn successful(self) -> Result<Self, Problem> {
        let status = self.status;
        if status.is_success() {
            return Ok(self);
        }
        let text = self.bytes().await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(LONGEST_ERROR)]);
        Err(format!("{status}: {}", text.trim()))
    }

    /// The whole body, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| format!("this is not as expected: {error}"))
    }

    async fn bytes(self) -> Result<Bytes, Problem> {
        let most = match self.owner {
            Owner::Host => MOST_BYTES,
            Owner::User(_) => MOST_BYTES_OF_USERS,
        };
        let body = Limited::new(self.body, most).collect().await;
        Ok(body.map_err(|error| causes(&*error))?.to_bytes())
    }

    /// The next line. May be dropped while it waits.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.pending, rest);
                line.truncate(end);
                return Ok(line);
            }
            if self.pending.len() > LONGEST_LINE {
                return Err(format!("a line of more than {LONGEST_LINE} bytes"));
            }
            let frame = self.body.frame().await.ok_or("the runtime has ended it")?;
            let frame = frame.map_err(|error| causes(&error))?;
            if let Ok(data) = Frame::into_data(frame) {
                self.pending.extend_from_slice(&data);
            }
        }
    }
}

/// An error with what is behind it, which says more.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
