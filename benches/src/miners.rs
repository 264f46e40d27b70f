//! How soon a real miner is killed: from its first hash, which ends what it does with the rounding mode left alone.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use hayward_tests::Host;

use crate::{figure::Figure, sample::Samples};

/// Longer than anybody waits; a miner that was not found by then ends by itself.
const SECONDS: &str = "90";

/// A miner, by its arguments, how often it is tried, and what is asked of it.
struct Miner {
    key: &'static str,
    what: &'static str,
    arguments: &'static [&'static str],
    runs: usize,
    floor: Option<f64>,
    aim: Option<f64>,
}

const MINERS: [Miner; 8] = [
    Miner {
        key: "randomx.detect_s",
        what: "a miner, one thread",
        arguments: &[],
        runs: 50,
        floor: Some(5.0),
        aim: Some(2.0),
    },
    Miner {
        key: "randomx.detect_pinned_s",
        what: "the same, pinned to a processor that is idle but for it",
        arguments: &["--pin", "1"],
        runs: 50,
        floor: Some(5.0),
        aim: Some(2.0),
    },
    Miner {
        key: "randomx.detect_duty_10_s",
        what: "a miner that works a tenth of the time",
        arguments: &["--duty", "10"],
        runs: 15,
        floor: Some(30.0),
        aim: Some(10.0),
    },
    evading(
        "randomx.detect_interpreter_s",
        "interpreting",
        &["--engine", "interpreter"],
    ),
    evading(
        "randomx.detect_sleep_s",
        "putting the mode back and sleeping",
        &["--evade", "reset-and-sleep"],
    ),
    evading(
        "randomx.detect_yield_s",
        "putting the mode back and yielding",
        &["--evade", "reset-and-yield"],
    ),
    evading(
        "randomx.detect_pause_s",
        "mining for one second in four",
        &["--evade", "pause"],
    ),
    evading(
        "randomx.detect_threads_s",
        "a new thread every tenth of a second",
        &["--evade", "thread-every-100ms"],
    ),
];

const fn evading(
    key: &'static str,
    what: &'static str,
    arguments: &'static [&'static str],
) -> Miner {
    Miner {
        key,
        what,
        arguments,
        runs: 10,
        floor: None,
        aim: None,
    }
}

/// The slowest of a hundred, or of as many as were tried.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    let mut host = Host::with_binary(binary);
    host.edit_settings("journal:", "  randomx: enforce\njournal:");
    host.spawn();
    host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
        .ok();
    let mut figures = Vec::new();
    for miner in &MINERS {
        eprintln!("miners: {}, {} times", miner.what, miner.runs);
        let mut took = Vec::new();
        for _ in 0..miner.runs {
            took.push(time_to_kill(&host, miner.arguments)?);
        }
        let took = Samples::new(took);
        figures.push(Figure {
            key: miner.key,
            what: format!("{}: killed within, 99 of 100", miner.what),
            value: took.quantile(0.99),
            unit: "s",
            spread: format!("median {:.2} s, of {}", took.median(), miner.runs),
            floor: miner.floor,
            aim: miner.aim,
        });
    }
    host.stop_agent();
    Ok(figures)
}

/// Seconds from a miner's first hash to its end.
fn time_to_kill(host: &Host, arguments: &[&str]) -> Result<f64> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
        .arg(&host.inside)
        .arg(hayward_test_miner::program())
        .args(["--seconds", SECONDS])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("a pipe")?);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let began = Instant::now();
    let status = child.wait()?;
    ensure!(!status.success(), "{arguments:?} was not found");
    Ok(began.elapsed().as_secs_f64())
}
