//! Settings, checked: what the agent works with.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_model::{Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::{Problem, Spanned, line_of};
use serde::Deserialize;

use crate::{
    quantity,
    raw::{Fileless, Raw, RawCommand, RawGuard, RawSelector, Unscanned},
    scope::{self, ScopeRules},
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
}

/// Settings in which everything has been checked.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Mode of the whole agent.
    pub mode: Mode,
    /// The `command` guard.
    pub command: CommandSettings,
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
    /// cryptnono's metrics and log lines are given too.
    pub compat_cryptnono: bool,
    scope: ScopeRules,
}

/// Guards that are planned and that this version does not have.
const LATER_GUARDS: [&str; 6] = ["randomx", "outbound", "pool", "egress", "inbound", "file"];

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

/// Collects problems while raw settings become a policy.
struct Checker {
    file: String,
    problems: Vec<Problem>,
}

impl Checker {
    fn problem(&mut self, line: usize, message: String, help: &str) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            message,
            help: help.to_owned(),
        });
    }

    fn checked<T>(&mut self, line: usize, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|message| self.problem(line, message, ""))
            .ok()
    }

    fn duration(&mut self, text: Option<Spanned<String>>, default: &str) -> Option<Duration> {
        let (line, text) = text.map_or((0, default.to_owned()), |s| (line_of(&s), s.value));
        self.checked(line, quantity::duration(&text))
    }

    fn policy(&mut self, raw: Raw) -> Option<Policy> {
        let mode = raw.mode.unwrap_or(Mode::Enforce);
        let command = match raw.guards {
            Some(guards) => self.guard(guards).unwrap_or_else(|| Some(absent()))?,
            None => self.command(RawCommand::default(), 0)?,
        };
        let include = raw.scope.include;
        let selectors = |spanned: &[Spanned<RawSelector>]| -> Vec<RawSelector> {
            spanned
                .iter()
                .map(|spanned| spanned.value.clone())
                .collect()
        };
        let line = include.as_deref().and_then(<[_]>::first).map_or(0, line_of);
        let matches = raw.overrides.iter().map(|entry| &entry.r#match);
        for selector in include
            .iter()
            .flatten()
            .chain(&raw.scope.exclude)
            .chain(matches)
        {
            let checked = scope::check(&selector.value);
            self.checked(line_of(selector), checked);
        }
        let include = include.map_or_else(
            || vec![RawSelector::Word("containers".to_owned())],
            |include| selectors(&include),
        );
        let mut overrides = Vec::new();
        for entry in raw.overrides {
            let settings = self.guard(entry.guards).flatten();
            let mode = settings.map_or(command.mode, |settings| settings.mode);
            overrides.push((entry.r#match.value, mode));
        }
        let exclude = selectors(&raw.scope.exclude);
        let scope = ScopeRules::compile(&include, &exclude, &overrides, command.mode);
        // Selectors that are wrong by themselves have been told, each with its line.
        let scope = if self.problems.is_empty() {
            self.checked(line, scope)
        } else {
            scope.ok()
        };
        let lease = self.duration(raw.lease, "24h");
        let keep = self.duration(raw.journal.keep, "7d");
        let max = raw
            .journal
            .max
            .map_or((0, "1GiB".to_owned()), |s| (line_of(&s), s.value));
        let max_bytes = self.checked(max.0, quantity::size(&max.1));
        if max_bytes.is_some_and(|bytes| bytes < 2 << 20) {
            self.problem(
                max.0,
                format!("`max: {}` is too small", max.1),
                "give the journal at least 2MiB",
            );
        }
        let listen = self.listen(raw.metrics.listen);
        let cgroup_root = self.cgroup_root(raw.cgroup_root);
        let mut compat_cryptnono = false;
        for name in raw.compat {
            match name.value.as_str() {
                "cryptnono" => compat_cryptnono = true,
                other => {
                    let message = format!("this version has no compatibility with `{other}`");
                    self.problem(line_of(&name), message, "known is cryptnono");
                }
            }
        }
        Some(Policy {
            mode,
            command,
            lease: lease?,
            cgroup_root: cgroup_root?,
            pins: raw.pins.unwrap_or_else(|| "/sys/fs/bpf/hayward".into()),
            journal: JournalSettings {
                path: raw
                    .journal
                    .path
                    .unwrap_or_else(|| "/var/lib/hayward/journal".into()),
                keep: keep?,
                max_bytes: max_bytes?,
                command_lines: raw.journal.command_lines.unwrap_or(CommandLines::Masked),
            },
            metrics_listen: listen?,
            api: ApiSettings {
                socket: raw
                    .api
                    .socket
                    .unwrap_or_else(|| "/run/hayward/hayward.sock".into()),
                readers: raw.api.readers.unwrap_or_else(|| "hayward".to_owned()),
            },
            log: raw.log.format.unwrap_or(LogFormat::Auto),
            identity: raw.identity,
            compat_cryptnono,
            scope: scope?,
        })
    }

    /// The `command` guard of a `guards` mapping: none where something is wrong, inner none where it is not listed.
    fn guard(
        &mut self,
        guards: std::collections::BTreeMap<String, Spanned<RawGuard>>,
    ) -> Option<Option<CommandSettings>> {
        let mut command = None;
        for (name, guard) in guards {
            let line = line_of(&guard);
            match (name.as_str(), guard.value) {
                ("command", RawGuard::Short(mode)) => {
                    command = self.command(
                        RawCommand {
                            mode: Some(mode),
                            ..Default::default()
                        },
                        line,
                    );
                }
                ("command", RawGuard::Full(raw)) => command = self.command(raw, line),
                (later, _) if LATER_GUARDS.contains(&later) => {
                    self.problem(
                        line,
                        format!("the guard `{later}` is not in this version"),
                        "remove it",
                    );
                }
                (unknown, _) => {
                    self.problem(
                        line,
                        format!("unknown guard `{unknown}`"),
                        "known is `command`",
                    );
                }
            }
        }
        command.map(Some)
    }

    fn command(&mut self, raw: RawCommand, line: usize) -> Option<CommandSettings> {
        let scan = raw.scan.unwrap_or_else(|| "10s".to_owned());
        let folder = "/etc/hayward/rules.d";
        Some(CommandSettings {
            enabled: true,
            mode: raw.mode.unwrap_or(Mode::Enforce),
            response: raw.response.unwrap_or(Response::Kill),
            rules: raw.rules.unwrap_or_else(|| {
                let files = ["yaml", "json", "age"].map(|kind| format!("{folder}/*.{kind}"));
                ["builtin".to_owned()].into_iter().chain(files).collect()
            }),
            fileless_kill: raw.fileless == Some(Fileless::Kill),
            unscanned_kill: raw.unscanned == Some(Unscanned::Kill),
            scan: self.checked(line, quantity::duration(&scan))?,
        })
    }

    fn listen(&mut self, listen: Option<Spanned<String>>) -> Option<Option<SocketAddr>> {
        let Some(listen) = listen else {
            return Some("127.0.0.1:9752".parse().ok());
        };
        if listen.value == "none" {
            return Some(None);
        }
        let parsed = listen.value.parse().map(Some);
        let message = format!("`listen: {}` is no address with a port", listen.value);
        self.checked(
            line_of(&listen),
            parsed.map_err(|_| format!("{message}; write 127.0.0.1:9752 or none")),
        )
    }

    fn cgroup_root(&mut self, root: Option<Spanned<String>>) -> Option<String> {
        let Some(root) = root else {
            return Some("/".to_owned());
        };
        let path = root.value.trim_end_matches('/');
        if root.value.starts_with('/') && !path.contains("..") {
            return Some(if path.is_empty() { "/" } else { path }.to_owned());
        }
        let message = format!("`cgroup_root: {}` is no path of a cgroup", root.value);
        self.problem(
            line_of(&root),
            message,
            "write it as /proc/PID/cgroup does, such as /kubepods.slice",
        );
        None
    }
}

/// A guard that is not listed is off.
fn absent() -> CommandSettings {
    CommandSettings {
        enabled: false,
        mode: Mode::Observe,
        response: Response::Observe,
        rules: Vec::new(),
        fileless_kill: false,
        unscanned_kill: false,
        scan: Duration::ZERO,
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
                "guards: {randomx: observe}\n",
                "`randomx` is not in this version",
            ),
            ("guards: {comand: observe}\n", "unknown guard `comand`"),
            (
                "scope: {include: [container]}\n",
                "`container` selects nothing",
            ),
            (
                "scope: {include: [{namespace: x}]}\n",
                "cannot select by `namespace`",
            ),
            ("journal: {max: 1GB}\n", "`1GB` is no size"),
            ("journal: {max: 1KiB}\n", "too small"),
            ("metrics: {listen: everywhere}\n", "no address with a port"),
            ("cgroup_root: x\n", "no path of a cgroup"),
            ("compat: [falco]\n", "no compatibility with `falco`"),
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

    proptest::proptest! {
        #[test]
        fn settings_never_panics(text in "\\PC{0,200}") {
            let _ = Policy::parse("x", &text);
        }
    }
}
