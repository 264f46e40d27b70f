//! Which workloads the guard `randomx` finds and after how long, beside the rule of cryptnono on the same samples.

mod page;
mod rule;
mod trial;
mod workload;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use hayward_tests::Host;

use trial::Trial;
use workload::Workload;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The agent.
    #[arg(long)]
    binary: PathBuf,
    /// How often each miner is started. Harmless programs, and a miner that hardly gets a processor, a tenth as often.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Only miners, or only harmless programs.
    #[arg(long)]
    only: Option<Kind>,
    /// Only workloads with this in their name.
    #[arg(long, default_value = "", value_name = "TEXT")]
    named: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Miners,
    Harmless,
}

/// What was tried how it came out.
struct Row {
    workload: Workload,
    trials: Vec<Trial>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binary = &arguments.binary;
    let binary = binary
        .canonicalize()
        .with_context(|| format!("no binary {}", binary.display()))?;
    let mut host = Host::with_binary(&binary);
    host.edit_settings("journal:", "  randomx: {mode: observe}\njournal:");
    let mut workloads = workload::all();
    workloads.retain(|workload| {
        let kind = if workload.mines {
            Kind::Miners
        } else {
            Kind::Harmless
        };
        arguments.only.is_none_or(|only| only == kind) && workload.name.contains(&arguments.named)
    });
    ensure!(!workloads.is_empty(), "no such workload");
    let mut rows = Vec::new();
    for workload in workloads {
        // Nothing is to be waited for there, or minutes.
        let seldom = !workload.mines || workload.contended;
        let runs = arguments.runs.div_ceil(if seldom { 10 } else { 1 });
        eprintln!("detection: {}, {runs} times", workload.name);
        let mut trials = Vec::new();
        for _ in 0..runs {
            trials.push(trial::run(&mut host, &workload)?);
        }
        let row = Row { workload, trials };
        // It takes an hour, and what is known is known.
        eprintln!("{}", page::line(&row));
        rows.push(row);
    }
    print!("{}", page::page(&rows)?);
    Ok(())
}
