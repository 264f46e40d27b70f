//! Detectors: an event becomes a finding, with no clock and no I/O.

mod command;
mod egress;
mod inbound;
mod network;
mod outbound;
mod pool;
pub mod randomx;

pub use command::{exec, running};
pub use egress::egress;
pub use inbound::{InboundContext, InboundFinding, inbound, probes};
pub use outbound::outbound;
pub use pool::pool;
