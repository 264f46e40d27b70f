//! Whom this host has called: the other ends of TCP connections that are open in this network, as the kernel lists them
//! (sock_diag(7)).
//!
//! Only those count that this host opened, which are those whose port here has nobody who listens. A connection to a web server
//! of this host tells nothing of whoever keeps it open: a scanner would make itself safe by one.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use rustix::net::netlink::SOCK_DIAG;

use crate::netlink::{MOST_READS, Message, Netlink, Received, messages};

/// How often is looked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
/// More are not spared: each has a place in the kernel's map.
const MOST_PEERS: usize = 4_096;

/// Numbers of linux/sock_diag.h, linux/socket.h, linux/in.h and net/tcp_states.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_ESTABLISHED: u32 = 1;
const TCP_LISTEN: u32 = 10;
/// Bytes of `struct inet_diag_sockid`, with which a request ends; no bit of a cookie that nobody knows is 0.
const SOCKET_ID: usize = 48;
/// Where in `struct inet_diag_msg` stand the port here, and the other end's address.
const FAMILY: usize = 0;
const LOCAL_PORT: usize = 4;
const PEER: usize = 24;

/// What is known of connections.
#[derive(Default)]
pub(crate) struct Peers {
    /// Ports on which somebody listens, or has since the agent started: a server that has ended leaves connections behind, and
    /// they were opened by others all the same.
    listening: Ports,
}

impl Peers {
    /// Lists whom this host has called.
    pub(crate) fn look(&mut self) -> io::Result<BTreeSet<IpAddr>> {
        self.look_for_listeners()?;
        let mut called = BTreeSet::new();
        for family in [AF_INET, AF_INET6] {
            list(family, TCP_ESTABLISHED, |socket| {
                if called.len() < MOST_PEERS && self.is_called(&socket) {
                    called.insert(socket);
                }
            })?;
        }
        // Somebody may have begun to listen meanwhile, and been called.
        self.look_for_listeners()?;
        let called = called.into_iter().filter(|socket| self.is_called(socket));
        Ok(called.map(|socket| socket.peer).collect())
    }

    fn look_for_listeners(&mut self) -> io::Result<()> {
        for family in [AF_INET, AF_INET6] {
            list(family, TCP_LISTEN, |socket| self.listening.add(socket.port))?;
        }
        Ok(())
    }

    fn is_called(&self, socket: &Socket) -> bool {
        !socket.peer.is_loopback() && !self.listening.has(socket.port)
    }
}

/// A bit for each port.
struct Ports(Vec<u64>);

impl Default for Ports {
    fn default() -> Self {
        Self(vec![0; 1 << 10])
    }
}

impl Ports {
    fn add(&mut self, port: u16) {
        self.0[usize::from(port >> 6)] |= 1 << (port & 63);
    }

    fn has(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] & (1 << (port & 63)) != 0
    }
}

/// A socket: its port here, and the other end.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    port: u16,
    peer: IpAddr,
}

/// Hands over all sockets of TCP in a state.
fn list(family: u8, state: u32, mut take: impl FnMut(Socket)) -> io::Result<()> {
    let mut netlink = Netlink::open(Some(SOCK_DIAG), 0)?;
    netlink.ask(SOCK_DIAG_BY_FAMILY, &request(family, 1 << state))?;
    for _ in 0..MOST_READS {
        let bytes = match netlink.wait()? {
            Received::Some(bytes) => bytes,
            Received::Nothing => continue,
            Received::Lost => return Err(io::ErrorKind::Interrupted.into()),
        };
        for message in messages(bytes) {
            match message? {
                Message::Done => return Ok(()),
                Message::Of(SOCK_DIAG_BY_FAMILY, payload) => {
                    if let Some(socket) = socket(payload) {
                        take(socket);
                    }
                }
                Message::Of(..) => {}
            }
        }
    }
    // There are more connections than anybody can look at; those that were listed count.
    Ok(())
}

/// `struct inet_diag_req_v2`: family, protocol, no extensions, padding, states, and whose, which is everybody's.
fn request(family: u8, states: u32) -> Vec<u8> {
    let mut bytes = vec![family, IPPROTO_TCP, 0, 0];
    bytes.extend(states.to_ne_bytes());
    bytes.extend([0; SOCKET_ID]);
    bytes
}

fn socket(payload: &[u8]) -> Option<Socket> {
    let port = u16::from_be_bytes(*payload.get(LOCAL_PORT..)?.first_chunk()?);
    let peer = payload.get(PEER..)?;
    let peer = match *payload.get(FAMILY)? {
        AF_INET => IpAddr::from(Ipv4Addr::from(*peer.first_chunk::<4>()?)),
        AF_INET6 => IpAddr::from(Ipv6Addr::from(*peer.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(Socket {
        port,
        peer: peer.to_canonical(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// `struct inet_diag_msg`, as far as it is read.
    fn told(family: u8, port: u16, peer: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 72];
        bytes[FAMILY] = family;
        bytes[LOCAL_PORT..LOCAL_PORT + 2].copy_from_slice(&port.to_be_bytes());
        bytes[PEER..PEER + peer.len()].copy_from_slice(peer);
        bytes
    }

    #[test]
    fn sockets_of_both_families_are_read() {
        let read = |bytes: &[u8]| socket(bytes).map(|it| (it.port, it.peer.to_string()));
        let mapped = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped().octets();
        for (bytes, expected) in [
            (told(AF_INET, 40_000, &[192, 0, 2, 7]), "192.0.2.7"),
            (told(AF_INET6, 40_000, &mapped), "192.0.2.7"),
            (told(AF_INET6, 40_000, &[0x20, 1, 0xd, 0xb8]), "2001:db8::"),
        ] {
            assert_eq!(read(&bytes), Some((40_000, expected.to_owned())));
        }
        assert_eq!(read(&told(AF_INET6, 1, &[0; 16])[..39]), None);
        assert_eq!(read(&told(1, 1, &[])), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn whoever_called_a_server_of_this_host_is_not_spared_even_when_the_server_is_gone() {
        let mut peers = Peers::default();
        peers.listening.add(443);
        let socket = |port, peer: &str| Socket {
            port,
            peer: peer.parse().expect("an address"),
        };
        assert!(peers.is_called(&socket(40_000, "192.0.2.7")));
        assert!(!peers.is_called(&socket(443, "192.0.2.7")));
        assert!(!peers.is_called(&socket(40_000, "127.0.0.1")));
        assert!(!peers.is_called(&socket(40_000, "::1")));
    }

    /// Needs root, as the tests of the kernel side do.
    #[test]
    fn of_a_connection_within_a_network_only_the_end_that_listens_is_left_out() {
        let played = std::thread::spawn(|| {
            let here = Ipv4Addr::new(192, 0, 2, 9);
            hayward_kernel::enter_own_network(here)?;
            let listener = TcpListener::bind((here, 0))?;
            let mut peers = Peers::default();
            let before = peers.look()?;
            let opened = TcpStream::connect(listener.local_addr()?)?;
            let accepted = listener.accept()?;
            let called = peers.look()?;
            // That it listens no more does not make it one that this host opened.
            let port = listener.local_addr()?.port();
            drop((listener, opened));
            let socket = Socket {
                port,
                peer: here.into(),
            };
            let later = peers.look().map(|_| peers.is_called(&socket))?;
            drop(accepted);
            io::Result::Ok((before, called, later))
        });
        let (before, called, later) = match played.join().expect("no panic") {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
            played => played.expect("a network"),
        };
        assert!(before.is_empty());
        assert_eq!(called, BTreeSet::from([Ipv4Addr::new(192, 0, 2, 9).into()]));
        assert!(!later);
    }
}
