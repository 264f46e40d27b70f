//! Captures of a test's own making: packets as hosts send them, on all kinds of links, in all formats.

use std::net::{IpAddr, SocketAddr};

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// When the first packet was captured, in ns since 1970.
pub const BEGIN: u64 = 1_700_000_000_000_000_000;

/// What is captured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    Tagged,
    TaggedTwice,
    Raw,
    Null,
    Loop,
    Cooked,
    Cooked2,
}

impl Link {
    pub const ALL: [Self; 8] = [
        Self::Ethernet,
        Self::Tagged,
        Self::TaggedTwice,
        Self::Raw,
        Self::Null,
        Self::Loop,
        Self::Cooked,
        Self::Cooked2,
    ];

    fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Tagged | Self::TaggedTwice => 1,
            Self::Raw => 101,
            Self::Null => 0,
            Self::Loop => 108,
            Self::Cooked => 113,
            Self::Cooked2 => 276,
        }
    }

    fn frame(self, packet: &[u8]) -> Vec<u8> {
        let kind: [u8; 2] = if packet[0] >> 4 == 4 {
            [8, 0]
        } else {
            [0x86, 0xdd]
        };
        let before = match self {
            Self::Ethernet => [&[2; 12][..], &kind].concat(),
            Self::Tagged => [&[2; 12][..], &[0x81, 0, 0, 7], &kind].concat(),
            Self::TaggedTwice => {
                let tags = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 8];
                [&[2; 12][..], &tags, &kind].concat()
            }
            Self::Raw => Vec::new(),
            Self::Null => vec![2, 0, 0, 0],
            Self::Loop => vec![0, 0, 0, 2],
            Self::Cooked => [&[0; 14][..], &kind].concat(),
            Self::Cooked2 => [&kind[..], &[0; 18]].concat(),
        };
        // Short frames have something behind the packet.
        let filling = vec![0; 60_usize.saturating_sub(before.len() + packet.len())];
        [before, packet.to_vec(), filling].concat()
    }
}

/// What a file looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub link: Link,
    pub big: bool,
    pub pcapng: bool,
    /// Times in ns; else in µs.
    pub ns: bool,
    /// So much of each packet is kept.
    pub snap: usize,
}

pub const USUAL: Shape = Shape {
    link: Link::Ethernet,
    big: false,
    pcapng: false,
    ns: false,
    snap: 262_144,
};

/// Packets with their times.
#[derive(Debug, Default, Clone)]
pub struct Tape {
    pub packets: Vec<(u64, Vec<u8>)>,
    passed: u64,
}

impl Tape {
    pub fn new() -> Self {
        Self::default()
    }

    /// Time passes.
    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.passed += ms * 1_000_000;
        self
    }

    pub fn packet(&mut self, packet: Vec<u8>) -> &mut Self {
        self.packets.push((BEGIN + self.passed, packet));
        self.wait(1)
    }

    pub fn tcp(
        &mut self,
        from: &str,
        to: &str,
        flags: u8,
        sequence: u32,
        data: &[u8],
    ) -> &mut Self {
        let (from, to) = ends(from, to);
        let mut segment = ports(from, to);
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 1, 0x50, flags, 4, 0, 0, 0, 0, 0]);
        segment.extend(data);
        self.packet(ip(from.ip(), to.ip(), 6, &segment))
    }

    pub fn udp(&mut self, from: &str, to: &str, data: &[u8]) -> &mut Self {
        let (from, to) = ends(from, to);
        let length = u16::try_from(8 + data.len()).expect("it fits");
        let datagram = [&ports(from, to)[..], &length.to_be_bytes(), &[0, 0], data].concat();
        self.packet(ip(from.ip(), to.ip(), 17, &datagram))
    }

    pub fn icmp(&mut self, from: &str, to: &str, kind: u8) -> &mut Self {
        let message = [kind, 0, 0, 0, 0, 1, 0, 1];
        let (from, to): (IpAddr, IpAddr) = (from.parse().expect(from), to.parse().expect(to));
        let protocol = if from.is_ipv4() { 1 } else { 58 };
        self.packet(ip(from, to, protocol, &message))
    }

    /// A connection is made.
    pub fn open(&mut self, from: &str, to: &str) -> &mut Self {
        self.tcp(from, to, SYN, 100, b"")
            .tcp(to, from, SYN | ACK, 500, b"")
            .tcp(from, to, ACK, 101, b"")
    }

    /// A connection is refused.
    pub fn refuse(&mut self, from: &str, to: &str) -> &mut Self {
        self.tcp(from, to, SYN, 100, b"")
            .tcp(to, from, RST | ACK, 0, b"")
    }

    /// The file.
    pub fn file(&self, shape: Shape) -> Vec<u8> {
        if shape.pcapng {
            self.pcapng(shape)
        } else {
            self.pcap(shape)
        }
    }

    fn pcap(&self, shape: Shape) -> Vec<u8> {
        let u32 = |number| order32(shape.big, number);
        let magic = if shape.ns { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut file = u32(magic).to_vec();
        file.extend(order16(shape.big, 2));
        file.extend(order16(shape.big, 4));
        for number in [0, 0, 262_144, shape.link.number().into()] {
            file.extend(u32(number));
        }
        for (at, packet) in &self.packets {
            let frame = shape.link.frame(packet);
            let kept = &frame[..frame.len().min(shape.snap)];
            let unit = if shape.ns { 1 } else { 1000 };
            for number in [
                at / 1_000_000_000,
                at % 1_000_000_000 / unit,
                kept.len() as u64,
                frame.len() as u64,
            ] {
                file.extend(u32(u32::try_from(number).expect("it fits")));
            }
            file.extend(kept);
        }
        file
    }

    fn pcapng(&self, shape: Shape) -> Vec<u8> {
        let u32 = |number| order32(shape.big, number);
        let u16 = |number| order16(shape.big, number);
        let block = |kind: u32, body: &[u8]| {
            let padded = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
            let length = u32(size(&padded) + 12);
            [&u32(kind)[..], &length, &padded, &length].concat()
        };
        let section = [&u32(0x1a2b_3c4d)[..], &u16(1), &u16(0), &[255; 8]].concat();
        let mut file = block(0x0a0d_0d0a, &section);
        let resolution = if shape.ns { 9 } else { 6 };
        let options = [
            &u16(9)[..],
            &u16(1),
            &[resolution, 0, 0, 0],
            &u16(0),
            &u16(0),
        ]
        .concat();
        let interface = [&u16(shape.link.number())[..], &u16(0), &u32(0), &options].concat();
        file.extend(block(1, &interface));
        // Something that nobody needs to know.
        file.extend(block(5, &[7; 16]));
        for (at, packet) in &self.packets {
            let frame = shape.link.frame(packet);
            let kept = &frame[..frame.len().min(shape.snap)];
            let units = at / if shape.ns { 1 } else { 1000 };
            let (high, low) = ((units >> 32) as u32, (units & 0xffff_ffff) as u32);
            let mut body = Vec::new();
            for number in [0, high, low, size(kept), size(&frame)] {
                body.extend(u32(number));
            }
            body.extend(kept);
            file.extend(block(6, &body));
        }
        file
    }
}

/// An IP packet.
pub fn ip(from: IpAddr, to: IpAddr, protocol: u8, data: &[u8]) -> Vec<u8> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(20 + data.len()).expect("it fits");
            let length = length.to_be_bytes();
            let header = [
                0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0,
            ];
            [&header[..], &from.octets(), &to.octets(), data].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = u16::try_from(data.len()).expect("it fits").to_be_bytes();
            let header = [0x60, 0, 0, 0, length[0], length[1], protocol, 64];
            [&header[..], &from.octets(), &to.octets(), data].concat()
        }
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("it fits")
}

fn ends(from: &str, to: &str) -> (SocketAddr, SocketAddr) {
    (from.parse().expect(from), to.parse().expect(to))
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

fn order32(big: bool, number: u32) -> [u8; 4] {
    if big {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

fn order16(big: bool, number: u16) -> [u8; 2] {
    if big {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}
