//! What the kernel saw, and what it has already decided.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{InboundContact, InboundEvent, ScanEvidence};

/// Anything that enters the upward lane of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program was started and the kernel has something to say about it.
    Exec(ExecEvent),
    /// A running process was judged by the scan of the agent.
    Running(RunningEvent),
    /// A thread was interrupted while the processor did not round to nearest, or had been before.
    Rounding(RoundingEvent),
    /// A cgroup was made in scope, and settings go by names.
    Cgroup(CgroupEvent),
    /// A workload wanted to reach what it may not.
    Egress(EgressEvent),
    /// A workload, or a process of it, scans.
    Outbound(OutboundEvent),
    /// A workload got in touch with somebody for the first time.
    Contact(ContactEvent),
    /// Somebody mines on a connection.
    Pool(PoolEvent),
    /// Somebody probes this host.
    Inbound(InboundEvent),
    /// Somebody got in touch with this host for the first time.
    InboundContact(InboundContact),
}

/// A connection on which somebody mines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolEvent {
    /// Whose the connection is, and its other end.
    pub sender: Sender,
    /// How it was recognised.
    pub dialect: PoolDialect,
    /// The workload said it; else the other end did.
    pub sent: bool,
    /// The first bytes of the message that told it, or the name.
    pub message: Vec<u8>,
}

/// What a connection of miners was recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolDialect {
    /// `mining.*`, as pools of Bitcoin, Litecoin and many others have it.
    Stratum,
    /// `login` and `job`, as pools of Monero have it.
    Monero,
    /// `eth_submitLogin` and `eth_getWork`.
    EthereumWork,
    /// EthereumStratum/1.0.0.
    #[serde(rename = "ethereum-stratum-1")]
    EthereumStratum1,
    /// EthereumStratum/2.0.0.
    #[serde(rename = "ethereum-stratum-2")]
    EthereumStratum2,
    /// `mining.set_target`, as pools of Zcash have it.
    Zcash,
    /// The name of a pool, in the first message of TLS.
    Tls,
    /// The same in the first request of HTTP.
    Http,
    /// The same in a question of DNS.
    Dns,
}

impl PoolDialect {
    /// Whether it was the name of a pool, and not what is said there.
    pub const fn is_name(self) -> bool {
        matches!(self, Self::Tls | Self::Http | Self::Dns)
    }
}

/// Who sends something that a guard on the network has decided about, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Nanoseconds since boot (CLOCK_BOOTTIME) when that was.
    pub boot_ns: u64,
    /// Id of the cgroup (v2): the process's, or for a packet its socket's.
    pub cgroup_id: u64,
    /// Process id of whoever made the socket; 0 where that was not seen.
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time of the process in nanoseconds since boot.
    pub start_boot_ns: u64,
    /// Real user id in the first user namespace.
    pub uid: u32,
    /// Kernel's short name of the program.
    pub comm: String,
    /// It was refused; else only observed.
    pub denied: bool,
    /// The other end.
    pub destination: Destination,
}

/// Something that a workload may not reach, and wanted to: the first time in a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressEvent {
    /// Who wanted it, and where to.
    pub sender: Sender,
    /// It was refused because its workload is quarantined.
    pub quarantined: bool,
    /// The number of the list that bans it.
    pub ban: Option<u8>,
    /// It belongs to another workload.
    pub of_another: bool,
    /// The name that was asked for, where that is what is banned.
    pub name: Option<String>,
    /// Which of the programs saw it.
    pub hook: EgressHook,
}

/// A workload, or one of its processes, has got in touch with too many that do not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundEvent {
    /// Whose the last contact was, and with whom.
    pub sender: Sender,
    /// Id of the cgroup that is the whole workload.
    pub workload: u64,
    /// What came of its contacts.
    pub scan: ScanEvidence,
}

/// A first contact, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactEvent {
    /// Whose it is, and with whom.
    pub sender: Sender,
    /// Id of the cgroup that is the whole workload.
    pub workload: u64,
}

/// Which program of the guard `egress` saw something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EgressHook {
    /// A socket was to be connected.
    Connect,
    /// A datagram was to be sent.
    Send,
    /// A packet was about to leave.
    Packet,
}

impl EgressHook {
    /// As records spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Packet => "packet",
        }
    }
}

/// Where a packet goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The address.
    pub address: IpAddr,
    /// The port; none where the protocol has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `tcp`, `udp` and so on; a number where it has no name here.
    pub protocol: String,
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, self.port) {
            (address, Some(port)) => {
                write!(
                    f,
                    "{} {}",
                    self.protocol,
                    std::net::SocketAddr::from((address, port))
                )
            }
            (address, None) => write!(f, "{} {address}", self.protocol),
        }
    }
}

/// Arguments, each ended by NUL, as people read them: joined by spaces, with nothing after the last.
pub fn joined(arguments: &[u8]) -> Vec<u8> {
    let line = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    line.iter()
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect()
}

/// A program start, judged in the kernel before the program's first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecEvent {
    /// Nanoseconds since boot (CLOCK_BOOTTIME) at the decision.
    pub boot_ns: u64,
    /// Generation of the rule table that decided.
    pub generation: u32,
    /// Process id (thread group id) in the first pid namespace.
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time of the process in nanoseconds since boot: with `pid`, an identity that is not reused.
    pub start_boot_ns: u64,
    /// Real user id in the first user namespace.
    pub uid: u32,
    /// Id of the cgroup (v2) of the process.
    pub cgroup_id: u64,
    /// The cgroup's path on the host; none where it was too long.
    pub cgroup: Option<String>,
    /// What the kernel decided.
    pub verdict: KernelVerdict,
    /// Index of the rule that decided, in the table of that generation.
    pub rule: Option<u32>,
    /// Kernel's short name of the program (at most 15 bytes).
    pub comm: String,
    /// Path of the executable as seen from its own root; begins with `…` where it was too long.
    pub executable: Vec<u8>,
    /// The command line's first bytes, arguments joined by spaces.
    pub command_line: Vec<u8>,
    /// Length of the whole command line in bytes.
    pub command_line_bytes: u32,
    /// Offset in the whole command line just past the match.
    pub match_end: u32,
    /// The bytes around the match, where they lie past `command_line`.
    pub match_window: Vec<u8>,
    /// The executable has no name in any file system (memfd, or deleted).
    pub fileless: bool,
    /// Why the kernel could not judge the command line, whatever it did then.
    pub unscanned: Option<UnscannedCause>,
}

/// The kernel's decision about a program start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelVerdict {
    /// SIGKILL was sent before the first instruction.
    Killed,
    /// A rule matched and an effective mode of `observe` spared it.
    Observed,
    /// A banned string occurs and an allow pattern matched the whole command line.
    Spared,
    /// A rule matched and is enforced, by a response that the agent carries out.
    Answered,
    /// The kernel could not judge it: the agent must.
    Unscanned(UnscannedCause),
}

/// Why the kernel did not judge a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnscannedCause {
    /// The command line is longer than the bound.
    TooLong,
    /// Reading the command line failed (pages swapped out, or unmapped).
    ReadFailed,
}

/// A process that was already running when the agent's scan judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningEvent {
    /// Nanoseconds since boot (CLOCK_BOOTTIME) at the judgement.
    pub boot_ns: u64,
    /// Generation of the rule table that judged.
    pub generation: u32,
    /// Process id.
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time of the process in nanoseconds since boot.
    pub start_boot_ns: u64,
    /// Real user id.
    pub uid: u32,
    /// Id of the cgroup (v2) of the process.
    pub cgroup_id: u64,
    /// Index of the rule that matched.
    pub rule: u32,
    /// An allow pattern spares it.
    pub spared: bool,
    /// Effective mode of the matching rule's group is `observe`.
    pub observe: bool,
    /// Kernel's short name of the program.
    pub comm: String,
    /// Path of the executable.
    pub executable: Vec<u8>,
    /// The whole command line, arguments joined by spaces.
    pub command_line: Vec<u8>,
    /// Offset just past the match.
    pub match_end: u32,
}

/// A new cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupEvent {
    /// Its id.
    pub cgroup_id: u64,
    /// Its path on the host.
    pub path: String,
}

/// Rounding modes in which a thread was interrupted. Sent only for threads that were seen in another than the nearest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundingEvent {
    /// Thread id in the first pid namespace.
    pub thread: u32,
    /// Start time of the thread in nanoseconds since boot: with `thread`, an identity that is not reused.
    pub thread_start_boot_ns: u64,
    /// Process id (thread group id).
    pub pid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Start time of the process in nanoseconds since boot.
    pub start_boot_ns: u64,
    /// Real user id in the first user namespace.
    pub uid: u32,
    /// Id of the cgroup (v2) of the process.
    pub cgroup_id: u64,
    /// Kernel's short name of the thread (at most 15 bytes).
    pub comm: String,
    /// What was seen, oldest first. Samples inside system calls are left out: they say nothing.
    pub samples: Vec<RoundingSample>,
}

/// The state of the floating-point unit when a thread was interrupted in user mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundingSample {
    /// Nanoseconds since boot (CLOCK_BOOTTIME).
    pub boot_ns: u64,
    /// Processor time that the thread had used by then, in nanoseconds.
    pub ran_ns: u64,
    /// Where it rounds to: 0 to nearest, 1 down, 2 up, 3 towards zero.
    pub mode: u8,
    /// Numbers too small to be normal are taken and given as zero.
    pub flush: bool,
}
