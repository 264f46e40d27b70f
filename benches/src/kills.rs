//! Banned programs, started in every way while the machine is busy: how many ran one instruction.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    corpus,
    figure::Figure,
    place::{self, STRINGS},
};

/// Starts programs in every way; what they write, they write with their first instructions.
const LAUNCHER: &str = include_str!("kills.py");
const WORKERS: u32 = 4;
const CONTROLS: u32 = 40;

#[derive(Debug, Deserialize)]
struct Tally {
    starts: u32,
    killed: u32,
    wrote: u32,
}

/// Starts so many.
pub(crate) fn measure(binary: &Path, starts: u32) -> Result<Figure> {
    eprintln!("kills: {starts} banned programs, started in every way under load");
    let mut host = place::host(binary);
    place::start_and_wait(&mut host)?;
    place::smallest_program(&host, false)?;
    place::smallest_program(&host, true)?;
    let launcher = host.path("kills.py");
    fs::write(&launcher, LAUNCHER)?;
    let banned = corpus::strings(STRINGS).swap_remove(STRINGS / 2);
    let launch = |word: &str, count: u32| -> Result<Vec<Tally>> {
        let word_file = host.path("word");
        fs::write(&word_file, word)?;
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            let worker = Command::new("python3")
                .arg(&launcher)
                .arg(host.inside.join("cgroup.procs"))
                .arg(host.folder.path())
                .arg(&word_file)
                .arg((count / WORKERS).to_string())
                .stdout(Stdio::piped())
                .spawn()?;
            workers.push(worker);
        }
        let tallies = workers.into_iter().map(|worker| {
            let output = worker.wait_with_output()?;
            serde_json::from_slice(&output.stdout).context("the launcher's answer")
        });
        tallies.collect()
    };
    // The instrument must be able to show the failure: what is not banned runs, and writes.
    for tally in launch("harmless", CONTROLS * WORKERS)? {
        if tally.wrote != tally.starts || tally.killed > 0 {
            bail!("harmless programs do not run: {tally:?}");
        }
    }
    let done = AtomicBool::new(false);
    let tallies = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| busy(&done));
        }
        let tallies = launch(&String::from_utf8_lossy(&banned), starts);
        done.store(true, Ordering::Relaxed);
        tallies
    })?;
    let sum = |of: fn(&Tally) -> u32| tallies.iter().map(of).sum::<u32>();
    let (started, killed, wrote) = (sum(|t| t.starts), sum(|t| t.killed), sum(|t| t.wrote));
    Ok(Figure {
        key: "command.banned_instructions",
        what: format!("banned programs that ran an instruction, of {started} under load"),
        value: f64::from(wrote.max(started - killed)),
        unit: "",
        spread: format!("{killed} killed, {wrote} wrote"),
        floor: Some(0.0),
        aim: Some(0.0),
    })
}

/// Keeps a processor and its caches busy.
fn busy(done: &AtomicBool) {
    let mut memory = vec![1u8; 8 << 20];
    while !done.load(Ordering::Relaxed) {
        for at in (0..memory.len()).step_by(64) {
            memory[at] = memory[at].wrapping_mul(3);
        }
        std::hint::black_box(&memory);
    }
}
