//! The process that starts programs from inside a cgroup.

use std::{
    fs,
    io::{BufRead, Write, stdin, stdout},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{corpus, place::Batch, thrash::Thrash};

#[derive(Debug, Args)]
pub(crate) struct Spawner {
    /// The cgroup to join.
    cgroup: PathBuf,
    /// The program to start.
    program: PathBuf,
}

impl Spawner {
    /// Joins the cgroup, then does what each line of standard input asks.
    pub(crate) fn run(&self) -> Result<()> {
        fs::write(self.cgroup.join("cgroup.procs"), "0")?;
        let mut processors = CpuSet::new();
        processors.set(std::thread::available_parallelism()?.get() - 1);
        sched_setaffinity(None, &processors)?;
        for line in stdin().lock().lines() {
            let took = self.batch(&serde_json::from_str(&line?)?)?;
            let mut out = stdout().lock();
            writeln!(out, "{}", serde_json::to_string(&took)?)?;
            out.flush()?;
        }
        Ok(())
    }

    fn batch(&self, batch: &Batch) -> Result<Vec<f64>> {
        let mut command = Command::new(&self.program);
        let arguments = String::from_utf8(corpus::line(batch.bytes))?;
        let mut arguments = arguments.trim_end_matches('\0').split('\0');
        command
            .arg0(arguments.next().unwrap_or_default())
            .args(Some(&batch.word).filter(|word| !word.is_empty()))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut thrash = batch.cold.then(Thrash::new);
        let mut took = Vec::new();
        let began = Instant::now();
        for index in 0..batch.count {
            if let Some(thrash) = &mut thrash {
                thrash.run();
            }
            if batch.rate > 0 {
                let due = Duration::from_secs(1) * index / batch.rate;
                std::thread::sleep(due.saturating_sub(began.elapsed()));
            }
            let started = Instant::now();
            command.status()?;
            took.push(started.elapsed().as_secs_f64() * 1e9);
        }
        Ok(took)
    }
}
