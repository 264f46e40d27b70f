//! `hayward drill`: abuse, played harmlessly in a throwaway cgroup, to see that it is stopped.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use hayward_agent::StatusReport;
use hayward_model::{Action, Record};
use hayward_workload::cgroup2_mount;

use crate::{client, failure::Failure, show};

/// How long the record may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A cgroup that looks like a container's, removed when dropped.
struct Throwaway(PathBuf);

impl Drop for Throwaway {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

pub(crate) fn drill(socket: &Path, json: bool) -> Result<(), Failure> {
    let status: StatusReport = client::get(socket, "/v1/status")?;
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
    let record = find_record(socket, since, id)?;
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
            Err(Failure::NotSo("it was seen and spared, because the mode is observe".to_owned()))
        }
        (false, _) => Err(Failure::NotSo(
            "it was not stopped; see `hayward status` for the reason, and whether `scope` covers containers".to_owned(),
        )),
    }
}

fn find_record(
    socket: &Path,
    since: jiff::Timestamp,
    cgroup: u64,
) -> Result<Option<Record>, Failure> {
    let deadline = Instant::now() + PATIENCE;
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
