//! From raw settings to a policy: everything that is wrong is told at once, with its line.

mod workloads;

use std::{net::SocketAddr, time::Duration};

use hayward_model::{Guard, Mode, Response, ScopePolicy};
use hayward_record::{
    compat::cryptnono::{EXECWHACKER_PORT, FLOWKILLER_PORT},
    mask::CommandLines,
};
use hayward_yaml::{Problem, Spanned, line_of};

use crate::{
    ApiSettings, CommandSettings, JournalSettings, LogFormat, Policy, RandomxEvidence,
    RandomxSettings, quantity,
    raw::{Fileless, Raw, RawCommand, RawGuard, RawGuards, RawRandomx, RawSelector, Unscanned},
    scope::{self, ScopeRules},
};

/// Collects problems while raw settings become a policy.
pub(crate) struct Checker {
    pub(crate) file: String,
    pub(crate) problems: Vec<Problem>,
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

    pub(crate) fn policy(&mut self, raw: Raw) -> Option<Policy> {
        let mode = raw.mode.unwrap_or(Mode::Enforce);
        let guards = match raw.guards {
            Some(guards) => self.guards(guards),
            None => Guards {
                command: self.command(RawCommand::default()),
                randomx: randomx(RawRandomx::default()),
            },
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
            let settings = self.overridden(&guards, entry.guards);
            overrides.push((entry.r#match.value, settings.scope_policy(mode)));
        }
        let exclude = selectors(&raw.scope.exclude);
        let general = guards.scope_policy(mode);
        let cgroup_root = self.cgroup_root(raw.cgroup_root);
        let root = cgroup_root.as_deref().unwrap_or("/");
        let scope = ScopeRules::compile(&include, &exclude, &overrides, general, root);
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
        let cryptnono_listen = self.cryptnono_listen(raw.metrics.cryptnono)?;
        let mut compat_cryptnono = None;
        for name in raw.compat {
            match name.value.as_str() {
                "cryptnono" => compat_cryptnono = Some(cryptnono_listen),
                other => {
                    let message = format!("this version has no compatibility with `{other}`");
                    self.problem(line_of(&name), message, "known is cryptnono");
                }
            }
        }
        let workloads = self.workloads(raw.workloads);
        Some(Policy {
            mode,
            command: guards.command,
            randomx: guards.randomx,
            workloads,
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
                operators: raw.api.operators.unwrap_or_else(|| "root".to_owned()),
            },
            log: raw.log.format.unwrap_or(LogFormat::Auto),
            identity: raw.identity,
            compat_cryptnono,
            scope: scope?,
        })
    }

    /// The guards of a `guards` mapping. One that is not listed is off.
    fn guards(&mut self, raw: RawGuards) -> Guards {
        self.refuse_later(&raw);
        Guards {
            command: raw.command.map_or_else(no_command, |raw| {
                self.command(full(raw.value, RawCommand::of_mode))
            }),
            randomx: raw.randomx.map_or_else(no_randomx, |raw| {
                randomx(full(raw.value, RawRandomx::of_mode))
            }),
        }
    }

    fn refuse_later(&mut self, raw: &RawGuards) {
        for (name, line) in raw.later() {
            let message = format!("the guard `{name}` is not in this version");
            self.problem(line, message, "remove it");
        }
    }

    fn command(&mut self, raw: RawCommand) -> CommandSettings {
        let folder = "/etc/hayward/rules.d";
        CommandSettings {
            enabled: true,
            mode: raw.mode.unwrap_or(Mode::Enforce),
            response: raw.response.unwrap_or(Response::Kill),
            rules: raw.rules.map_or_else(
                || {
                    let files = ["yaml", "json", "age"].map(|kind| format!("{folder}/*.{kind}"));
                    ["builtin".to_owned()].into_iter().chain(files).collect()
                },
                |rules| rules.value,
            ),
            fileless_kill: raw.fileless.is_some_and(|s| s.value == Fileless::Kill),
            unscanned_kill: raw.unscanned.is_some_and(|s| s.value == Unscanned::Kill),
            scan: self.duration(raw.scan, "10s").unwrap_or_default(),
        }
    }

    /// The guards' settings with those that an override puts in their place.
    fn overridden(&mut self, guards: &Guards, raw: RawGuards) -> Guards {
        self.refuse_later(&raw);
        let Guards {
            mut command,
            mut randomx,
        } = guards.clone();
        if let Some(raw) = raw.command {
            let line = line_of(&raw);
            let raw = full(raw.value, RawCommand::of_mode);
            let lines = [
                ("rules", raw.rules.as_ref().map(line_of)),
                ("fileless", raw.fileless.as_ref().map(line_of)),
                ("unscanned", raw.unscanned.as_ref().map(line_of)),
                ("scan", raw.scan.as_ref().map(line_of)),
            ];
            self.refuse_override(Guard::Command, command.enabled, line, &lines);
            command.mode = raw.mode.unwrap_or(command.mode);
            command.response = raw.response.unwrap_or(command.response);
        }
        if let Some(raw) = raw.randomx {
            let line = line_of(&raw);
            let raw = full(raw.value, RawRandomx::of_mode);
            let lines = [
                ("evidence", raw.evidence.as_ref().map(line_of)),
                ("nudge", raw.nudge.as_ref().map(line_of)),
            ];
            self.refuse_override(Guard::Randomx, randomx.enabled, line, &lines);
            randomx.mode = raw.mode.unwrap_or(randomx.mode);
            randomx.response = raw.response.unwrap_or(randomx.response);
        }
        Guards { command, randomx }
    }

    /// Tells of an override for a guard that is off, and of keys that are one for all workloads, with their lines.
    fn refuse_override(
        &mut self,
        guard: Guard,
        enabled: bool,
        line: usize,
        keys: &[(&str, Option<usize>)],
    ) {
        if !enabled {
            self.problem(
                line,
                format!("the override is for the guard `{guard}`, which is off"),
                &format!("list `{guard}` under `guards`, or remove the override"),
            );
        }
        for (key, line) in keys {
            if let Some(line) = line {
                self.problem(
                    *line,
                    format!("`{key}` is one for all workloads, and cannot stand in an override"),
                    "set it under `guards`; an override takes `mode` and `response`",
                );
            }
        }
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

    /// Where nothing is set, on every address, as cryptnono does: it runs in a pod.
    fn cryptnono_listen(
        &mut self,
        listen: Option<Spanned<[String; 2]>>,
    ) -> Option<[SocketAddr; 2]> {
        let Some(listen) = listen else {
            return Some(
                [EXECWHACKER_PORT, FLOWKILLER_PORT].map(|port| ([0, 0, 0, 0], port).into()),
            );
        };
        if let [Ok(execwhacker), Ok(flowkiller)] = listen.value.each_ref().map(|text| text.parse())
        {
            return Some([execwhacker, flowkiller]);
        }
        let message = format!(
            "`cryptnono: {:?}` are not two addresses with ports",
            listen.value
        );
        let help = "write those of execwhacker and flowkiller, such as [\"0.0.0.0:12121\", \"0.0.0.0:12122\"]";
        self.problem(line_of(&listen), message, help);
        None
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

/// The guards' settings, in general or in an override.
#[derive(Clone)]
struct Guards {
    command: CommandSettings,
    randomx: RandomxSettings,
}

impl Guards {
    /// What the guards may do where these settings hold. Whoever says `observe` is obeyed.
    fn scope_policy(&self, agent: Mode) -> ScopePolicy {
        let (command, randomx) = (&self.command, &self.randomx);
        [
            (
                Guard::Command,
                command.enabled,
                command.mode,
                command.response,
            ),
            (
                Guard::Randomx,
                randomx.enabled,
                randomx.mode,
                randomx.response,
            ),
        ]
        .into_iter()
        .filter(|(_, enabled, ..)| *enabled)
        .fold(ScopePolicy::OUT, |policy, (guard, _, mode, response)| {
            let response = match response {
                Response::Kill => Mode::Enforce,
                Response::Observe => Mode::Observe,
            };
            policy.with(guard, agent.and(mode).and(response))
        })
    }
}

/// A guard's settings, however short they are written.
fn full<T>(raw: RawGuard<T>, of_mode: impl FnOnce(Mode) -> T) -> T {
    match raw {
        RawGuard::Short(mode) => of_mode(mode),
        RawGuard::Full(raw) => *raw,
    }
}

impl RawCommand {
    fn of_mode(mode: Mode) -> Self {
        Self {
            mode: Some(mode),
            ..Self::default()
        }
    }
}

impl RawRandomx {
    fn of_mode(mode: Mode) -> Self {
        Self {
            mode: Some(mode),
            ..Self::default()
        }
    }
}

fn randomx(raw: RawRandomx) -> RandomxSettings {
    RandomxSettings {
        enabled: true,
        mode: raw.mode.unwrap_or(Mode::Enforce),
        response: raw.response.unwrap_or(Response::Kill),
        evidence: raw
            .evidence
            .map_or(RandomxEvidence::Strict, |evidence| evidence.value),
        nudge: raw.nudge.is_none_or(|nudge| nudge.value),
    }
}

fn no_randomx() -> RandomxSettings {
    RandomxSettings {
        enabled: false,
        mode: Mode::Observe,
        response: Response::Observe,
        ..randomx(RawRandomx::default())
    }
}

fn no_command() -> CommandSettings {
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
