//! From finding to outcome: what was concluded, what was decided, what came of it.

use serde::{Deserialize, Serialize};

use crate::{Action, Destination, Guard, InboundEvidence, Mode, PoolDialect, Process, Response};

/// What a detector concluded, with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The guard that found it.
    pub guard: Guard,
    /// Index of the rule in the table of `generation`; none where no rule is concerned.
    pub rule: Option<u32>,
    /// Generation of the table.
    pub generation: u32,
    /// The process concerned.
    pub process: Process,
    /// Id of the cgroup (v2) of the process.
    pub cgroup_id: u64,
    /// Nanoseconds since boot at which it was seen.
    pub boot_ns: u64,
    /// What the kernel has done about it already; none where the agent must act.
    pub done: Option<Action>,
    /// What settings have for just this, in place of the guard's response.
    pub response: Option<Response>,
    /// What else was seen.
    pub evidence: Evidence,
}

/// Facts beside the process itself, for `explain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was judged: `exec` (kernel, before the first instruction), `scan` (running process), or of guards on the network
    /// `connect`, `send`, `packet` or `socket` (where it is made).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<String>,
    /// Offset just past the match in the whole command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_end: Option<u32>,
    /// The bytes around a match that lies past the recorded part of the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_window: Option<String>,
    /// Why the kernel could not judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unscanned: Option<String>,
    /// The executable has no name in any file system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fileless: bool,
    /// What it wanted to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// What came of its contacts, where it scans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanEvidence>,
    /// What was said on a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolEvidence>,
    /// Its workload was quarantined, and could reach nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// The ban list that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ban_list: Option<String>,
    /// What was to be reached belongs to another workload.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_workload: bool,
    /// The name that was asked for, where that is what is banned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How somebody probed this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<InboundEvidence>,
    /// How its threads rounded, and what it held in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mining: Option<MiningEvidence>,
}

/// Why somebody is taken for one who scans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanEvidence {
    /// Which limit was passed: `unanswered` (far more failed than was answered), or `failures` (too many failed, whatever
    /// was answered). `unique-destinations`: a process connected to too many. `packet-socket`: none, it sends frames by a
    /// packet socket, or wants to make one. `raw-socket`: none, it wants to make a raw socket.
    pub limit: String,
    /// One process alone; else its whole workload.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_process: bool,
    /// First contacts that were made.
    pub contacts: u32,
    /// Of those, answered.
    pub answered: u32,
    /// Of those, refused.
    pub refused: u32,
    /// Of those, neither in 24 to 32 seconds; a contact where nobody can be counts twice.
    pub silent: u32,
    /// Of those, still waiting, counted in the same way.
    pub waiting: u32,
    /// Some of the destinations that were not answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
}

/// Why somebody is taken to mine on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolEvidence {
    /// How it was recognised.
    pub dialect: PoolDialect,
    /// Who said it: `sent` by the workload, or `received`.
    pub direction: String,
    /// The beginning of what was said, or the name of a pool.
    pub message: String,
}

/// Why a process is taken for one that mines by RandomX.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MiningEvidence {
    /// Moments at which its threads were interrupted in user mode.
    pub samples: u32,
    /// Of those, how often they rounded to nearest, down, up and towards zero.
    pub modes: [u32; 4],
    /// Of those, how often numbers too small to be normal were flushed to zero.
    pub flushed: u32,
    /// From the first of those moments to the last.
    pub milliseconds: u64,
    /// Threads that were seen.
    pub threads: u32,
    /// Natural logarithm of how much likelier that is of RandomX than of the likeliest innocent program.
    pub nats: u32,
    /// Memory that it holds, shared and in huge pages too; none where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// It can execute memory that is no file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated_code: Option<bool>,
    /// What settings ask for beside the rounding, and was not found: then it is only observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

/// A finding seen through the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The finding.
    pub finding: Finding,
    /// The mode in force for it.
    pub mode: Mode,
    /// What to do, or what would be done under `enforce`.
    pub response: Response,
}

/// What came of a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What was done.
    pub action: Action,
    /// Why an action failed, where it did.
    pub error: Option<String>,
}
