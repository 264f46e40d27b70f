//! The sockets that hosts would have had, by the packets that they sent and got.

use std::net::Ipv6Addr;

use hayward_kernel::{Headers, Packet, Socket, SocketKind};

use crate::recent::Recent;

/// How many are remembered: as many as contacts.
const MOST: usize = 65_536;
/// Of how many connections packets are held, how many of each, and how much of one: what is read of a direction lies in its
/// first 4 KiB.
const MOST_HOLDING: usize = 1_024;
const MOST_HELD: usize = 4;
const MOST_HELD_BYTES: usize = 8_192;

const TCP: u32 = 6;
const UDP: u32 = 17;
const UDPLITE: u32 = 136;
const ICMP: u32 = 1;
const ICMPV6: u32 = 58;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What ICMP asks: for an echo, the time, and in times long past for information and a mask.
const ICMP_QUESTIONS: [u8; 4] = [8, 13, 15, 17];
const ICMPV6_QUESTIONS: [u8; 1] = [128];

/// One end of a flow, and the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    own: (Ipv6Addr, u16),
    other: (Ipv6Addr, u16),
    protocol: u32,
}

impl Flow {
    pub(crate) fn of_sender(headers: &Headers) -> Self {
        let (source, target) = headers.ports.unwrap_or_default();
        Self {
            own: (headers.source, source),
            other: (headers.target, target),
            protocol: headers.protocol,
        }
    }

    pub(crate) fn of_receiver(headers: &Headers) -> Self {
        let flow = Self::of_sender(headers);
        Self {
            own: flow.other,
            other: flow.own,
            ..flow
        }
    }
}

/// A packet that came before its turn.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    length: u32,
}

impl Held {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            bytes: &self.bytes,
            length: self.length,
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Connections {
    sockets: Recent<Flow, Socket>,
    held: Recent<Flow, Vec<Held>>,
    /// How many there were.
    pub(crate) made: u64,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self {
            sockets: Recent::new(MOST),
            held: Recent::new(MOST_HOLDING),
            made: 0,
        }
    }

    pub(crate) fn forgotten(&self) -> u64 {
        self.sockets.forgotten
    }

    /// The socket by which a packet leaves; none where it is the system's own. What it was one of is the sender's flow.
    pub(crate) fn leaves(
        &mut self,
        flow: Flow,
        headers: &Headers,
        packet: &Packet<'_>,
    ) -> Option<&mut Socket> {
        let known = self.sockets.get(&flow).map(|socket| socket.kind);
        let kind = match headers.protocol {
            TCP => match headers.flags {
                Some(flags) if flags & (SYN | ACK) == SYN => {
                    // Another connection between the same ends, but where it is still the same one.
                    if known != Some(SocketKind::Connecting) {
                        self.forget(&flow);
                    }
                    SocketKind::Connecting
                }
                // Whoever has nobody to talk to answers so.
                Some(flags) if flags & RST != 0 => known?,
                // What belongs to no connection, nor begins one.
                Some(flags) if flags & ACK == 0 => known.unwrap_or(SocketKind::Raw),
                None => known.unwrap_or(SocketKind::Raw),
                Some(_) => known.unwrap_or(SocketKind::Connected),
            },
            UDP | UDPLITE => SocketKind::Datagram,
            ICMP | ICMPV6 => {
                asks(headers, packet).then_some(())?;
                SocketKind::Raw
            }
            _ => SocketKind::Raw,
        };
        Some(self.socket(flow, kind))
    }

    /// The socket for which a packet is; none where it is for nobody's.
    pub(crate) fn arrives(&mut self, flow: Flow, headers: &Headers) -> Option<&mut Socket> {
        let known = self.sockets.get(&flow).map(|socket| socket.kind);
        let kind = match headers.protocol {
            TCP => match (known, headers.flags?) {
                // Somebody connects to it.
                (Some(SocketKind::Connected), flags) if flags & (SYN | ACK) == SYN => {
                    self.forget(&flow);
                    SocketKind::Connected
                }
                (Some(kind), _) => kind,
                // An answer to nobody.
                (None, flags) if flags & RST != 0 || flags & (SYN | ACK) == SYN | ACK => {
                    return None;
                }
                // A probe.
                (None, flags) if flags & (SYN | ACK) == 0 || flags & (FIN | SYN) == FIN | SYN => {
                    return None;
                }
                (None, _) => SocketKind::Connected,
            },
            UDP | UDPLITE => SocketKind::Datagram,
            _ => SocketKind::Raw,
        };
        Some(self.socket(flow, kind))
    }

    /// Keeps a packet that is to come again.
    pub(crate) fn hold(&mut self, flow: Flow, packet: &Packet<'_>) {
        let kept = packet.bytes.len().min(MOST_HELD_BYTES);
        let held = Held {
            bytes: packet.bytes[..kept].to_vec(),
            length: packet.length,
        };
        match self.held.get(&flow) {
            Some(all) if all.len() < MOST_HELD => all.push(held),
            Some(_) => {}
            None => self.held.put(flow, vec![held]),
        }
    }

    /// Gives up what is held of a flow.
    pub(crate) fn take_held(&mut self, flow: &Flow) -> Vec<Held> {
        self.held.remove(flow).unwrap_or_default()
    }

    fn forget(&mut self, flow: &Flow) {
        self.sockets.remove(flow);
        self.held.remove(flow);
    }

    fn socket(&mut self, flow: Flow, kind: SocketKind) -> &mut Socket {
        if self.sockets.get(&flow).is_none() {
            self.sockets.put(flow, Socket::new(kind));
            self.made += 1;
        }
        let socket = self.sockets.get(&flow);
        socket.expect("it was put there just now")
    }
}

/// Whether a message of ICMP asks for something; all else is the system's own.
fn asks(headers: &Headers, packet: &Packet<'_>) -> bool {
    let at = usize::try_from(headers.transport).unwrap_or(usize::MAX);
    let kind = packet.bytes.get(at).filter(|_| at > 0);
    kind.is_some_and(|kind| match headers.protocol {
        ICMP => ICMP_QUESTIONS.contains(kind),
        _ => ICMPV6_QUESTIONS.contains(kind),
    })
}

/// Whether an arriving packet opens the connection that its socket waits for.
pub(crate) fn opens(headers: &Headers) -> bool {
    headers
        .flags
        .is_some_and(|flags| flags & (SYN | ACK | RST) == SYN | ACK)
}

/// Whether it is a later fragment, which has lost its ports.
pub(crate) fn is_later_fragment(headers: &Headers) -> bool {
    headers.transport == 0
}
