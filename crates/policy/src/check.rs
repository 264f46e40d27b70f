//! From raw settings to a policy: everything that is wrong is told at once, with its line.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use hayward_model::{Guard, Mode, Response, ScopePolicy};
use hayward_record::{
    compat::cryptnono::{EXECWHACKER_PORT, FLOWKILLER_PORT},
    mask::CommandLines,
};
use hayward_yaml::{Problem, Spanned, line_of};

use crate::{
    ApiSettings, CommandSettings, JournalSettings, LogFormat, Policy, quantity,
    raw::{Fileless, Raw, RawCommand, RawGuard, RawSelector, Unscanned},
    scope::{self, ScopeRules},
};

/// Guards that are planned and that this version does not have.
const LATER_GUARDS: [&str; 6] = ["randomx", "outbound", "pool", "egress", "inbound", "file"];

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
        let command = match raw.guards {
            Some(guards) => match self.guard(guards) {
                Some((raw, _)) => self.command(raw),
                None => absent(),
            },
            None => self.command(RawCommand::default()),
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
            let settings = self.overridden(&command, entry.guards);
            overrides.push((entry.r#match.value, scope_policy(mode, &settings)));
        }
        let exclude = selectors(&raw.scope.exclude);
        let general = scope_policy(mode, &command);
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
                operators: raw.api.operators.unwrap_or_else(|| "root".to_owned()),
            },
            log: raw.log.format.unwrap_or(LogFormat::Auto),
            identity: raw.identity,
            compat_cryptnono,
            scope: scope?,
        })
    }

    /// The `command` guard of a `guards` mapping, with its line; none where it is not listed.
    fn guard(
        &mut self,
        guards: BTreeMap<String, Spanned<RawGuard>>,
    ) -> Option<(RawCommand, usize)> {
        let mut command = None;
        for (name, guard) in guards {
            let line = line_of(&guard);
            match (name.as_str(), guard.value) {
                ("command", RawGuard::Short(mode)) => {
                    let raw = RawCommand {
                        mode: Some(mode),
                        ..Default::default()
                    };
                    command = Some((raw, line));
                }
                ("command", RawGuard::Full(raw)) => command = Some((*raw, line)),
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
        command
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

    /// The guard's settings with those that an override puts in their place.
    fn overridden(
        &mut self,
        command: &CommandSettings,
        guards: BTreeMap<String, Spanned<RawGuard>>,
    ) -> CommandSettings {
        let mut settings = command.clone();
        let Some((raw, line)) = self.guard(guards) else {
            return settings;
        };
        if !command.enabled {
            self.problem(
                line,
                "the override is for the guard `command`, which is off".to_owned(),
                "list `command` under `guards`, or remove the override",
            );
        }
        let lines = [
            ("rules", raw.rules.as_ref().map(line_of)),
            ("fileless", raw.fileless.as_ref().map(line_of)),
            ("unscanned", raw.unscanned.as_ref().map(line_of)),
            ("scan", raw.scan.as_ref().map(line_of)),
        ];
        for (key, line) in lines {
            if let Some(line) = line {
                self.problem(
                    line,
                    format!("`{key}` is one for all workloads, and cannot stand in an override"),
                    "set it under `guards`; an override takes `mode` and `response`",
                );
            }
        }
        settings.mode = raw.mode.unwrap_or(settings.mode);
        settings.response = raw.response.unwrap_or(settings.response);
        settings
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

/// What the guard may do where these settings hold. Whoever says `observe` is obeyed.
fn scope_policy(agent: Mode, command: &CommandSettings) -> ScopePolicy {
    if !command.enabled {
        return ScopePolicy::OUT;
    }
    let response = match command.response {
        Response::Kill => Mode::Enforce,
        Response::Observe => Mode::Observe,
    };
    ScopePolicy::of(Guard::Command, agent.and(command.mode).and(response))
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
