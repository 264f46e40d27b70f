//! What the agent itself takes: time to start, memory, processor, disk.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hayward_kernel::Pins;
use hayward_tests::Host;

use crate::{
    figure::Figure,
    place::{self, Batch, SpawnerProcess},
    sample::{Samples, real},
};

const STARTS: usize = 11;
const RATE: u32 = 1_000;
const SECONDS: u32 = 25;
/// Memory counts as settled when it has not grown for so long.
const SETTLED: Duration = Duration::from_secs(12);

/// Measures all of them.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    eprintln!("agent: {STARTS} starts, {SECONDS} s of {RATE} starts a second, twice");
    let mut host = place::host(binary);
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(place::start_and_wait(&mut host)?.as_secs_f64());
        host.stop_agent();
        hayward_kernel::uninstall(&Pins::new(&host.pins))?;
    }
    let starts = Samples::new(starts);
    place::start_and_wait(&mut host)?;
    let resident = settled_memory(&host)?;
    let clean = processor(&host, "")?;
    let banned = String::from_utf8(crate::corpus::strings(1).swap_remove(0))?;
    let killed = processor(&host, &banned)?;
    let after = resident_mebibytes(&host)?;
    let size = real(fs::metadata(binary)?.len()) / real(1 << 20);
    let plain = |key, what: &str, value, unit, spread, floor, aim| Figure {
        key,
        what: what.to_owned(),
        value,
        unit,
        spread,
        floor,
        aim,
    };
    Ok(vec![
        plain(
            "agent.start_s_30k",
            "start to enforcing, 30,000 strings",
            starts.median(),
            "s",
            starts.spread(3),
            Some(1.0),
            Some(0.3),
        ),
        plain(
            "agent.rss_mib_30k",
            "agent memory, 30,000 strings, settled",
            resident,
            "MiB",
            format!("{after:.1} MiB after the starts below"),
            Some(48.0),
            Some(24.0),
        ),
        plain(
            "agent.cpu_pct_1k_execs",
            "agent processor at 1,000 execs a second",
            clean,
            "%",
            format!("over {SECONDS} s, scans included"),
            Some(3.0),
            Some(1.0),
        ),
        plain(
            "agent.cpu_pct_1k_kills",
            "the same where each is banned, killed and recorded",
            killed,
            "%",
            format!("over {SECONDS} s"),
            None,
            None,
        ),
        plain(
            "agent.binary_mib",
            "static binary",
            size,
            "MiB",
            String::new(),
            Some(12.0),
            Some(6.0),
        ),
    ])
}

/// Share of a processor that the agent takes, in percent, while programs are started at [`RATE`].
fn processor(host: &Host, word: &str) -> Result<f64> {
    let program = place::smallest_program(host, false)?;
    let mut spawner = SpawnerProcess::start(&host.inside, &program)?;
    let before = (processor_time(host)?, Instant::now());
    spawner.run(&Batch {
        rate: RATE,
        word: word.to_owned(),
        ..Batch::of(RATE * SECONDS)
    })?;
    let spent = processor_time(host)? - before.0;
    let passed = before.1.elapsed().as_secs_f64();
    if passed > f64::from(SECONDS) * 1.1 {
        eprintln!(
            "  this machine cannot start {RATE} programs a second: {SECONDS} s became {passed:.1}"
        );
    }
    Ok(100.0 * spent / passed)
}

/// Seconds of processor that all threads of the agent have had.
pub(crate) fn processor_time(host: &Host) -> Result<f64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("{}/task", process(host)?))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u64>().ok());
        total += first.context("/proc/PID/task/TID/schedstat")?;
    }
    Ok(real(total) / 1e9)
}

fn settled_memory(host: &Host) -> Result<f64> {
    Ok(settled_kibibytes(host)? / 1024.0)
}

/// Resident memory of the agent once it has not grown for a while.
pub(crate) fn settled_kibibytes(host: &Host) -> Result<f64> {
    let mut most = kibibytes(host, "VmRSS:")?;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED {
        std::thread::sleep(Duration::from_millis(500));
        let now = kibibytes(host, "VmRSS:")?;
        if now > most {
            (most, since) = (now, Instant::now());
        }
    }
    kibibytes(host, "VmRSS:")
}

fn resident_mebibytes(host: &Host) -> Result<f64> {
    Ok(kibibytes(host, "VmRSS:")? / 1024.0)
}

/// Memory of the agent by a line of its status: `VmRSS:` is what it has, `VmHWM:` the most that it has had.
pub(crate) fn kibibytes(host: &Host, field: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("{}/status", process(host)?))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let value = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(real(value.with_context(|| field.to_owned())?))
}

fn process(host: &Host) -> Result<String> {
    let agent = host.agent.as_ref().context("no agent")?;
    Ok(format!("/proc/{}", agent.id()))
}
