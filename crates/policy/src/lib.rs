//! Settings, validated into a policy, and the verdicts that follow from it.
//!
//! Raw settings, as files have them, are one type; the policy that the agent works with is another, in which
//! everything has been checked.

mod check;
mod destinations;
mod egress;
mod entry;
mod firewall;
mod guards;
mod inbound;
mod labels;
mod outbound;
mod pool;
mod quantity;
mod raw;
mod raw_firewall;
mod reference;
mod scope;
mod selector;
mod settings;
mod tell;
mod verdict;

pub use check::egress::is_default_never;
pub use destinations::{destinations, spelled};
pub use egress::{BanSettings, Between, EgressList, EgressPolicy, EgressSettings, Reach};
pub use entry::{Entries, Entry, NamedEntry};
pub use firewall::{AddressFamily, FirewallSet, Output};
pub use inbound::{Attach, InboundProfile, InboundSettings, InterfaceSelector, PortLimit};
pub use outbound::{
    ContactLogSettings, DestinationLimit, OutboundProfile, OutboundSettings, PacketSockets,
};
pub use pool::PoolSettings;
pub use quantity::duration as parse_duration;
pub use reference::reference;
pub use scope::{Decision, Origin, ScopeRules};
pub use settings::{
    ApiSettings, BreakerSettings, CommandSettings, DEFAULT_SETTINGS, JournalSettings, LogFormat,
    Policy, RandomxEvidence, RandomxSettings, RuntimeSockets, SettingsError, Step, StrikeSettings,
    WorkloadSettings,
};
pub use tell::{TellSettings, TellTarget};
