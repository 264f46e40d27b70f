//! How the time to judge grows with the number of banned strings and with the length of the command line: the same
//! program as at an exec, run by the kernel over bytes of ours (BPF_PROG_TEST_RUN), timed by the kernel.

use anyhow::Result;
use hayward_kernel::{KernelJudge, Statistics};

use crate::{
    corpus,
    figure::Figure,
    sample::{Samples, real},
    thrash::Thrash,
};

/// How many strings are banned.
pub(crate) const STRINGS: [usize; 4] = [30, 3_000, 30_000, 300_000];
/// How long command lines are.
pub(crate) const BYTES: [usize; 5] = [100, 160, 1_000, 10_000, 100_000];

const ROUNDS: usize = 25;
const COLD_RUNS: usize = 60;

/// Nanoseconds for each number of strings, for each length.
#[derive(Debug)]
pub(crate) struct Growth {
    pub(crate) ns: Vec<Vec<Samples>>,
    /// The same at 160 bytes, with nothing in any cache.
    pub(crate) cold_ns: Vec<Samples>,
    /// Size of each table.
    pub(crate) kibibytes: Vec<usize>,
}

impl Growth {
    /// 300,000 strings against 30, at 160 bytes.
    pub(crate) fn figure(&self) -> Figure {
        let at = BYTES.iter().position(|bytes| *bytes == 160).unwrap_or(0);
        let (few, many) = (&self.ns[0][at], &self.ns[STRINGS.len() - 1][at]);
        Figure {
            key: "command.growth_300k_over_30",
            what: "judging 160 bytes: 300,000 strings against 30".to_owned(),
            value: many.median() / few.median(),
            unit: "",
            spread: format!("{:.0} ns against {:.0} ns", many.median(), few.median()),
            floor: Some(1.3),
            aim: Some(1.1),
        }
    }
}

/// Measures all of them, in turns, so that what disturbs the machine for a while disturbs each.
pub(crate) fn measure() -> Result<Growth> {
    eprintln!("growth: {STRINGS:?} strings, {BYTES:?} bytes");
    let counting = Statistics::enable()?;
    let tables: Vec<_> = STRINGS.iter().map(|count| corpus::table(*count)).collect();
    let mut judges = Vec::new();
    for table in &tables {
        judges.push(KernelJudge::new(table.words())?);
    }
    let mut ns = vec![vec![Vec::new(); BYTES.len()]; STRINGS.len()];
    for _ in 0..ROUNDS {
        for (column, bytes) in BYTES.iter().enumerate() {
            let line = corpus::line(*bytes);
            let runs = (200_000 / bytes).clamp(20, 1_000);
            for (row, judge) in judges.iter_mut().enumerate() {
                let before = judge.run_time(&counting)?;
                for _ in 0..runs {
                    judge.judge(&line)?;
                }
                let after = judge.run_time(&counting)?;
                ns[row][column].push(real(after.ns - before.ns) / real(after.runs - before.runs));
            }
        }
    }
    let mut thrash = Thrash::new();
    let line = corpus::line(160);
    let mut cold_ns = Vec::new();
    for judge in &mut judges {
        let mut samples = Vec::new();
        for _ in 0..COLD_RUNS {
            thrash.run();
            let before = judge.run_time(&counting)?;
            judge.judge(&line)?;
            let after = judge.run_time(&counting)?;
            samples.push(real(after.ns - before.ns));
        }
        cold_ns.push(Samples::new(samples));
    }
    for (index, strings) in STRINGS.iter().enumerate() {
        eprintln!("  {strings}: cold {:.0} ns", cold_ns[index].median());
    }
    Ok(Growth {
        cold_ns,
        ns: ns
            .into_iter()
            .map(|row| row.into_iter().map(Samples::new).collect())
            .collect(),
        kibibytes: tables
            .iter()
            .map(|table| table.words().len() / 256)
            .collect(),
    })
}
