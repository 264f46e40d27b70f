//! The words of Hayward: guards, events, findings, verdicts, workloads, records.
//!
//! Plain data that every other crate speaks in. Nothing here does I/O, reads a clock or knows BPF.

mod event;
mod finding;
mod guard;
mod record;
mod scope;
mod workload;

pub use event::{
    Event, ExecEvent, KernelVerdict, RoundingEvent, RoundingSample, RunningEvent, UnscannedCause,
    joined,
};
pub use finding::{Evidence, Finding, MiningEvidence, Outcome, Verdict};
pub use guard::{Guard, GuardStatus, Mode, Response};
pub use record::{Action, Actor, Process, Record};
pub use scope::ScopePolicy;
pub use workload::{OuterContainer, Runtime, Workload, WorkloadKind};
