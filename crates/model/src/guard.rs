//! A guard's name, how it may act, and what it says of itself.

use serde::{Deserialize, Serialize};

/// One protection, detection and response together. Its name is the same word in every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Guard {
    /// Banned command lines are killed before their first instruction.
    Command,
    /// RandomX mining is recognised by how threads round.
    Randomx,
    /// Each workload reaches only what it may.
    Egress,
    /// No port scan leaves.
    Outbound,
    /// Mining traffic is recognised by what is said on a connection.
    Pool,
    /// Port scans against this host are seen, and their source is blocked.
    Inbound,
}

impl Guard {
    /// Every guard, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Command,
        Self::Randomx,
        Self::Egress,
        Self::Outbound,
        Self::Pool,
        Self::Inbound,
    ];

    /// The guard's name, as settings, metrics and records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Randomx => "randomx",
            Self::Egress => "egress",
            Self::Outbound => "outbound",
            Self::Pool => "pool",
            Self::Inbound => "inbound",
        }
    }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Guard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|guard| guard.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("unknown guard '{text}'; guards are: {names}")
            })
    }
}

/// Whether a finding leads to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Judge and record.
    Observe,
    /// Judge, act and record.
    Enforce,
}

impl Mode {
    /// The milder of two modes: whoever says `observe`, at any level, is obeyed.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::Enforce { other } else { self }
    }
}

/// What enforcing does, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Nothing but the record.
    Observe,
    /// Refuse it: the packet does not leave, and whoever wanted to send it gets an error.
    Deny,
    /// Give its workload a small share of a processor.
    Throttle,
    /// Let its workload reach nothing, for a time.
    Quarantine,
    /// Stop all processes of its workload, until an operator thaws it.
    Freeze,
    /// End the process.
    Kill,
    /// End the process, and all others of its workload.
    KillWorkload,
    /// End the process, and have its container stopped by the runtime, which then does not start it again by itself.
    Evict,
}

impl Response {
    /// Whether the process itself is ended: at its start, by the kernel, before its first instruction.
    pub const fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::KillWorkload | Self::Evict)
    }

    /// Whether it is done to the whole workload.
    pub const fn is_workloads(self) -> bool {
        matches!(
            self,
            Self::Throttle | Self::Quarantine | Self::Freeze | Self::KillWorkload | Self::Evict
        )
    }

    /// The response as settings and records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Deny => "deny",
            Self::Throttle => "throttle",
            Self::Quarantine => "quarantine",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
            Self::KillWorkload => "kill-workload",
            Self::Evict => "evict",
        }
    }
}

/// What a guard says of itself in `status` and in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardStatus {
    /// Its canary was seen to be stopped, and its mode is `enforce`.
    Enforcing,
    /// It judges and records; it does not act.
    Observing,
    /// It works in part; the reason says what is missing.
    Degraded,
    /// This kernel cannot carry it; the reason says why.
    Absent,
    /// It is switched off, by settings or by `hayward off`.
    #[default]
    Off,
}

impl GuardStatus {
    /// Every status, in the order in which metrics list them.
    pub const ALL: [Self; 5] = [
        Self::Enforcing,
        Self::Observing,
        Self::Degraded,
        Self::Absent,
        Self::Off,
    ];

    /// The status as settings, metrics and `status --json` spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforcing => "enforcing",
            Self::Observing => "observing",
            Self::Degraded => "degraded",
            Self::Absent => "absent",
            Self::Off => "off",
        }
    }
}
