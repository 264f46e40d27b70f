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
}

impl Guard {
    /// Every guard, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::Command, Self::Randomx];

    /// The guard's name, as settings, metrics and records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Randomx => "randomx",
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

/// What enforcing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// Nothing but the record.
    Observe,
    /// End the process.
    Kill,
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
