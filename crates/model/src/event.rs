//! What the kernel saw, and what it has already decided.

use serde::{Deserialize, Serialize};

/// Anything that enters the upward lane of the data path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program was started and the kernel has something to say about it.
    Exec(ExecEvent),
    /// A running process was judged by the scan of the agent.
    Running(RunningEvent),
    /// A thread was interrupted while the processor did not round to nearest, or had been before.
    Rounding(RoundingEvent),
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
