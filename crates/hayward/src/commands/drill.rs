//! `hayward drill`: abuse, played harmlessly in a throwaway cgroup, to see that it is stopped.

mod inbound;

use std::{
    collections::BTreeMap,
    fs,
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hayward_agent::StatusReport;
use hayward_model::{Action, Guard, GuardStatus, Record};
use hayward_workload::cgroup2_mount;
use serde::Serialize;

use crate::{client, failure::Failure, show};
use inbound::Shown;

/// How long the record may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take where the command was not stopped: then there is none, unless it was observed.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// A cgroup that looks like a container's, removed when dropped.
struct Throwaway(PathBuf);

impl Drop for Throwaway {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// What is played for one guard.
struct Play {
    guard: Guard,
    /// What the record names as its rule.
    rule: &'static str,
    /// Joins the cgroup and does what is to be stopped.
    act: fn(&Path) -> Result<Stopped, Failure>,
    /// What that is, and what became of it where all is well.
    stopped: &'static str,
    /// And where it is not.
    not_stopped: &'static str,
    /// Where to look then.
    help: &'static str,
}

/// What became of whoever played.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopped {
    No,
    Killed,
    /// It was refused what it wanted, and ended by itself.
    Refused,
}

impl Stopped {
    /// What the record says then.
    const fn action(self) -> Option<Action> {
        match self {
            Self::No => None,
            Self::Killed => Some(Action::Killed),
            Self::Refused => Some(Action::Denied),
        }
    }
}

const PLAYS: [Play; 5] = [
    Play {
        guard: Guard::Command,
        rule: "builtin/test",
        act: banned_command,
        stopped: "a banned command in a new container was killed before it ran",
        not_stopped: "a banned command in a new container was NOT killed",
        help: "whether `rules` names `builtin`",
    },
    Play {
        guard: Guard::Randomx,
        rule: "randomx",
        act: rounding,
        stopped: "a process that rounds as RandomX does was killed",
        not_stopped: "a process that rounds as RandomX does was NOT killed",
        help: "whether `nudge` is on",
    },
    Play {
        guard: Guard::Egress,
        rule: "egress",
        act: denied_connect,
        stopped: "a connection to an address that settings deny was refused",
        not_stopped: "no connection was refused",
        help: "whether settings deny any of what was tried: 169.254.169.254, 198.51.100.1, 2001:db8::1",
    },
    Play {
        guard: Guard::Outbound,
        rule: "outbound",
        act: scan,
        stopped: "a scan of ports that refuse was stopped",
        not_stopped: "a scan of ports that refuse was NOT stopped",
        help: "whether `failures` allows for more than twenty",
    },
    Play {
        guard: Guard::Pool,
        rule: "pool",
        act: subscribe,
        stopped: "a miner that subscribes was cut off",
        not_stopped: "a miner that subscribes was NOT cut off",
        help: "whether the guard is switched on",
    },
];

/// How one play ended.
#[derive(Serialize)]
struct Ending {
    killed: bool,
    refused: bool,
    #[serde(skip)]
    stopped: Stopped,
    record: Option<Record>,
}

pub(crate) fn drill(socket: &Path, json: bool) -> Result<(), Failure> {
    let status: StatusReport = client::get(socket, "/v1/status")?;
    let mut endings = BTreeMap::new();
    let mut failures = Vec::new();
    let mut unlisted = Vec::new();
    for play in &PLAYS {
        let name = play.guard.name();
        match pointless(&status, play.guard) {
            Some(failure) if is_listed(&status, play.guard) => failures.push(failure),
            Some(failure) => unlisted.push(failure),
            None => {
                let ending = play.run(socket, &status)?;
                if !json {
                    play.show(&ending);
                }
                failures.extend(play.failure(&ending));
                endings.insert(name, serde_json::to_value(ending)?);
            }
        }
    }
    // It guards no cgroup, so nothing of it can be played in one.
    match pointless(&status, Guard::Inbound) {
        Some(failure) if is_listed(&status, Guard::Inbound) => failures.push(failure),
        Some(failure) => unlisted.push(failure),
        None => {
            let name = Guard::Inbound.name();
            let shown = Shown::ask(socket, status.guards[name].status)?;
            if !json {
                shown.show();
            }
            failures.extend(shown.failure());
            endings.insert(name, serde_json::to_value(shown)?);
        }
    }
    if json && !endings.is_empty() {
        show::json(&endings)?;
    }
    // A guard that nobody listed is no failure, unless there is no other.
    if endings.is_empty() {
        failures.append(&mut unlisted);
    }
    match failures.into_iter().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn is_listed(status: &StatusReport, guard: Guard) -> bool {
    let report = status.guards.get(guard.name());
    report.is_some_and(|report| report.status != GuardStatus::Off || report.switched_off)
}

impl Play {
    fn run(&self, socket: &Path, status: &StatusReport) -> Result<Ending, Failure> {
        let mounts = fs::read("/proc/mounts")?;
        let mount = cgroup2_mount(&mounts).ok_or(hayward_agent::AgentError::NoCgroup2)?;
        let folder = mount.join(status.cgroup_root.trim_start_matches('/'));
        let id: String = format!("{:064x}", std::process::id());
        let path = folder.join(format!("docker-{id}.scope"));
        fs::create_dir(&path).map_err(|error| {
            Failure::Other(anyhow::anyhow!(
                "cannot make the cgroup {}: {error}; run the drill as root",
                path.display()
            ))
        })?;
        let cgroup = Throwaway(path);
        let id = fs::metadata(&cgroup.0)?.ino();
        let since = jiff::Timestamp::now();
        let stopped = (self.act)(&cgroup.0)?;
        let patience = match stopped {
            Stopped::No => SHORT_PATIENCE,
            Stopped::Killed | Stopped::Refused => PATIENCE,
        };
        let record = find_record(socket, self.rule, since, id, patience)?;
        Ok(Ending {
            killed: stopped == Stopped::Killed,
            refused: stopped == Stopped::Refused,
            stopped,
            record,
        })
    }

    fn show(&self, ending: &Ending) {
        let text = match ending.stopped {
            Stopped::No => self.not_stopped,
            Stopped::Killed | Stopped::Refused => self.stopped,
        };
        show::line(&format!("{}: {text}", self.guard));
        let line = ending.record.as_ref().map(show::record);
        show::line(&format!("  {}", line.unwrap_or_default()));
    }

    fn failure(&self, ending: &Ending) -> Option<Failure> {
        let guard = self.guard;
        let response = match self.guard {
            Guard::Command | Guard::Randomx => "kill",
            Guard::Egress | Guard::Outbound | Guard::Pool | Guard::Inbound => "deny",
        };
        let text = match (ending.stopped.action(), &ending.record) {
            (Some(action), Some(record)) if record.action == action => return None,
            (Some(Action::Killed), _) => {
                format!("{guard}: it was killed, and no record came of it")
            }
            (Some(_), _) => format!(
                "{guard}: it was refused, and no record came of it; another guard may have refused it first"
            ),
            (None, Some(record)) if record.action == Action::Observed => format!(
                "{guard}: it was seen and spared, because the mode is observe; set `mode: enforce` for the agent and the guard, and `response: {response}`, then `hayward reload`"
            ),
            (None, _) => format!(
                "{guard}: it was not stopped; see `hayward status` for the reason, whether `scope` covers containers, and {}",
                self.help
            ),
        };
        Some(Failure::NotSo(text))
    }
}

/// A shell with the test string of the built-in rules on its command line.
fn banned_command(cgroup: &Path) -> Result<Stopped, Failure> {
    let shell = [r"/bin/sh", "-c", "exit 0", hayward_rules::TEST_STRING];
    in_cgroup(cgroup, &shell)
}

/// What settings deny, in a network that leads nowhere.
fn denied_connect(cgroup: &Path) -> Result<Stopped, Failure> {
    as_canary("canary-reaching", cgroup)
}

/// A scan of a network in which nobody else is.
fn scan(cgroup: &Path) -> Result<Stopped, Failure> {
    as_canary("canary-scanning", cgroup)
}

/// What a miner says, to its own host.
fn subscribe(cgroup: &Path) -> Result<Stopped, Failure> {
    as_canary("canary-subscribing", cgroup)
}

/// This binary joins the cgroup, and says by its exit code whether it was refused what it wanted.
fn as_canary(canary: &str, cgroup: &Path) -> Result<Stopped, Failure> {
    let status = Command::new("/proc/self/exe")
        .arg(canary)
        .arg(cgroup)
        .stderr(Stdio::null())
        .status()?;
    Ok(match status.code() {
        Some(0) => Stopped::Refused,
        // `NotSo`: it was not.
        Some(6) => Stopped::No,
        _ => {
            let text = format!("{canary} could not be played ({status}); run the drill as root");
            return Err(Failure::Other(anyhow::anyhow!(text)));
        }
    })
}

/// A copy of this binary that holds memory and rounds: the binary itself is never acted on.
fn rounding(cgroup: &Path) -> Result<Stopped, Failure> {
    let copy = hayward_agent::copy_of_self()?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), copy.as_raw_fd());
    in_cgroup(cgroup, &[&path, "canary-mining"])
}

/// A shell joins the cgroup, and then becomes the command.
fn in_cgroup(cgroup: &Path, command: &[&str]) -> Result<Stopped, Failure> {
    let status = Command::new("/bin/sh")
        .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
        .arg(cgroup)
        .args(command)
        .status()?;
    Ok(match status.signal() {
        Some(9) => Stopped::Killed,
        _ => Stopped::No,
    })
}

/// Why nothing of a guard is played, where nothing would be stopped: with the reason and what to do.
fn pointless(status: &StatusReport, guard: Guard) -> Option<Failure> {
    let name = guard.name();
    let Some(guard) = status.guards.get(name) else {
        return Some(Failure::NotSo(format!("the agent has no guard `{name}`")));
    };
    let reason = guard.reason.as_deref().unwrap_or("no reason is given");
    match guard.status {
        GuardStatus::Off if guard.switched_off => Some(Failure::NotSo(format!(
            "nothing was played: the guard `{name}` is off ({reason}); switch it on with `hayward on`"
        ))),
        GuardStatus::Off => Some(Failure::NotSo(format!(
            "nothing was played: the guard `{name}` is off ({reason}); list it there and `hayward reload`"
        ))),
        GuardStatus::Absent => Some(Failure::Kernel(format!(
            "nothing was played: this kernel cannot carry the guard `{name}` ({reason}); `hayward probe` shows what it lacks"
        ))),
        GuardStatus::Enforcing | GuardStatus::Observing | GuardStatus::Degraded => None,
    }
}

fn find_record(
    socket: &Path,
    rule: &str,
    since: jiff::Timestamp,
    cgroup: u64,
    patience: Duration,
) -> Result<Option<Record>, Failure> {
    let deadline = Instant::now() + patience;
    let since = since.checked_sub(Duration::from_secs(1))?;
    loop {
        let path = format!("/v1/events?since={since}&rule={rule}");
        let records: Vec<Record> = client::get_lines(socket, &path)?;
        let of_cgroup = |record: &Record| {
            record
                .workload
                .as_ref()
                .is_some_and(|w| w.cgroup_id == cgroup)
        };
        if let Some(record) = records.into_iter().find(of_cgroup) {
            return Ok(Some(record));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
