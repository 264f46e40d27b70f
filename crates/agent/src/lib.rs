//! The agent: the data path from event to record, its status and its local API.
//!
//! [`Agent::start`] brings everything into place and returns only when it is; [`pipeline`] is the way up from the
//! kernel's bytes to the journal.

mod act;
mod agent;
mod answers;
mod api;
mod bans;
mod breaker;
mod canary;
mod clock;
mod compat;
mod contacts;
mod describe;
mod egress;
mod elsewhere;
mod events;
mod firewall;
mod grants;
mod host_sockets;
mod inbound;
mod kept;
mod ledger;
mod memory;
mod metrics;
mod names;
mod namespace;
mod netlink;
mod network;
mod node;
mod notice;
pub mod notify;
mod options;
mod outbound;
mod packet_sockets;
mod peer;
pub mod pipeline;
mod play;
mod pool;
mod process;
mod prove;
mod randomx;
mod reload;
mod routes;
mod rules;
mod scan;
mod scope;
mod seen;
mod sensor;
mod sightings;
mod start;
pub mod status;
mod steer;
mod stream;
mod strikes;
mod veil;
mod veth;
mod watch;
mod why;
mod workloads;

pub use act::{ActReport, ActRequest};
pub use agent::{Agent, AgentError, Forgot};
pub use api::{
    FlushReport, ForgetRequest, ForgiveRequest, OffRequest, ReloadRequest, ResetRequest, serve,
};
pub use bans::{BanReport, bans_of};
pub use breaker::TripReport;
pub use canary::{
    copy_of_self, launch as launch_canary, mine as mine_as_canary, round as round_as_canary,
    send as send_as_canary, subscribe as subscribe_as_canary,
};
pub use firewall::leave_firewalls;
pub use grants::{GrantReport, GrantRequest, Holds};
pub use inbound::{InterfaceProof, InterfaceReport, ProofReport, inbound_limits};
pub use ledger::{
    Allow, AllowOrder, AllowReport, AllowRequest, Attached, Ban, BanOrder, BanRequest, BansReport,
    Ended, Ledger, LedgerError, LiftReport, LiftRequest, Lifted, ListedBan, Never, Ordered, Past,
    Refusal, RefusedNet, WhyBanned, parse_source,
};
pub use namespace::may_be_in_first_network;
pub use node::refuse_cutting_node;
pub use outbound::{nobody, outbound_limits};
pub use play::{reach as reach_as_canary, scan as scan_as_canary};
pub use reload::ReloadReport;
pub use rules::rules_of;
pub use start::Running;
pub use status::StatusReport;
pub use strikes::StrikesReport;
pub use why::WhyReport;
pub use workloads::WorkloadReport;
