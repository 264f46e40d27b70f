//! `hayward drill`: abuse, played harmlessly in a throwaway cgroup, to see that it is stopped.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use hayward_agent::StatusReport;
use hayward_model::{Action, Guard, GuardStatus, Record};
use hayward_workload::cgroup2_mount;

use crate::{client, failure::Failure, show};

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

pub(crate) fn drill(socket: &Path, json: bool) -> Result<(), Failure> {
    let status: StatusReport = client::get(socket, "/v1/status")?;
    refuse_where_pointless(&status)?;
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
    let outcome = Command::new("/bin/sh")
        .args([
            "-c",
            r#"echo $$ > "$0/cgroup.procs" && exec /bin/sh -c 'exit 0' "$1""#,
        ])
        .arg(&cgroup.0)
        .arg(hayward_rules::TEST_STRING)
        .status()?;
    let killed = outcome.signal() == Some(9);
    let patience = if killed { PATIENCE } else { SHORT_PATIENCE };
    let record = find_record(socket, since, id, patience)?;
    if json {
        show::json(&serde_json::json!({"killed": killed, "record": record}))?;
    } else {
        let line = record.as_ref().map(show::record).unwrap_or_default();
        show::line(&format!(
            "command: a banned command in a new container was {}",
            if killed {
                "killed before it ran"
            } else {
                "NOT killed"
            }
        ));
        show::line(&format!("  {line}"));
    }
    match (killed, record) {
        (true, Some(record)) if record.action == Action::Killed => Ok(()),
        (true, _) => Err(Failure::NotSo("it was killed, and no record came of it".to_owned())),
        (false, Some(record)) if record.action == Action::Observed => {
            let help = "set `mode: enforce` for the agent and the guard, and `response: kill`, then `hayward reload`";
            Err(Failure::NotSo(format!("it was seen and spared, because the mode is observe; {help}")))
        }
        (false, _) => Err(Failure::NotSo(
            "it was not stopped; see `hayward status` for the reason, whether `scope` covers containers, and whether `rules` names `builtin`".to_owned(),
        )),
    }
}

/// Where nothing would be stopped, that is said at once, with the reason and what to do.
fn refuse_where_pointless(status: &StatusReport) -> Result<(), Failure> {
    let name = Guard::Command.name();
    let Some(guard) = status.guards.get(name) else {
        return Err(Failure::NotSo(format!("the agent has no guard `{name}`")));
    };
    let reason = guard.reason.as_deref().unwrap_or("no reason is given");
    match guard.status {
        GuardStatus::Off if guard.switched_off => Err(Failure::NotSo(format!(
            "nothing was played: the guard `{name}` is off ({reason}); switch it on with `hayward on`"
        ))),
        GuardStatus::Off => Err(Failure::NotSo(format!(
            "nothing was played: the guard `{name}` is off ({reason}); list it there and `hayward reload`"
        ))),
        GuardStatus::Absent => Err(Failure::Kernel(format!(
            "nothing was played: this kernel cannot carry the guard `{name}` ({reason}); `hayward probe` shows what it lacks"
        ))),
        GuardStatus::Enforcing | GuardStatus::Observing | GuardStatus::Degraded => Ok(()),
    }
}

fn find_record(
    socket: &Path,
    since: jiff::Timestamp,
    cgroup: u64,
    patience: Duration,
) -> Result<Option<Record>, Failure> {
    let deadline = Instant::now() + patience;
    let since = since.checked_sub(Duration::from_secs(1))?;
    loop {
        let path = format!("/v1/events?since={since}&rule=builtin/test");
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
