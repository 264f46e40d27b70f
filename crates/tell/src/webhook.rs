//! Posting to a server. What it answers is not read further than its status and headers.

use std::time::Duration;

use http_body_util::Full;
use hyper::{
    Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    failure::{Failure, retry_after},
    resolve,
};

/// Bytes and number of headers that a server may answer with.
const MOST_BYTES: usize = 16 << 10;
const MOST_HEADERS: usize = 100;

/// One try. `within` is the time that the caller gives it.
pub(crate) async fn post(
    url: &Uri,
    headers: &HeaderMap,
    body: Bytes,
    within: Duration,
) -> Result<(), Failure> {
    let stream = connect(url, within).await?;
    let told = |error: hyper::Error| Failure::passing(format!("no answer: {}", causes(&error)));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_BYTES)
        .max_headers(MOST_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(told)?;
    // Ends with this try.
    let mut connections = JoinSet::new();
    connections.spawn(async move {
        // What fails shows in the answer.
        let _ = connection.await;
    });
    let answer = sender.send_request(request(url, headers, body)?).await;
    let answer = answer.map_err(told)?;
    let status = answer.status();
    let reason = format!("it answered {status}");
    match status {
        _ if status.is_success() => Ok(()),
        _ if status.is_redirection() => Err(Failure::lasting(format!(
            "{reason}, and redirections are not followed"
        ))),
        _ if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
            let after = answer.headers().get(RETRY_AFTER);
            let after = after.and_then(|value| retry_after(value.as_bytes(), Timestamp::now()));
            Err(Failure::passing(reason).not_before(after))
        }
        _ => Err(Failure::lasting(reason)),
    }
}

fn request(url: &Uri, headers: &HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::post(path)
        .header(HOST, host)
        .body(Full::new(body))
        .map_err(|_| Failure::lasting("the request cannot be written"))?;
    let set = request.headers_mut();
    set.extend(headers.clone());
    set.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set.insert(CONNECTION, HeaderValue::from_static("close"));
    let agent = concat!("hayward/", env!("CARGO_PKG_VERSION"));
    set.insert(USER_AGENT, HeaderValue::from_static(agent));
    Ok(request)
}

/// To the first address that takes the connection: each has its part of the time.
async fn connect(url: &Uri, within: Duration) -> Result<TcpStream, Failure> {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().unwrap_or(80);
    let addresses = resolve::addresses(host).await?;
    let share = within / u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let mut failure = Failure::passing(format!("{host} has no address"));
    for address in addresses {
        failure = match timeout(share, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => Failure::passing(format!("cannot connect to {host}: {error}")),
            Err(_) => Failure::passing(format!("cannot connect to {host}: no answer")),
        };
    }
    Err(failure)
}

/// An error with what is behind it, which says more.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
