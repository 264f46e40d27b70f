//! Messages to and from the kernel by netlink(7): those that ask for a list, and those that come when something changes.

use std::{io, os::fd::OwnedFd, time::Duration};

use netlink_packet_core::{NetlinkBuffer, NlaBuffer, NlasIterator};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink,
        recv, send, socket_with, sockopt,
    },
};

/// How long one wait lasts, so that a stop is seen.
pub(crate) const WAIT: Duration = Duration::from_millis(200);
/// So often is waited for all of a list: the kernel tells some hundred things at a time.
pub(crate) const MOST_READS: usize = 1_000;
/// What the kernel tells at once is no more.
const BUFFER: usize = 1 << 16;

/// Numbers of linux/netlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
/// Bytes of `struct nlmsghdr` and `struct rtattr`.
pub(crate) const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// All that was asked for has been told.
    Done,
    /// Something of this kind.
    Of(u16, &'a [u8]),
}

/// What came of waiting.
pub(crate) enum Received<'a> {
    /// Messages.
    Some(&'a [u8]),
    /// None within the time.
    Nothing,
    /// Some were lost: what is known may be wrong, and is to be asked for again.
    Lost,
}

/// A socket of netlink.
pub(crate) struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens one of a protocol, none for that of routes and links, and has it told of what these groups (a bit each) are told of.
    pub(crate) fn open(protocol: Option<Protocol>, groups: u32) -> io::Result<Self> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let socket = socket_with(family, SocketType::RAW, flags, protocol)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(WAIT))?;
        bind(&socket, &netlink::SocketAddrNetlink::new(0, groups))?;
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
        })
    }

    /// Asks for a list.
    pub(crate) fn ask(&self, kind: u16, body: &[u8]) -> io::Result<()> {
        let mut request = vec![0; MESSAGE_HEADER];
        request.extend(body);
        let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
        let mut message = NetlinkBuffer::new(&mut request);
        message.set_length(length);
        message.set_message_type(kind);
        message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        send(&self.socket, &request, SendFlags::empty())?;
        Ok(())
    }

    /// Waits for messages for a while.
    pub(crate) fn wait(&mut self) -> io::Result<Received<'_>> {
        self.receive(RecvFlags::empty())
    }

    /// Takes messages that are there already.
    pub(crate) fn take(&mut self) -> io::Result<Received<'_>> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive(&mut self, flags: RecvFlags) -> io::Result<Received<'_>> {
        match recv(&self.socket, &mut self.buffer, flags) {
            Ok((length, _)) => {
                let length = length.min(self.buffer.len());
                Ok(Received::Some(&self.buffer[..length]))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
            Err(Errno::NOBUFS) => Ok(Received::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

/// The messages of one datagram; what cannot be read ends them.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<io::Result<Message<'_>>> {
    let mut all = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(bytes) {
        let (kind, length) = (message.message_type(), message.length() as usize);
        let payload = bytes.get(MESSAGE_HEADER..length).unwrap_or_default();
        all.push(match kind {
            NLMSG_DONE => Ok(Message::Done),
            NLMSG_ERROR => {
                let code = payload.first_chunk().copied();
                let code = code.map_or(0, i32::from_ne_bytes);
                Err(io::Error::from_raw_os_error(code.saturating_neg()))
            }
            kind => Ok(Message::Of(kind, payload)),
        });
        // Each begins at a multiple of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}

/// The value of an attribute.
pub(crate) fn attribute(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut all = NlasIterator::new(attributes).map_while(Result::ok);
    let found: NlaBuffer<&[u8]> = all.find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(found.length());
    found.into_inner().get(ATTRIBUTE_HEADER..length)
}

/// A text that ends with a zero, as the kernel has names.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// Messages made by hand, for tests of what reads them.
#[cfg(test)]
pub(crate) mod made {
    use netlink_packet_core::NetlinkBuffer;

    use super::{ATTRIBUTE_HEADER, MESSAGE_HEADER, NLMSG_DONE, NLMSG_ERROR};

    /// An attribute, padded to a multiple of four.
    pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).expect("short");
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    pub(crate) fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; MESSAGE_HEADER];
        bytes.extend(payload);
        let length = u32::try_from(bytes.len()).expect("short");
        let mut message = NetlinkBuffer::new(&mut bytes);
        message.set_length(length);
        message.set_message_type(kind);
        bytes
    }

    pub(crate) fn done() -> Vec<u8> {
        message(NLMSG_DONE, &[0; 4])
    }

    pub(crate) fn refused(code: i32) -> Vec<u8> {
        message(NLMSG_ERROR, &(-code).to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_a_datagram_are_told_apart() {
        let bytes = [made::message(16, b"four"), made::done()].concat();
        let all = messages(&bytes).into_iter();
        let all: Vec<_> = all.collect::<io::Result<_>>().expect("no error");
        assert_eq!(all, [Message::Of(16, b"four"), Message::Done]);
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error() {
        let refused = made::refused(1);
        let error = messages(&refused).remove(0).expect_err("refused");
        assert_eq!(error.raw_os_error(), Some(1));
    }
}
