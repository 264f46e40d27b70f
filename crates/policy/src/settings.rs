//! Settings, checked: what the agent works with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_model::{Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::Problem;
use serde::{Deserialize, Serialize};

use crate::{
    EgressList, EgressSettings, InboundSettings, InterfaceSelector, OutboundSettings, PoolSettings,
    TellSettings,
    check::{Checker, inbound::observing},
    guards::Guards,
    raw::Raw,
    scope::ScopeRules,
};

/// The settings that hold where a file says nothing.
pub const DEFAULT_SETTINGS: &str = include_str!("../default.yaml");

/// Everything that is wrong with a settings file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", hayward_yaml::join(.problems))]
pub struct SettingsError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// The `command` guard.
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// What enforcing does.
    pub response: Response,
    /// Where rules come from.
    pub rules: Vec<String>,
    /// Programs started from memory are killed.
    pub fileless_kill: bool,
    /// Programs that the kernel could not judge are killed unjudged.
    pub unscanned_kill: bool,
    /// How often running processes are scanned; zero never.
    pub scan: Duration,
}

/// The `randomx` guard.
#[derive(Debug, Clone)]
pub struct RandomxSettings {
    /// It is listed under `guards`.
    pub enabled: bool,
    /// Its mode.
    pub mode: Mode,
    /// What enforcing does.
    pub response: Response,
    /// What must be found beside the rounding before a process is acted on.
    pub evidence: RandomxEvidence,
    /// Busy processors are interrupted, so that what runs on them is seen often enough.
    pub nudge: bool,
}

/// What makes a process that rounds as RandomX does a miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RandomxEvidence {
    /// Memory, and what RandomX's own code does besides: it flushes small numbers to zero, or was generated in memory.
    Strict,
    /// The 256 MiB that RandomX's cache takes.
    Memory,
    /// Nothing else.
    Rounding,
}

/// What is asked about workloads.
#[derive(Debug, Clone)]
pub struct WorkloadSettings {
    /// Names of environment variables whose values are recorded, as a workload's first process has them.
    pub environment: Vec<String>,
    /// Which container runtimes are asked for names.
    pub runtimes: RuntimeSockets,
}

/// When a new rule is taken for a wrong one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerSettings {
    /// How long a rule is new; zero for no breaker.
    pub young: Duration,
    /// On so many workloads a new rule may act.
    pub workloads: u32,
    /// Or on so many of a hundred, where that is more.
    pub share_percent: u8,
}

impl BreakerSettings {
    /// On how many workloads a new rule may act where there are so many.
    pub fn limit(&self, workloads: usize) -> usize {
        let share = workloads * usize::from(self.share_percent) / 100;
        share.max(usize::try_from(self.workloads).unwrap_or(usize::MAX))
    }
}

/// What findings about a workload lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrikeSettings {
    /// How long a finding counts.
    pub window: Duration,
    /// What is done from which number of findings on, the smallest number first.
    pub steps: Vec<Step>,
}

/// What is done to a workload with so many strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// So many, or more.
    pub after: u32,
    /// What is done.
    pub response: Response,
}

impl StrikeSettings {
    /// What is done at this number of strikes.
    pub fn response(&self, strikes: u32) -> Option<Response> {
        let steps = self.steps.iter().rev();
        let mut reached = steps.filter(|step| step.after <= strikes);
        reached.next().map(|step| step.response)
    }
}

/// Sockets of container runtimes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeSockets {
    /// Those that are where runtimes usually have theirs.
    pub usual: bool,
    /// Those that speak Kubernetes' CRI.
    pub cri: Vec<PathBuf>,
    /// Those that speak Docker's API, Podman's among them.
    pub docker: Vec<PathBuf>,
}

/// The journal.
#[derive(Debug, Clone)]
pub struct JournalSettings {
    /// Its folder.
    pub path: PathBuf,
    /// How long records are kept.
    pub keep: Duration,
    /// How large it may grow, in bytes.
    pub max_bytes: u64,
    /// How command lines are recorded.
    pub command_lines: CommandLines,
}

/// The local API.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Its socket.
    pub socket: PathBuf,
    /// Group whose members may look.
    pub readers: String,
    /// Group whose members may act, beside root.
    pub operators: String,
}

/// Settings in which everything has been checked.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Mode of the whole agent.
    pub mode: Mode,
    /// The `command` guard.
    pub command: CommandSettings,
    /// The `randomx` guard.
    pub randomx: RandomxSettings,
    /// The `egress` guard.
    pub egress: EgressSettings,
    /// The `outbound` guard.
    pub outbound: OutboundSettings,
    /// The `pool` guard.
    pub pool: PoolSettings,
    /// The `inbound` guard.
    pub inbound: InboundSettings,
    /// What is asked about workloads.
    pub workloads: WorkloadSettings,
    /// How long the kernel side enforces without an agent; zero for ever.
    pub lease: Duration,
    /// Path below the cgroup file system outside which nothing is acted on.
    pub cgroup_root: String,
    /// Where programs and maps are pinned.
    pub pins: PathBuf,
    /// The journal.
    pub journal: JournalSettings,
    /// Where metrics are served; none for not at all.
    pub metrics_listen: Option<SocketAddr>,
    /// The local API.
    pub api: ApiSettings,
    /// How log lines look.
    pub log: LogFormat,
    /// File of age identities.
    pub identity: Option<PathBuf>,
    /// cryptnono's log lines are written too, and its metrics (execwhacker's, flowkiller's) served at these addresses.
    pub compat_cryptnono: Option<[SocketAddr; 2]>,
    /// scanblocker's log lines are written too, and its metric served at this address.
    pub compat_scanblocker: Option<SocketAddr>,
    /// What repeated findings lead to.
    pub strikes: StrikeSettings,
    /// When a new rule is taken for a wrong one.
    pub breaker: BreakerSettings,
    /// Hundredths of one processor that a throttled workload may use.
    pub throttle_percent: u8,
    /// For how long a workload is quarantined because of a finding.
    pub quarantine: Duration,
    /// Written to the terminal that a killed program was started from; empty for nothing. `{id}` is the record's.
    pub notice: String,
    /// Who is told of records.
    pub tell: Vec<TellSettings>,
    /// What operators should know of settings that are not wrong.
    pub warnings: Vec<String>,
    /// What may be reached: in general, and in overrides that say something else.
    pub(crate) lists: Vec<EgressList>,
    /// The numbers of those, once they are known.
    pub(crate) numbers: Vec<u16>,
    /// Those of the command line.
    pub(crate) named_interfaces: Vec<InterfaceSelector>,
    /// By override, the guards' settings there.
    pub(crate) overridden: Vec<Guards>,
    pub(crate) scope: ScopeRules,
}

impl Policy {
    /// Reads a settings file, or takes the defaults where none is named.
    pub fn load(path: Option<&Path>) -> Result<Self, SettingsError> {
        let Some(path) = path else {
            return Self::parse("default settings", DEFAULT_SETTINGS);
        };
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError {
            problems: vec![Problem {
                file: name.clone(),
                line: 0,
                message: format!("cannot be read: {error}"),
                help: "name a settings file with --config, or leave it out for the defaults"
                    .to_owned(),
            }],
        })?;
        Self::parse(&name, &text)
    }

    /// Checks the text of a settings file. `name` stands in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, SettingsError> {
        let raw: Raw = hayward_yaml::parse(name, text).map_err(|problem| SettingsError {
            problems: vec![problem],
        })?;
        let mut checker = Checker {
            file: name.to_owned(),
            problems: Vec::new(),
        };
        let policy = checker.policy(raw);
        match policy {
            Some(policy) if checker.problems.is_empty() => Ok(policy),
            _ => {
                checker.problems.sort_by_key(|problem| problem.line);
                Err(SettingsError {
                    problems: checker.problems,
                })
            }
        }
    }

    /// What may be reached, by the numbers that policies have before they are [`Policy::numbered`].
    pub fn egress_lists(&self) -> &[EgressList] {
        &self.lists
    }

    /// The settings of the guard `egress`, in general and in each override.
    pub fn egress_settings(&self) -> impl Iterator<Item = &EgressSettings> {
        let others = self.overridden.iter().map(|guards| &guards.egress);
        std::iter::once(&self.egress).chain(others)
    }

    /// The same policy, as it was parsed, with these numbers of lists, in their order: those that the kernel's map has.
    #[must_use]
    pub fn numbered(mut self, numbers: Vec<u16>) -> Self {
        let number = |list: u16| numbers.get(usize::from(list)).copied().unwrap_or(list);
        self.scope
            .change(|policy| policy.with_list(number(policy.egress_list())));
        self.numbers = numbers;
        self
    }

    /// Those numbers.
    pub fn list_numbers(&self) -> &[u16] {
        &self.numbers
    }

    /// The same policy with the guard `inbound` at these interfaces in place of those of the settings, unless there are none.
    /// Where settings do not list the guard, it is switched on, to observe by scanblocker's limit.
    #[must_use]
    pub fn at_interfaces(mut self, interfaces: &[InterfaceSelector]) -> Self {
        if interfaces.is_empty() {
            return self;
        }
        if !self.inbound.enabled {
            self.inbound = observing();
        }
        self.inbound.interfaces = interfaces.to_vec();
        self.named_interfaces = interfaces.to_vec();
        self
    }

    /// What [`Policy::at_interfaces`] was given.
    pub fn named_interfaces(&self) -> &[InterfaceSelector] {
        &self.named_interfaces
    }

    /// The scope, compiled.
    pub fn scope_rules(&self) -> &ScopeRules {
        &self.scope
    }
}

#[cfg(test)]
mod inbound_tests;
#[cfg(test)]
mod tests;
