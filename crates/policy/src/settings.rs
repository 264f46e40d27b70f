//! Settings, checked: what the agent works with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_model::{Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::Problem;
use serde::Deserialize;

use crate::{check::Checker, raw::Raw, scope::ScopeRules};

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

    /// The scope, compiled.
    pub fn scope_rules(&self) -> &ScopeRules {
        &self.scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Policy::parse("h.yaml", text).expect_err(text).to_string()
    }

    #[test]
    fn the_embedded_file_is_what_holds_without_one() {
        let embedded = Policy::parse("embedded", DEFAULT_SETTINGS).expect("good");
        let empty = Policy::parse("empty", "").expect("good");
        assert_eq!(format!("{embedded:?}"), format!("{empty:?}"));
        assert!(embedded.command.enabled);
        assert_eq!(embedded.lease, Duration::from_secs(86_400));
    }

    #[test]
    fn a_guard_that_is_not_listed_is_off_and_one_word_sets_its_mode() {
        assert!(
            !Policy::parse("a", "guards: {}")
                .expect("good")
                .command
                .enabled
        );
        let short = Policy::parse("a", "guards: {command: observe}").expect("good");
        assert!(short.command.enabled);
        assert_eq!(short.command.mode, Mode::Observe);
    }

    #[test]
    fn errors_name_file_line_and_what_to_do() {
        for (text, expected) in [
            ("mode: enforce\nleese: 1h\n", "h.yaml:2: unknown field"),
            ("leese: 1h\n", "did you mean `lease`?"),
            ("lease: soon\n", "h.yaml:1: `soon` is no duration"),
            ("mode: kill\n", "known are observe, enforce"),
            (
                "guards: {outbound: observe}\n",
                "`outbound` is not in this version",
            ),
            ("guards: {comand: observe}\n", "did you mean `command`?"),
            (
                "guards: {randomx: {evidence: all}}\n",
                "known are strict, memory, rounding",
            ),
            (
                "overrides: [{match: /a, guards: {randomx: {nudge: false}}}]\n",
                "`nudge` is one for all workloads",
            ),
            (
                "guards: {command: {}}\noverrides:\n- {match: /a, guards: {randomx: enforce}}\n",
                "h.yaml:3: the override is for the guard `randomx`, which is off",
            ),
            (
                "scope: {include: [container]}\n",
                "`container` selects nothing",
            ),
            (
                "scope: {include: [{namespace: x}]}\n",
                "cannot select by `namespace`",
            ),
            (
                "workloads:\n  environment:\n  - JUPYTERHUB_API_TOKEN\n",
                "h.yaml:3: `JUPYTERHUB_API_TOKEN` is a secret by its name",
            ),
            (
                "workloads: {environment: [\"A=B\"]}\n",
                "`A=B` is no name of a variable",
            ),
            ("journal: {max: 1GB}\n", "`1GB` is no size"),
            ("journal: {max: 1KiB}\n", "too small"),
            ("metrics: {listen: everywhere}\n", "no address with a port"),
            ("cgroup_root: x\n", "no path of a cgroup"),
            ("compat: [falco]\n", "no compatibility with `falco`"),
            (
                "overrides:\n  - match: /a\n    guards:\n      command:\n        mode: observe\n        rules: [x]\n",
                "h.yaml:6: `rules` is one for all workloads",
            ),
            (
                "overrides: [{match: /a, guards: {command: {scan: 1s}}}]\n",
                "h.yaml:1: `scan` is one for all workloads",
            ),
            (
                "overrides: [{match: /a, guards: {command: {fileless: kill}}}]\n",
                "an override takes `mode` and `response`",
            ),
            (
                "overrides: [{match: /a, guards: {command: {unscanned: kill}}}]\n",
                "`unscanned` is one for all workloads",
            ),
            (
                "guards: {}\noverrides:\n- {match: /a, guards: {command: enforce}}\n",
                "h.yaml:3: the override is for the guard `command`, which is off",
            ),
            ("guards: {command: {scan: soon}}\n", "`soon` is no duration"),
        ] {
            let problems = problems(text);
            assert!(problems.contains(expected), "{text}: {problems}");
        }
    }

    #[test]
    fn several_problems_are_told_at_once() {
        let problems = problems("lease: soon\ncgroup_root: x\n");
        assert!(
            problems.contains("soon") && problems.contains("cgroup_root"),
            "{problems}"
        );
    }
}
