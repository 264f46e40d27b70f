//! Which network this process is in.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketType, socket};

/// A number that no other network has while the machine is up; 0 where the kernel does not tell (before Linux 5.14), which
/// stands for the network that was there first.
pub(crate) fn network_cookie() -> u64 {
    socket(AddressFamily::UNIX, SocketType::DGRAM, None)
        .map_or(0, |socket| cookie(&socket).unwrap_or(0))
}

fn cookie(socket: &OwnedFd) -> Option<u64> {
    let mut cookie = 0u64;
    let mut bytes = u32::try_from(size_of_val(&cookie)).ok()?;
    #[expect(unsafe_code, reason = "rustix does not know this option")]
    // SAFETY: the socket is open, and the kernel writes no more than as many bytes as `bytes` says, which `cookie` has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut bytes,
        )
    };
    (result == 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_number() {
        assert_eq!(network_cookie(), network_cookie());
    }
}
