//! One run: a workload in a cgroup of its own, and an agent that has seen nothing before.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hayward_kernel::boot_ns;
use hayward_model::RoundingEvent;
use hayward_tests::{Host, corpus};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{rule::Rule, workload::Workload};

/// What a shell does before it becomes a program.
const JOIN: &str = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
/// How often the agent's log is read.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trial {
    /// Seconds until the agent found it to mine, by its rounding.
    pub(crate) found: Option<f64>,
    /// What kept the agent from killing it all the same.
    pub(crate) lacks: Option<String>,
    /// Seconds until cryptnono's rule was met.
    pub(crate) rule: Option<f64>,
}

/// Runs it until both have decided or patience ends.
pub(crate) fn run(host: &mut Host, workload: &Workload) -> Result<Trial> {
    let log = host.path("log");
    let _ = fs::remove_file(&log);
    host.spawn();
    host.wait_until("an agent that observes", || {
        let answer = host.hayward(&["status", "--json"]);
        answer.code == 0 && {
            let guards = &answer.json()["guards"];
            guards["randomx"]["status"] == "observing" && guards["command"]["status"] == "enforcing"
        }
    });
    let seen = host.path("samples");
    let samples = host
        .command(&["samples"])
        .stdout(File::create(&seen)?)
        .spawn()?;
    let samples = Running(samples);
    let cgroup = Cgroup::create(host.inside.join("run"))?;
    let trial = watch(host, workload, &cgroup, [&log, &seen]);
    drop(cgroup);
    drop(samples);
    host.stop_agent();
    trial
}

/// Reads the agent's log for what it found, and what it saw for what the rule says of it.
fn watch(
    host: &Host,
    workload: &Workload,
    cgroup: &Cgroup,
    [log, seen]: [&Path; 2],
) -> Result<Trial> {
    let mut child = start(&cgroup.path, &workload.command, workload.mines)?;
    // Kept open: who writes to a closed pipe is ended.
    let mut out = child.0.stdout.take().map(BufReader::new);
    if let Some(out) = &mut out {
        let mut line = String::new();
        out.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{} ended at once", workload.name);
    }
    let _busy = if workload.contended {
        Some(start(&host.outside, &busy(), false)?)
    } else {
        None
    };
    let began = boot_ns();
    let id = cgroup.id()?;
    let (mut log, mut seen) = (Lines::open(log)?, Lines::open(seen)?);
    let mut rule = Rule::default();
    let mut trial = Trial {
        found: None,
        lacks: None,
        rule: None,
    };
    let since = |at: u64| Duration::from_nanos(at.saturating_sub(began)).as_secs_f64();
    while since(boot_ns()) < workload.patience.as_secs_f64()
        && (trial.found.is_none() || trial.rule.is_none())
    {
        std::thread::sleep(LOOK_AGAIN);
        for event in seen.more::<RoundingEvent>()? {
            if event.cgroup_id == id {
                trial.rule = trial.rule.or(rule.take(&event).map(since));
            }
        }
        for line in log.more::<Value>()? {
            if line["guard"] == "randomx" && line["cgroup_id"] == id {
                trial.found = trial.found.or(Some(since(boot_ns())));
            }
        }
    }
    if trial.found.is_some() {
        let records = host.records("observed");
        let record = records
            .iter()
            .find(|record| record["workload"]["cgroup_id"] == id);
        let lacks = &record.context("no record of it")?["evidence"]["mining"]["lacks"];
        trial.lacks = lacks.as_str().map(str::to_owned);
    }
    Ok(trial)
}

/// A file of JSON lines that grows.
struct Lines {
    file: File,
    unfinished: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            unfinished: Vec::new(),
        })
    }

    /// Those that were written since, as far as they are of this type.
    fn more<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        self.file.read_to_end(&mut self.unfinished)?;
        let whole = self.unfinished.iter().rposition(|byte| *byte == b'\n');
        let lines: Vec<u8> = self
            .unfinished
            .drain(..whole.map_or(0, |at| at + 1))
            .collect();
        let lines = lines.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }
}

fn busy() -> Vec<String> {
    let mut busy = ["/usr/bin/taskset", "-c", "0"].map(str::to_owned).to_vec();
    for benign in corpus(300)
        .into_iter()
        .filter(|benign| benign.name == "life")
    {
        busy.push(benign.program.display().to_string());
        busy.extend(benign.arguments);
    }
    busy
}

/// A program in a cgroup; it is ended when this is dropped.
struct Running(Child);

fn start(cgroup: &Path, command: &[String], heard: bool) -> Result<Running> {
    let child = Command::new("/bin/sh")
        .args(["-c", JOIN])
        .arg(cgroup)
        .args(command)
        .stdin(Stdio::null())
        .stdout(if heard { Stdio::piped() } else { Stdio::null() })
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Running(child))
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A cgroup of one run; what is in it ends with it.
struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    fn create(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    fn id(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)?.ino())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        // Killed processes leave when they are reaped, which nobody announces.
        for _ in 0..500 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
