//! Frames of those who get in touch with a host, and its answers to them.

pub mod host;

use std::net::IpAddr;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};

/// Addresses of documentation: no list of those who are never banned has them.
pub const HOST: &str = "198.51.100.1";
pub const HOST_6: &str = "2001:db8::1";

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;
pub const ECE: u8 = 64;
pub const CWR: u8 = 128;

/// From one address and port to another.
#[derive(Clone, Copy)]
pub struct Way {
    pub from: IpAddr,
    pub source_port: u16,
    pub to: IpAddr,
    pub port: u16,
}

pub fn way(from: &str, to: &str, port: u16) -> Way {
    Way {
        from: from.parse().expect("an address"),
        source_port: 40_000,
        to: to.parse().expect("an address"),
        port,
    }
}

impl Way {
    /// The same, back.
    pub fn back(self) -> Self {
        Self {
            from: self.to,
            source_port: self.port,
            to: self.from,
            port: self.source_port,
        }
    }

    fn ip(self) -> PacketBuilderStep<IpHeaders> {
        let ethernet = PacketBuilder::ethernet2([2; 6], [2; 6]);
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), 64),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), 64),
            _ => panic!("of one family"),
        }
    }

    /// A segment of TCP with these flags, and this sequence number.
    pub fn tcp_at(self, flags: u8, sequence: u32) -> Vec<u8> {
        let step = self.ip().tcp(self.source_port, self.port, sequence, 1_024);
        let mut frame = Vec::new();
        step.write(&mut frame, &[]).expect("it fits");
        let at = frame.len() - 20 + 13;
        frame[at] = flags;
        frame
    }

    pub fn tcp(self, flags: u8) -> Vec<u8> {
        // As that of no other, where it says nothing.
        self.tcp_at(flags, number_of(self))
    }

    pub fn udp(self) -> Vec<u8> {
        let mut frame = Vec::new();
        let step = self.ip().udp(self.source_port, self.port);
        step.write(&mut frame, b"hello").expect("it fits");
        frame
    }

    pub fn ping(self) -> Vec<u8> {
        self.icmp(8, 128)
    }

    pub fn pong(self) -> Vec<u8> {
        self.icmp(0, 129)
    }

    fn icmp(self, kind: u8, kind6: u8) -> Vec<u8> {
        let mut frame = Vec::new();
        let body = [1, 2, 3, 4, 0, 0, 0, 0];
        match self.from {
            IpAddr::V4(_) => self
                .ip()
                .icmpv4_raw(kind, 0, [0, 7, 0, 1])
                .write(&mut frame, &body),
            IpAddr::V6(_) => self
                .ip()
                .icmpv6_raw(kind6, 0, [0, 7, 0, 1])
                .write(&mut frame, &body),
        }
        .expect("it fits");
        frame
    }

    /// What the host says to a packet of UDP (its frame) to a port where nobody is.
    pub fn unreachable(self, udp: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let inner = &udp[14..];
        match self.to {
            IpAddr::V4(_) => self
                .back()
                .ip()
                .icmpv4_raw(3, 3, [0; 4])
                .write(&mut frame, inner),
            IpAddr::V6(_) => self
                .back()
                .ip()
                .icmpv6_raw(1, 4, [0; 4])
                .write(&mut frame, inner),
        }
        .expect("it fits");
        frame
    }
}

/// A number that differs by who sends to where.
fn number_of(way: Way) -> u32 {
    let text = format!("{} {}", way.from, way.port);
    text.bytes().fold(2_166_136_261_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(16_777_619)
    })
}
