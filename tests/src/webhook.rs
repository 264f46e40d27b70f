//! A server that takes what agents post, and answers as a test likes.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request.
#[derive(Debug)]
pub struct Posted {
    /// Its first line and its headers.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Posted {
    /// Its body, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A server on a port of its own.
#[derive(Debug)]
pub struct Webhook {
    /// Where it listens.
    pub address: SocketAddr,
    posted: Receiver<Posted>,
}

impl Webhook {
    /// Answers the request of this number, from 0, with these bytes; with none it holds the connection and says nothing.
    pub fn new(answer: impl FnMut(usize) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::on(listener, answer)
    }

    /// The same, on a port that there is already.
    pub fn on(
        listener: TcpListener,
        mut answer: impl FnMut(usize) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        let (sender, posted) = channel();
        thread::spawn(move || {
            let mut held = Vec::new();
            for (number, stream) in listener.incoming().enumerate() {
                let stream = stream.expect("a connection");
                let Some(request) = read(&stream) else {
                    continue;
                };
                if sender.send(request).is_err() {
                    return;
                }
                match answer(number) {
                    Some(bytes) => {
                        let _ = (&stream).write_all(&bytes);
                    }
                    None => held.push(stream),
                }
            }
        });
        Self { address, posted }
    }

    /// A server that accepts everything.
    pub fn accepting() -> Self {
        Self::new(|_| Some(status("204 No Content")))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook?key=secret", self.address)
    }

    /// The next request.
    pub fn next(&self) -> Posted {
        let posted = self.posted.recv_timeout(PATIENCE);
        posted.expect("a request")
    }

    /// The next request, where there is one by now.
    pub fn ready(&self) -> Option<Posted> {
        match self.posted.recv_timeout(Duration::ZERO) {
            Ok(posted) => Some(posted),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the server has ended"),
        }
    }
}

/// An answer without a body.
pub fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn read(stream: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    Some(Posted { head, body })
}
