//! The agent: the data path from event to record, its status and its local API.
//!
//! [`Agent::start`] brings everything into place and returns only when it is; [`pipeline`] is the way up from the
//! kernel's bytes to the journal.

mod act;
mod agent;
mod api;
mod canary;
mod clock;
mod compat;
mod describe;
mod events;
mod memory;
mod metrics;
pub mod notify;
mod peer;
pub mod pipeline;
mod process;
mod prove;
mod randomx;
mod reload;
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
mod veil;
mod watch;
mod workloads;

pub use act::{ActReport, ActRequest};
pub use agent::{Agent, AgentError};
pub use api::{ForgetRequest, OffRequest, ReloadRequest, serve};
pub use canary::{
    copy_of_self, launch as launch_canary, mine as mine_as_canary, round as round_as_canary,
};
pub use reload::ReloadReport;
pub use rules::rules_of;
pub use start::Running;
pub use status::StatusReport;
pub use workloads::WorkloadReport;
