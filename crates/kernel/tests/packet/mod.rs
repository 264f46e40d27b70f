//! Packets of every kind, whole, for tests that damage them.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

/// Between two hosts of documentation, `10.0.0.1` and `192.0.2.1`, or the same of IPv6.
pub const OWN: [u8; 4] = [10, 0, 0, 1];
pub const OTHER: [u8; 4] = [192, 0, 2, 1];
const OWN_6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const OTHER_6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const NOTHING: u8 = 59;
const DESTINATION: u8 = 60;
const SCTP: u8 = 132;

/// A header of Ethernet, and what it announces.
pub fn frame(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &kind.to_be_bytes(), packet].concat()
}

/// A packet of IPv4. Options are whole words.
pub fn ipv4(protocol: u8, fragment: u16, options: &[u8], data: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).expect("it fits");
    let length = u16::try_from(20 + options.len() + data.len()).expect("it fits");
    let (length, fragment) = (length.to_be_bytes(), fragment.to_be_bytes());
    let header = [
        0x40 | words,
        0,
        length[0],
        length[1],
        0,
        7,
        fragment[0],
        fragment[1],
        64,
        protocol,
        0,
        0,
    ];
    frame(0x0800, &[&header[..], &OWN, &OTHER, options, data].concat())
}

/// A packet of IPv6 with extensions, each with its number.
fn ipv6(extensions: &[(u8, &[u8])], protocol: u8, data: &[u8]) -> Vec<u8> {
    let mut chain = Vec::new();
    let mut nexts = extensions
        .iter()
        .map(|(number, _)| *number)
        .chain([protocol]);
    let first = nexts.next().expect("there is one");
    for ((_, body), next) in extensions.iter().zip(nexts) {
        chain.push(next);
        chain.extend(*body);
    }
    chain.extend(data);
    let length = u16::try_from(chain.len()).expect("it fits").to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], first, 64];
    frame(0x86dd, &[&header[..], &OWN_6, &OTHER_6, &chain].concat())
}

pub fn udp(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).expect("it fits");
    let fields = [from, to, length, 0].map(u16::to_be_bytes);
    [fields.as_flattened(), data].concat()
}

pub fn tcp(flags: u8, data: &[u8]) -> Vec<u8> {
    let ports = [4000_u16, 443].map(u16::to_be_bytes);
    let rest = [
        0, 0, 0, 9, 0, 0, 0, 1, 0x60, flags, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4,
    ];
    [ports.as_flattened(), &rest, data].concat()
}

/// A question for an address of a name, whose labels are these.
pub fn question(labels: &[u8]) -> Vec<u8> {
    let header = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], labels, &[0, 0, 1, 0, 1]].concat()
}

pub const JSON: &[u8] = br#"{"id":1,"method":"mining.subscribe","params":["x"]}"#;

/// Frames with packets of every kind.
pub fn frames() -> Vec<Vec<u8>> {
    let options: &[u8] = &[0, 0, 0, 0, 0, 0, 0];
    let authentication: &[u8] = &[1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1];
    let (first, later): (&[u8], &[u8]) = (&[0, 0, 1, 0, 0, 0, 7], &[0, 0, 0x19, 0, 0, 0, 7]);
    let echo = [8, 0, 0, 0, 0, 1, 0, 1];
    let hello = [22, 3, 1, 0, 9, 1, 0, 0, 5, 3, 3, 0, 0, 0];
    let datagram = udp(4000, 53, &question(b"\x04pool\x07example\x03org"));
    let loops = udp(4000, 53, &question(b"\x04pool\xc0\x0c"));
    let chain = [
        (0, options),
        (ROUTING, options),
        (DESTINATION, options),
        (AUTHENTICATION, authentication),
        (FRAGMENT, first),
    ];
    vec![
        ipv4(UDP, 0, b"", &datagram),
        ipv4(UDP, 0, b"", &loops),
        ipv4(UDP, 0, b"", &udp(4000, 443, b"")),
        ipv4(TCP, 0, b"", &tcp(2, b"")),
        ipv4(TCP, 0, &[1; 8], &tcp(0x18, JSON)),
        ipv4(TCP, 0, b"", &tcp(0x18, &hello)),
        ipv4(
            TCP,
            0,
            b"",
            &tcp(0x18, b"GET / HTTP/1.1\r\nHost: pool.example.org\r\n\r\n"),
        ),
        ipv4(TCP, 0, b"", &tcp(4, b"")),
        ipv4(ICMP, 0, b"", &echo),
        ipv4(SCTP, 0, b"", &tcp(0, b"")),
        ipv4(47, 0, b"", &[0; 12]),
        ipv4(UDP, 0x2000, b"", &datagram),
        ipv4(UDP, 3, b"", &datagram),
        ipv4(NOTHING, 0, b"", b""),
        ipv6(&[], UDP, &datagram),
        ipv6(&[], TCP, &tcp(0x12, b"")),
        ipv6(&[], ICMPV6, &[128, 0, 0, 0, 0, 1, 0, 1]),
        ipv6(&chain, UDP, &datagram),
        ipv6(&[(FRAGMENT, later)], UDP, &datagram),
        ipv6(&[(DESTINATION, options); 8], TCP, &tcp(2, b"")),
        ipv6(&[(DESTINATION, options); 9], TCP, &tcp(2, b"")),
        ipv6(&[(0, options)], NOTHING, b""),
        frame(0x0806, &[0; 28]),
        frame(
            0x8100,
            &[&[0, 7, 8, 0][..], &ipv4(UDP, 0, b"", &datagram)[14..]].concat(),
        ),
        frame(0x0800, b""),
        ipv6(&[(0, options)], UDP, &datagram),
        ipv6(
            &[(AUTHENTICATION, authentication), (DESTINATION, options)],
            TCP,
            &tcp(2, b""),
        ),
    ]
}

/// The id of the cgroup that this process is in, which is that of whatever packets it has the kernel try.
pub fn own_cgroup() -> u64 {
    let groups = fs::read_to_string("/proc/self/cgroup").expect("/proc/self/cgroup");
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
    let mut mounts = mounts.lines().map(|line| line.split(' '));
    let root = mounts.find_map(|mut fields| {
        let root = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(root))
    });
    let path = root
        .expect("cgroup2")
        .join(own.expect("a cgroup").trim_start_matches('/'));
    fs::metadata(&path).expect("the cgroup").ino()
}
