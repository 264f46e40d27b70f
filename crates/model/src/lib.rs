//! The words of Hayward: guards, events, findings, verdicts, workloads, records.
//!
//! Plain data that every other crate speaks in. Nothing here does I/O, reads a clock or knows BPF.

mod contact;
mod domain;
mod event;
mod finding;
mod guard;
mod inbound;
mod reach;
mod record;
mod scope;
mod workload;

pub use contact::{Contact, ContactProcess};
pub use domain::{NamedList, covers, domain, domain_hash};
pub use event::{
    CgroupEvent, ContactEvent, Destination, EgressEvent, EgressHook, Event, ExecEvent,
    KernelVerdict, OutboundEvent, PoolDialect, PoolEvent, RoundingEvent, RoundingSample,
    RunningEvent, Sender, UnscannedCause, joined,
};
pub use finding::{
    Evidence, Finding, MiningEvidence, Outcome, PoolEvidence, ScanEvidence, Verdict,
};
pub use guard::{Guard, GuardStatus, Mode, Response};
pub use inbound::{
    BanOrigin, BanStrength, InboundContact, InboundEvent, InboundEvidence, InboundLimit,
    InboundVerdict, ProbeKind, ScanShape, canonical, mapped, source_in_words, source_of,
};
pub use reach::{Allowed, Destinations, List, MOST_RANGES, Range, prefix};
pub use record::{Action, Actor, Process, Record, Strike};
pub use scope::ScopePolicy;
pub use workload::{OuterContainer, Runtime, Workload, WorkloadKind};
