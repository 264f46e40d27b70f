//! What settings say of port scans that leave.

use std::time::Duration;

use hayward_model::{Mode, Response};
use ipnet::IpNet;

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
}
