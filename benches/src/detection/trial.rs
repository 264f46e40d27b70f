//! One run: a workload in a cgroup of its own, and an agent that has seen nothing before.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hayward_kernel::boot_ns;
use hayward_model::RoundingEvent;
use hayward_tests::{Host, corpus};
use serde_json::Value;

use super::{rule::Rule, workload::Workload};

/// What a shell does before it becomes a program.
const JOIN: &str = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;

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
    host.spawn();
    host.wait_until("an agent that observes", || {
        let answer = host.hayward(&["status", "--json"]);
        answer.code == 0 && {
            let guards = &answer.json()["guards"];
            guards["randomx"]["status"] == "observing" && guards["command"]["status"] == "enforcing"
        }
    });
    let (sender, told) = channel();
    let samples = follow(host, &["samples"], sender.clone())?;
    let records = ["events", "--guard", "randomx", "--json", "--follow"];
    let records = follow(host, &records, sender)?;
    let cgroup = Cgroup::create(host.inside.join("run"))?;
    let trial = watch(host, workload, &cgroup, &told);
    drop((samples, records, cgroup));
    host.stop_agent();
    trial
}

fn watch(
    host: &Host,
    workload: &Workload,
    cgroup: &Cgroup,
    told: &Receiver<String>,
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
    let since = |at: u64| Duration::from_nanos(at.saturating_sub(began)).as_secs_f64();
    let id = cgroup.id()?;
    let mut rule = Rule::default();
    let mut trial = Trial {
        found: None,
        lacks: None,
        rule: None,
    };
    let end = Instant::now() + workload.patience;
    while trial.found.is_none() || trial.rule.is_none() {
        let Ok(line) = told.recv_timeout(end.saturating_duration_since(Instant::now())) else {
            break;
        };
        if let Ok(event) = serde_json::from_str::<RoundingEvent>(&line) {
            if event.cgroup_id == id {
                trial.rule = trial.rule.or(rule.take(&event).map(since));
            }
            continue;
        }
        let record: Value = serde_json::from_str(&line)?;
        ensure!(record["lost"].is_null(), "samples were lost: {line}");
        if trial.found.is_none() && record["workload"]["cgroup_id"] == id {
            trial.found = Some(since(boot_ns()));
            let lacks = &record["evidence"]["mining"]["lacks"];
            trial.lacks = lacks.as_str().map(str::to_owned);
        }
    }
    Ok(trial)
}

/// Starts a command of the agent's that prints lines for as long as it runs, and hands them on.
fn follow(host: &Host, arguments: &[&str], told: Sender<String>) -> Result<Running> {
    let mut child = host.command(arguments).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().context("a pipe")?;
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                break;
            }
        }
    });
    Ok(Running(child))
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

/// A program that is ended when this is dropped.
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
