//! The kernel side: programs, tables, events.
//!
//! Everything that knows BPF is here. A guard's programs are loaded, pinned and adopted by [`Kernel`]; what operators
//! switch works through [`Cells`] on the pins alone, without an agent; [`wire`] turns the kernel's bytes into events.

mod bans;
mod cells;
mod counters;
mod egress;
mod egress_names;
mod empty;
mod error;
mod frames;
mod inbound;
mod inbound_devices;
mod judge;
mod kernel;
mod memory;
mod network_cookie;
mod nudge;
mod object;
mod offline;
mod outbound;
mod own_network;
mod pace;
mod packet_socket;
mod pins;
mod pool;
mod privileges;
mod probe;
mod programs;
mod rounding;
mod sensor;
mod statistics;
mod stream;
mod table;
mod trial;
mod tripped;
mod windows;
pub mod wire;

pub use bans::BanMap;
pub use cells::{Cell, Cells, boot_ns};
pub use counters::{Counters, RoundingCounts};
pub use egress::{Egress, Grant, ListNumber, NO_LIST};
pub use egress_names::EgressNames;
pub use empty::{EmptyHook, EmptyProgram};
pub use error::KernelError;
pub use inbound::{Hook, InboundBans, InboundLimits, InboundNever, KernelBan};
pub use judge::KernelJudge;
pub use kernel::{Kernel, KernelOptions};
pub use memory::release_unused_memory;
pub use nudge::{Nudger, Sightings};
pub use object::Variant;
pub use offline::{Arrival, Headers, Offline, Outcome, Packet, Socket, SocketKind};
pub use outbound::{Outbound, OutboundLimits};
pub use own_network::enter_own_network;
pub use pins::{Pins, uninstall};
pub use pool::PoolDomains;
pub use privileges::{missing_privileges, require_privileges};
pub use probe::{Feature, probe};
pub use rounding::round_irregularly;
pub use statistics::{RunTime, Statistics};
pub use stream::EventStream;
pub use table::{MAX_TABLE_BYTES, size_class};
pub use trial::{MapEntry, PacketTrial};
pub use tripped::Tripped;
pub use windows::{AFFORDABLE_CALLS, Windows};
