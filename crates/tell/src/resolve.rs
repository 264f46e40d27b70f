//! From a host's name to its addresses, by /etc/hosts and the servers that /etc/resolv.conf names. The C library is linked
//! statically and cannot load what it would ask, and a resolver for all that there is takes a megabyte of the binary.

mod files;
mod wire;

use std::{
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::failure::Failure;
use files::Servers;
use wire::{Answer, Kind};

/// Addresses that are tried.
const MOST_ADDRESSES: usize = 4;
/// Bytes of an answer over UDP: no more are asked for.
const MOST_BYTES: usize = 512;

/// The addresses of a host, as an URL has it. Both files are read each time, since they change while hosts run.
pub(crate) async fn addresses(host: &str) -> Result<Vec<IpAddr>, Failure> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![address]);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let mut found = files::host(&name, &files::text("/etc/hosts"));
    if found.is_empty() && (name == "localhost" || name.ends_with(".localhost")) {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() {
        let servers = Servers::parse(&files::text("/etc/resolv.conf"));
        found = ask_servers(host, &servers).await?;
    }
    found.truncate(MOST_ADDRESSES);
    Ok(found)
}

/// The first of the names that a host may have here which has addresses, those of IPv4 first.
async fn ask_servers(host: &str, servers: &Servers) -> Result<Vec<IpAddr>, Failure> {
    let mut failure = Failure::passing(format!("there is no host {host}"));
    for name in servers.names(host) {
        let (first, second) = tokio::join!(
            ask(&name, Kind::Ipv4, servers),
            ask(&name, Kind::Ipv6, servers)
        );
        let reason = first.as_ref().err().or(second.as_ref().err()).cloned();
        let found: Vec<_> = [first, second].into_iter().flatten().flatten().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(reason) = reason {
            failure = Failure::passing(format!("the name {host} cannot be resolved: {reason}"));
        }
    }
    Err(failure)
}

/// Asks one server after the other, until one knows. A name that there is not has no addresses.
async fn ask(name: &str, kind: Kind, servers: &Servers) -> Result<Vec<IpAddr>, String> {
    let mut reason = String::new();
    for address in servers.in_turn() {
        // Nobody who cannot see the question may guess it.
        let [first, second, ..] = RandomState::new().hash_one(name).to_ne_bytes();
        let Some(query) = wire::query([first, second], name, kind) else {
            return Ok(Vec::new());
        };
        reason = match timeout(servers.timeout, exchange(address, &query, kind)).await {
            Ok(Ok(Answer::Addresses(addresses))) => return Ok(addresses),
            Ok(Ok(Answer::NoSuchName)) => return Ok(Vec::new()),
            Ok(Ok(Answer::Failed(code))) => format!("{} fails with code {code}", address.ip()),
            Ok(Ok(Answer::Truncated)) => format!("{} answers in part", address.ip()),
            Ok(Err(error)) => format!("{}: {error}", address.ip()),
            Err(_) => format!("no answer from {}", address.ip()),
        };
    }
    Err(reason)
}

/// Over UDP, and where that has no room for the answer, over TCP.
async fn exchange(server: SocketAddr, query: &[u8], kind: Kind) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut reply = [0; MOST_BYTES];
    let answer = loop {
        let length = socket.recv(&mut reply).await?;
        // What answers another question is left alone.
        if let Some(answer) = wire::answer(query, &reply[..length], kind) {
            break answer;
        }
    };
    if !matches!(answer, Answer::Truncated) {
        return Ok(answer);
    }
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_u16(length).await?;
    stream.write_all(query).await?;
    let mut reply = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut reply).await?;
    let answer = wire::answer(query, &reply, kind);
    answer.ok_or_else(|| io::Error::other("this is no answer"))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, UdpSocket},
        thread,
    };

    use super::*;

    /// The query as an answer with these flags and records.
    fn reply(query: &[u8], flags: [u8; 2], count: u8, records: &[u8]) -> Vec<u8> {
        let header = [
            query[0], query[1], flags[0], flags[1], 0, 1, 0, count, 0, 0, 0, 0,
        ];
        [&header, &query[12..], records].concat()
    }

    #[test]
    fn what_has_no_room_is_asked_for_over_tcp_and_strangers_are_not_heard() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = tcp.local_addr().expect("an address");
        let udp = UdpSocket::bind(server).expect("the same port");
        let serving = thread::spawn(move || {
            let mut query = [0; 512];
            let (length, from) = udp.recv_from(&mut query).expect("a question");
            let mut other = reply(&query[..length], [0x81, 0x83], 0, &[]);
            other[0] ^= 1;
            udp.send_to(&other, from).expect("another's answer");
            let cut = reply(&query[..length], [0x83, 0x80], 0, &[]);
            udp.send_to(&cut, from).expect("a part");
            let (mut stream, _) = tcp.accept().expect("a connection");
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a length");
            let mut query = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut query).expect("a question");
            let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 2, 3];
            let whole = reply(&query, [0x81, 0x80], 1, &record);
            let length = u16::try_from(whole.len()).expect("short").to_be_bytes();
            stream
                .write_all(&[&length, whole.as_slice()].concat())
                .expect("an answer");
        });
        let query = wire::query([1, 2], "hooks.example", Kind::Ipv4).expect("a name");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let answer = runtime.block_on(exchange(server, &query, Kind::Ipv4));
        let found = Answer::Addresses(vec![Ipv4Addr::new(10, 1, 2, 3).into()]);
        assert_eq!(answer.expect("an answer"), found);
        serving.join().expect("no panic");
    }

    #[test]
    fn addresses_need_nobody() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        for (host, expected) in [("[::1]", "::1"), ("192.0.2.7", "192.0.2.7")] {
            let found = runtime.block_on(addresses(host)).expect("an address");
            assert_eq!(found, [expected.parse::<IpAddr>().expect("one")]);
        }
    }
}
