//! What settings say of port scans that leave.

use std::time::Duration;

use hayward_model::{Mode, Response};
use ipnet::IpNet;
use serde::Deserialize;

/// The `outbound` guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// What enforcing does.
    pub response: Response,
    /// First contacts of a workload that may wait for an answer at a time; half of them while nobody answers.
    pub in_flight: u32,
    /// How many of its first contacts may fail within `window`.
    pub failures: u32,
    /// See there.
    pub window: Duration,
    /// How many it may make in a minute.
    pub rate: u32,
    /// For how long whoever scans makes none.
    pub block: Duration,
    /// Private addresses that are reached by the default route here, and count as others do.
    pub reachable: Vec<IpNet>,
    /// What becomes of packet and raw sockets.
    pub packet_sockets: PacketSockets,
    /// What is kept of first contacts.
    pub log: ContactLogSettings,
    /// To how much a process may connect, whatever comes of it; none unless a profile says so.
    pub destinations: Option<DestinationLimit>,
}

/// To how many different public addresses and ports a process may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DestinationLimit {
    /// One more is too many.
    pub unique: u32,
    /// Within so much time.
    pub lookback: Duration,
}

/// Whose way of telling scanners is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboundProfile {
    /// That of cryptnono's flowkiller: a limit on different destinations.
    Flowkiller,
}

/// The log of first contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContactLogSettings {
    /// It is written.
    pub enabled: bool,
    /// How long contacts are kept.
    pub keep: Duration,
    /// The most bytes that the log may have on disk.
    pub max_bytes: u64,
}

/// What becomes of packet sockets (`AF_PACKET`, `AF_XDP`) and of raw ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PacketSockets {
    /// What they send is judged as what other sockets send, and that there are packet sockets is recorded.
    Observe,
    /// Raw ones are not made, nor packet sockets where the kernel can refuse them; else what these send is dropped where it is seen.
    Deny,
    /// The same, and the process is killed.
    Kill,
}
