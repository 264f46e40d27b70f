//! `docs/randomx-detection.md`.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Row, trial::Trial};
use crate::{page::machine, sample::Samples};

const HOW: &str = "\
Made by `hayward-benches detection`, from real runs of real programs. [How RandomX is told from other
programs](randomx.md) says how the guard decides; [the miner](../tests/miner/native/README.md) and [the harmless
programs](../tests/benign/README.md) are described with the tests.

**How it is measured.** Each run has an agent of its own, which has seen nothing before and observes (`mode: observe`),
and the program runs in a cgroup of its own. Times are seconds from a miner's first hash, and from the start of any
other program. A miner is watched until both have decided, for 30 s at most, or 120 s where it pauses or hardly gets a
processor; other programs for 10 s. Who was not found counts as later than any other. 99 of 100 is the slowest, where
fewer than 100 were run.

**cryptnono's rule**: the process was seen 65 times in another rounding mode than to nearest. Here it gets *the same
samples* as Hayward's detector, each at the moment when it was taken. This favours it: cryptnono by itself interrupts
nobody, and sees a thread only when something else does. It would see more in one way: samples inside system calls,
which Hayward leaves out.

**Found by rounding, spared**: the detector took it for a miner by its rounding, and it was not to be killed, since it
lacks the second evidence.

";

pub(super) fn page(rows: &[Row]) -> Result<String> {
    let mut page = format!(
        "# What the guard `randomx` finds, and when\n\n{HOW}Measured on {}.\n",
        machine()?
    );
    for (title, mines) in [("Miners", true), ("Harmless programs", false)] {
        write!(page, "\n## {title}\n\n{HEAD}")?;
        for row in rows.iter().filter(|row| row.workload.mines == mines) {
            writeln!(page, "{}", line(row))?;
        }
    }
    Ok(page)
}

const HEAD: &str = "\
| program | runs | Hayward kills | median | 99 of 100 | found by rounding, spared | cryptnono's rule kills | median | 99 of 100 |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
";

pub(super) fn line(row: &Row) -> String {
    let trials = &row.trials;
    let killed = |trial: &Trial| trial.found.filter(|_| trial.lacks.is_none());
    let patience = row.workload.patience.as_secs();
    let cells = [
        row.workload.name.clone(),
        trials.len().to_string(),
        times(trials.iter().map(killed), patience),
        trials
            .iter()
            .filter(|trial| trial.lacks.is_some())
            .count()
            .to_string(),
        times(trials.iter().map(|trial| trial.rule), patience),
    ];
    format!("| {} |", cells.join(" | "))
}

/// Three cells: how many, the median, and 99 of 100.
fn times(of: impl Iterator<Item = Option<f64>>, patience: u64) -> String {
    let times: Vec<f64> = of.map(|time| time.unwrap_or(f64::INFINITY)).collect();
    let found = times.iter().filter(|time| time.is_finite()).count();
    let samples = Samples::new(times);
    let cell = |seconds: f64| match seconds.is_finite() {
        true => format!("{seconds:.1} s"),
        false if found == 0 => String::new(),
        false => format!("> {patience} s"),
    };
    let (median, slowest) = (samples.median(), samples.quantile(0.99));
    format!("{found} | {} | {}", cell(median), cell(slowest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_found_counts_as_the_slowest() {
        let all = |found: &[Option<f64>]| times(found.iter().copied(), 30);
        assert_eq!(all(&[Some(2.0), Some(1.0), Some(3.0)]), "3 | 2.0 s | 3.0 s");
        assert_eq!(all(&[Some(2.0), None, Some(3.0)]), "2 | 3.0 s | > 30 s");
        assert_eq!(all(&[None, None]), "0 |  | ");
    }
}
