//! What the log of first contacts holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Destination, Workload};

/// A line of the log: a workload got in touch with somebody whom it was not known to be in touch with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When.
    pub time: Timestamp,
    /// Whose process made the socket, or connected it; none where that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ContactProcess>,
    /// The workload, with the names that were known then.
    pub workload: Workload,
    /// With whom.
    pub destination: Destination,
}

/// As much of a process as the kernel tells with a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactProcess {
    /// Process id on the host.
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time in nanoseconds since boot.
    pub start_boot_ns: u64,
    /// Real user id on the host.
    pub uid: u32,
    /// Kernel's short name of the program.
    pub comm: String,
}
