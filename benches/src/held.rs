//! How long a processor is held at the longest command line that the kernel judges by itself, harmless or made to be
//! slow.

use anyhow::Result;
use hayward_kernel::{KernelJudge, Statistics};

use crate::{
    corpus,
    figure::Figure,
    sample::{Samples, real},
};

/// `LINE_BOUND` of the kernel side.
const BOUND: usize = 256 * 1024;
const STRINGS: usize = 30_000;
/// Rule files that each have allow patterns of their own.
const FILES: usize = 32;
const RUNS: usize = 15;

/// Measures a harmless line, and the slowest of the others.
pub(crate) fn measure() -> Result<Vec<Figure>> {
    eprintln!("held: command lines of {BOUND} bytes");
    let counting = Statistics::enable()?;
    let time = |judge: &mut KernelJudge, line: &[u8]| -> Result<Samples> {
        let mut samples = Vec::new();
        for _ in 0..RUNS {
            let before = judge.run_time(&counting)?;
            judge.judge(line)?;
            let after = judge.run_time(&counting)?;
            samples.push(real(after.ns - before.ns) / 1e6);
        }
        Ok(Samples::new(samples))
    };
    let table = corpus::table(STRINGS);
    let mut judge = KernelJudge::new(table.words())?;
    let harmless = time(&mut judge, &corpus::line(BOUND))?;
    let mut worst = (harmless.clone(), "harmless");
    for (name, line) in hard_lines() {
        let samples = time(&mut judge, &line)?;
        eprintln!("  {name}: {:.3} ms", samples.median());
        if samples.median() > worst.0.median() {
            worst = (samples, name);
        }
    }
    let rules = corpus::rules_with_allow(FILES);
    let mut judge = KernelJudge::new(corpus::compile(rules).words())?;
    let samples = time(&mut judge, &corpus::line_with_all_allowed(FILES, BOUND))?;
    eprintln!("  every allow pattern: {:.3} ms", samples.median());
    if samples.median() > worst.0.median() {
        worst = (samples, "a banned string of every rule file, all allowed");
    }
    let figure = |key, what: String, samples: &Samples| Figure {
        key,
        what,
        value: samples.median(),
        unit: "ms",
        spread: samples.spread(3),
        floor: Some(3.0),
        aim: Some(1.0),
    };
    Ok(vec![
        figure(
            "command.held_ms_bound",
            "processor held at the argv bound, 256 KiB, harmless".to_owned(),
            &harmless,
        ),
        figure(
            "command.held_ms_bound_worst",
            format!("the same, the slowest found: {}", worst.1),
            &worst.0,
        ),
    ])
}

/// Lines that make the automaton work.
fn hard_lines() -> Vec<(&'static str, Vec<u8>)> {
    let strings = corpus::strings(STRINGS);
    let fill = |parts: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut line = Vec::with_capacity(BOUND);
        for part in parts {
            if line.len() + part.len() >= BOUND {
                break;
            }
            line.extend(part);
        }
        line.resize(BOUND - 1, b' ');
        line.push(0);
        line
    };
    let almost = strings.iter().cycle().map(|text| {
        let mut part = text[..text.len() - 1].to_vec();
        part.push(b' ');
        part
    });
    let embedded = strings.iter().cycle().map(|text| {
        let mut part = text.clone();
        part.extend(b"x ");
        part
    });
    let short = strings.iter().cycle().map(|text| {
        let mut part = text[..4].to_vec();
        part.push(b' ');
        part
    });
    vec![
        (
            "nothing but borders",
            fill(&mut std::iter::repeat(b"- ".to_vec())),
        ),
        ("beginnings of banned strings", fill(&mut { short })),
        ("banned strings without their end", fill(&mut { almost })),
        ("banned strings inside words", fill(&mut { embedded })),
    ]
}
