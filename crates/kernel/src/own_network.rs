//! A network of a thread's own, in which nobody is but itself: what is played there reaches nobody.

use std::{io, net::Ipv4Addr, os::fd::OwnedFd};

use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
    thread::{UnshareFlags, unshare_unsafe},
};

/// Numbers of linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h and linux/if.h.
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const NLM_F_REQUEST_ACK: u16 = 5;
const NLM_F_CREATE: u16 = 0x400;
const IFA_LOCAL: u16 = 2;
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
/// The device that every network begins with, by which it reaches itself.
const LOOPBACK: u32 = 1;
/// Bytes of `struct nlmsghdr`, behind which an answer has the error.
const MESSAGE_HEADER: usize = 16;

/// Moves this thread, and what it starts, into a network that has this address and leads nowhere.
pub fn enter_own_network(address: Ipv4Addr) -> io::Result<()> {
    // SAFETY: descriptors and memory stay what they are; of the network, only sockets that are made later know.
    #[expect(unsafe_code, reason = "other flags would share less than Rust expects")]
    unsafe {
        unshare_unsafe(UnshareFlags::NEWNET)?;
    }
    let flags = SocketFlags::CLOEXEC;
    // No protocol is NETLINK_ROUTE, whose number is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let mut link = vec![0; 4];
    for field in [LOOPBACK, IFF_UP, IFF_UP] {
        link.extend(field.to_ne_bytes());
    }
    ask(&socket, RTM_NEWLINK, 0, &link)?;
    let mut assigned = vec![AF_INET, 32, 0, 0];
    assigned.extend(LOOPBACK.to_ne_bytes());
    for field in [8, IFA_LOCAL] {
        assigned.extend(field.to_ne_bytes());
    }
    assigned.extend(address.octets());
    ask(&socket, RTM_NEWADDR, NLM_F_CREATE, &assigned)
}

/// One request, which the kernel carries out before it answers.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(MESSAGE_HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST_ACK | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    send(socket, &message, SendFlags::empty())?;
    let mut answer = [0; 256];
    let (bytes, _) = recv(socket, &mut answer, RecvFlags::empty())?;
    let error = answer
        .get(MESSAGE_HEADER..bytes)
        .and_then(|answer| answer.first_chunk())
        .map_or(-1, |error| i32::from_ne_bytes(*error));
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}
