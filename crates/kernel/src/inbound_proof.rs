//! How the programs of the guard `inbound` show that they work.

use std::{net::Ipv4Addr, time::Duration};

use hayward_model::BanStrength;
use ipnet::IpNet;

use crate::{InboundBans, KernelError, Pins};

/// A ban for a moment, of an address that no packet comes from (RFC 6890: `0.0.0.0/8` is this network's own), by which the programs
/// show that they work.
pub(crate) struct Proof {
    bans: InboundBans,
}

impl Proof {
    const BANNED: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 2);

    pub(crate) fn begin(pins: &Pins) -> Result<Self, KernelError> {
        let mut bans = InboundBans::open(pins, 128)?;
        let minute = Some(Duration::from_secs(60));
        bans.put(Self::net(), minute, BanStrength::Full)?;
        Ok(Self { bans })
    }

    pub(crate) fn net() -> IpNet {
        IpNet::V4(Self::BANNED.into())
    }

    /// A segment of TCP within a connection, in a frame.
    pub(crate) fn frame(&self, of_banned: bool) -> Vec<u8> {
        const ACK: u8 = 0x10;
        let from = if of_banned { Self::BANNED } else { Self::OTHER };
        let mut frame = [[0; 12].as_slice(), &[0x08, 0x00]].concat();
        frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend(from.octets());
        frame.extend([0, 0, 0, 3]);
        frame.extend([0; 12]);
        frame.extend([0x50, ACK, 0, 0, 0, 0, 0, 0]);
        frame
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        // It ends by itself too.
        let _ = self.bans.remove(Self::net());
    }
}
