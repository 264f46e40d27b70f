//! Settings, validated into a policy, and the verdicts that follow from it.
//!
//! Raw settings, as files have them, are one type; the policy that the agent works with is another, in which
//! everything has been checked.

mod check;
mod quantity;
mod raw;
mod reference;
mod scope;
mod settings;
mod verdict;

pub use quantity::duration as parse_duration;
pub use reference::reference;
pub use scope::ScopeRules;
pub use settings::{
    ApiSettings, CommandSettings, DEFAULT_SETTINGS, JournalSettings, LogFormat, Policy,
    RandomxEvidence, RandomxSettings, SettingsError, WorkloadSettings,
};
