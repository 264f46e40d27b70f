//! From raw settings to a policy: everything that is wrong is told at once, with its line.

pub(crate) mod egress;
mod firewall;
pub(crate) mod inbound;
mod listen;
mod outbound;
mod pool;
mod responses;
mod scope;
mod short;
mod tell;
mod workloads;

use std::time::Duration;

use hayward_model::{Guard, Mode, Response};
use hayward_record::mask::CommandLines;
use hayward_yaml::{Problem, Spanned, line_of};

use self::{
    egress::no_egress, inbound::no_inbound, outbound::no_outbound, pool::no_pool, short::full,
};
use crate::{
    ApiSettings, CommandSettings, JournalSettings, LogFormat, Policy, RandomxEvidence,
    RandomxSettings,
    guards::Guards,
    quantity,
    raw::{Fileless, Raw, RawCommand, RawGuards, RawRandomx, RawSelector, Unscanned},
    scope::{ScopeRules, check},
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

    /// How much a journal may have on disk.
    fn max_bytes(&mut self, text: Option<Spanned<String>>, default: &str) -> Option<u64> {
        let (line, text) = text.map_or((0, default.to_owned()), |s| (line_of(&s), s.value));
        let bytes = self.checked(line, quantity::size(&text));
        if bytes.is_some_and(|bytes| bytes < 2 << 20) {
            let message = format!("`max: {text}` is too small");
            self.problem(line, message, "give it at least 2MiB");
        }
        bytes
    }

    pub(crate) fn policy(&mut self, raw: Raw) -> Option<Policy> {
        let mode = raw.mode.unwrap_or(Mode::Enforce);
        let guards = match raw.guards {
            Some(guards) => self.guards(guards),
            None => Guards {
                command: self.command(RawCommand::default()),
                randomx: randomx(RawRandomx::default()),
                egress: no_egress(),
                outbound: no_outbound(),
                pool: no_pool(),
                inbound: no_inbound(),
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
            let checked = check(&selector.value);
            self.checked(line_of(selector), checked);
        }
        let root = raw.cgroup_root.as_ref().map_or("/", |root| &root.value);
        if !raw.scope.host && root == "/" {
            self.refuse_the_host(include.as_deref().unwrap_or_default());
        }
        let warnings = self.contradictions(&include, &raw.scope.exclude, &raw.overrides);
        let include = include.map_or_else(
            || vec![RawSelector::Word("containers".to_owned())],
            |include| selectors(&include),
        );
        let mut lists = Vec::new();
        let list = self.number(&mut lists, &guards.egress);
        let general = guards.scope_policy(mode, list);
        let mut overrides = Vec::new();
        let mut overridden = Vec::new();
        for entry in raw.overrides {
            let settings = self.overridden(&guards, entry.guards);
            let list = self.number(&mut lists, &settings.egress);
            overrides.push((entry.r#match.value, settings.scope_policy(mode, list)));
            overridden.push(settings);
        }
        self.refuse_many_names(&lists);
        let exclude = selectors(&raw.scope.exclude);
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
        let max_bytes = self.max_bytes(raw.journal.max, "1GiB");
        let listen = self.listen(raw.metrics.listen);
        let cryptnono_listen = self.cryptnono_listen(raw.metrics.cryptnono)?;
        let scanblocker_listen = self.scanblocker_listen(raw.metrics.scanblocker)?;
        let mut compat_cryptnono = None;
        let mut compat_scanblocker = None;
        for name in raw.compat {
            match name.value.as_str() {
                "cryptnono" => compat_cryptnono = Some(cryptnono_listen),
                "scanblocker" => compat_scanblocker = Some(scanblocker_listen),
                other => {
                    let message = format!("this version has no compatibility with `{other}`");
                    self.problem(line_of(&name), message, "known are cryptnono, scanblocker");
                }
            }
        }
        let workloads = self.workloads(raw.workloads);
        let strikes = self.strikes(raw.strikes)?;
        let throttle = self.percent("throttle", raw.throttle, "5%");
        let quarantine = self.quarantine(raw.quarantine);
        let breaker = self.breaker(raw.breaker);
        let notice = self.notice(raw.notice);
        let tell = self.tell(raw.tell);
        Some(Policy {
            mode,
            command: guards.command,
            randomx: guards.randomx,
            egress: guards.egress,
            outbound: guards.outbound,
            pool: guards.pool,
            inbound: guards.inbound,
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
            compat_scanblocker,
            strikes,
            throttle_percent: throttle?,
            quarantine: quarantine?,
            breaker: breaker?,
            notice,
            tell,
            warnings,
            lists,
            numbers: Vec::new(),
            named_interfaces: Vec::new(),
            overridden,
            scope: scope?,
        })
    }

    /// The guards of a `guards` mapping. One that is not listed is off.
    fn guards(&mut self, raw: RawGuards) -> Guards {
        self.refuse_later(&raw);
        let lines = lines_of(&raw);
        let guards = Guards {
            command: raw
                .command
                .map_or_else(no_command, |raw| self.command(full(raw.value))),
            randomx: raw
                .randomx
                .map_or_else(no_randomx, |raw| randomx(full(raw.value))),
            egress: raw
                .egress
                .map_or_else(no_egress, |raw| self.egress(full(raw.value))),
            outbound: raw
                .outbound
                .map_or_else(no_outbound, |raw| self.outbound(full(raw.value))),
            pool: raw
                .pool
                .map_or_else(no_pool, |raw| self.pool(full(raw.value))),
            inbound: raw.inbound.map_or_else(no_inbound, |raw| {
                let line = line_of(&raw);
                self.inbound(full(raw.value), line)
            }),
        };
        self.refuse_deny(&guards, lines);
        guards
    }

    /// Tells of guards that are to refuse something and cannot: what they find has happened.
    fn refuse_deny(&mut self, guards: &Guards, lines: [usize; 2]) {
        for (guard, line) in [Guard::Command, Guard::Randomx].into_iter().zip(lines) {
            if guards.of(guard).2 == Response::Deny {
                let message =
                    format!("`response: deny` is nothing that the guard `{guard}` can do");
                let help =
                    "write observe, throttle, quarantine, freeze, kill, kill-workload or evict";
                self.problem(line, message, help);
            }
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
        let lines = lines_of(&raw);
        let Guards {
            mut command,
            mut randomx,
            mut egress,
            mut outbound,
            mut pool,
            inbound,
        } = guards.clone();
        if let Some(raw) = raw.command {
            let line = line_of(&raw);
            let raw = full(raw.value);
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
            let raw = full(raw.value);
            let lines = [("nudge", raw.nudge.as_ref().map(line_of))];
            self.refuse_override(Guard::Randomx, randomx.enabled, line, &lines);
            randomx.mode = raw.mode.unwrap_or(randomx.mode);
            randomx.response = raw.response.unwrap_or(randomx.response);
            let evidence = raw.evidence.map(|evidence| evidence.value);
            randomx.evidence = evidence.unwrap_or(randomx.evidence);
        }
        if let Some(raw) = raw.egress {
            let line = line_of(&raw);
            let raw = full(raw.value);
            self.refuse_override(Guard::Egress, egress.enabled, line, &raw.of_all());
            egress = self.overridden_egress(egress, raw);
        }
        if let Some(raw) = raw.outbound {
            outbound = self.overridden_outbound(outbound, raw);
        }
        if let Some(raw) = raw.pool {
            let line = line_of(&raw);
            pool = self.overridden_pool(pool, full(raw.value), line);
        }
        if let Some(raw) = raw.inbound {
            let message = "the guard `inbound` is of the host, and of no workload".to_owned();
            self.problem(line_of(&raw), message, "set it under `guards`");
        }
        let guards = Guards {
            command,
            randomx,
            egress,
            outbound,
            pool,
            inbound,
        };
        self.refuse_deny(&guards, lines);
        guards
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
                    "set it under `guards`; an override takes `mode` and `response`, `evidence` of `randomx`, and of `egress` what may be reached",
                );
            }
        }
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

/// Where `command` and `randomx` stand.
fn lines_of(raw: &RawGuards) -> [usize; 2] {
    [
        raw.command.as_ref().map_or(0, line_of),
        raw.randomx.as_ref().map_or(0, line_of),
    ]
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
