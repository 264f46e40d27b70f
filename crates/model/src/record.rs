//! The journal's line for a verdict, or for an operator's act.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Evidence, Guard, Mode, Response, Workload, source_in_words};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The process was ended.
    Killed,
    /// It was refused.
    Denied,
    /// It matched, and `observe` spared it.
    Observed,
    /// It matched, and an allow pattern spared it.
    Spared,
    /// It was to be ended and was gone, or could not be ended.
    Missed,
    /// Its workload is answered for it, in a record of its own.
    Answered,
    /// The kernel could not judge it, and the agent found nothing.
    Cleared,
    /// An operator switched a guard or everything off.
    SwitchedOff,
    /// An operator switched a guard or everything on.
    SwitchedOn,
    /// Settings and rules were read again.
    Reloaded,
    /// New settings or rules were refused; the old ones stay in force.
    ReloadRefused,
    /// The agent started.
    Started,
    /// The agent stopped in good order.
    Stopped,
    /// Records of a user were removed.
    Forgot,
    /// All processes of a workload were stopped, and are kept so.
    Frozen,
    /// A frozen workload runs again.
    Thawed,
    /// A workload got less of the processors than it had.
    Throttled,
    /// A throttled workload has what it had before.
    Released,
    /// All processes of a workload were ended.
    WorkloadKilled,
    /// A container, or all of a pod, was stopped by its runtime.
    Evicted,
    /// A workload may reach everything, for a time.
    Granted,
    /// A workload may reach what its settings say again.
    Revoked,
    /// A workload may reach nothing, for a time.
    Quarantined,
    /// What a workload should be done to was not done.
    Refused,
    /// A workload's strikes count no more.
    Forgiven,
    /// A new rule acted on too many workloads, and only observes.
    Tripped,
    /// A rule that is not new acts on as many.
    Alarmed,
    /// A tripped rule was put in force.
    BreakerReset,
    /// Nothing of a source comes in for a time, or no first contact of it.
    Banned,
    /// A source is banned no more.
    Unbanned,
    /// A source is never banned, for a time.
    Allowed,
    /// A source is banned like any other again.
    Disallowed,
}

impl Action {
    /// The action as records and metrics spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Denied => "denied",
            Self::Observed => "observed",
            Self::Spared => "spared",
            Self::Missed => "missed",
            Self::Answered => "answered",
            Self::Cleared => "cleared",
            Self::SwitchedOff => "switched-off",
            Self::SwitchedOn => "switched-on",
            Self::Reloaded => "reloaded",
            Self::ReloadRefused => "reload-refused",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Forgot => "forgot",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
            Self::Throttled => "throttled",
            Self::Released => "released",
            Self::WorkloadKilled => "workload-killed",
            Self::Evicted => "evicted",
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Forgiven => "forgiven",
            Self::Tripped => "tripped",
            Self::Alarmed => "alarmed",
            Self::BreakerReset => "breaker-reset",
            Self::Banned => "banned",
            Self::Unbanned => "unbanned",
            Self::Allowed => "allowed",
            Self::Disallowed => "disallowed",
        }
    }

    /// Whether something was done, or should have been and was not: what somebody may want to be told of at once. Mere
    /// observations, what was undone and acts on the agent itself are not.
    pub const fn is_deed(self) -> bool {
        match self {
            Self::Killed
            | Self::Denied
            | Self::Missed
            | Self::Frozen
            | Self::Throttled
            | Self::WorkloadKilled
            | Self::Evicted
            | Self::Quarantined
            | Self::Refused
            | Self::Tripped
            | Self::Alarmed => true,
            // What is answered has another record, of the answer.
            Self::Observed
            | Self::Spared
            | Self::Answered
            | Self::Cleared
            | Self::SwitchedOff
            | Self::SwitchedOn
            | Self::Reloaded
            | Self::ReloadRefused
            | Self::Started
            | Self::Stopped
            | Self::Forgot
            | Self::Thawed
            | Self::Released
            | Self::Granted
            | Self::Revoked
            | Self::Forgiven
            | Self::BreakerReset
            | Self::Banned
            | Self::Unbanned
            | Self::Allowed
            | Self::Disallowed => false,
        }
    }
}

/// The process that a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
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
    /// Path of the executable as seen from its own root.
    pub executable: String,
    /// The command line, arguments joined by spaces, as far as settings let it be recorded.
    pub command_line: String,
    /// Length of the whole command line in bytes.
    pub command_line_bytes: u32,
}

/// A finding that counts against a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strike {
    /// Id of the whole workload's cgroup.
    pub cgroup_id: u64,
    /// How many there were within the window, with this one.
    pub number: u32,
}

/// Who did something by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// User id, by the socket's peer credentials or the caller's own.
    pub uid: u32,
    /// Process id of the caller.
    pub pid: u32,
    /// Name of that user, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who had logged in before becoming that user, as with sudo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} (uid {})", self.uid)?,
            None => write!(f, "uid {}", self.uid)?,
        }
        match &self.login {
            Some(login) => write!(f, ", logged in as {login}"),
            None => Ok(()),
        }
    }
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Unique, and ordered by time.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What was done.
    pub action: Action,
    /// The guard concerned; none for acts on the whole agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Id of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rule's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Banned string that matched; absent for secret rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<String>,
    /// Generation of the rule table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Mode in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What was done, or would have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// What else was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Which strike of its workload it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strike: Option<Strike>,
    /// Id of the record that led to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Who did it, for acts by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Sources that an act by hand was about: of many, the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<IpNet>,
    /// What an operator should know, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Record {
    /// Who probed this host, as people write it, where that is what it is about: none where it was many together.
    pub fn source(&self) -> Option<String> {
        let inbound = self.evidence.as_ref()?.inbound.as_ref()?;
        inbound
            .sources
            .is_none()
            .then(|| source_in_words(inbound.source))
    }

    /// The detail without the source with which it begins, for lines that name it before.
    pub fn detail_after_source(&self) -> Option<&str> {
        let detail = self.detail.as_deref()?;
        let source = self.source().unwrap_or_default();
        let rest = detail.strip_prefix(&source);
        Some(rest.map_or(detail, str::trim_start))
    }

    /// One that says nothing but this.
    pub fn new(id: String, time: Timestamp, action: Action) -> Self {
        Self {
            id,
            time,
            action,
            guard: None,
            rule: None,
            reason: None,
            matched: None,
            generation: None,
            mode: None,
            response: None,
            process: None,
            workload: None,
            evidence: None,
            strike: None,
            cause: None,
            actor: None,
            nets: Vec::new(),
            detail: None,
        }
    }
}
