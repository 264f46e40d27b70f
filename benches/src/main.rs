//! What the guards cost, measured on the real kernel, with agents that are confined to cgroups of their own.

mod agent;
mod beside;
mod corpus;
mod detection;
mod exec;
mod figure;
mod flood;
mod growth;
mod held;
mod inbound;
mod kills;
mod machine;
mod miners;
mod network;
mod page;
mod place;
mod plot;
mod reach;
mod sample;
mod spawn;
mod spawner;
mod switch;
mod thrash;
mod workloads;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use figure::Figure;

/// Measures what Hayward costs and how well it does. As root.
#[derive(Debug, Parser)]
#[command(subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    helper: Option<Helper>,
    /// The agent to measure.
    #[arg(long, required = true)]
    binary: Option<PathBuf>,
    /// Measure these alone, and leave the documents as they are.
    #[arg(long, value_enum, value_name = "WHAT")]
    only: Vec<What>,
    /// How many banned programs are started.
    #[arg(long, default_value_t = 100_000)]
    starts: u32,
}

#[derive(Debug, Subcommand)]
enum Helper {
    /// Print docs/randomx-detection.md: which workloads the guard `randomx` finds, and when.
    Detection(detection::Arguments),
    /// Started by the benchmark itself, to start programs from inside a cgroup.
    #[command(hide = true)]
    Spawner(spawner::Spawner),
    /// Started by the benchmark itself, to switch between two processes inside a cgroup.
    #[command(hide = true)]
    PingPong(switch::PingPongHelper),
    /// Started by that.
    #[command(hide = true)]
    EchoBytes,
    /// Started by the benchmark itself, to connect and transfer to itself inside a cgroup.
    #[command(hide = true)]
    Traffic(network::TrafficHelper),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Machine,
    Growth,
    Held,
    Exec,
    Spawn,
    Kills,
    Agent,
    Switch,
    Miners,
    Workloads,
    Network,
    Inbound,
    Beside,
    Flood,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.helper {
        Some(Helper::Detection(arguments)) => return detection::run(&arguments),
        Some(Helper::Spawner(spawner)) => return spawner.run(),
        Some(Helper::PingPong(helper)) => return helper.run(),
        Some(Helper::EchoBytes) => return switch::echo_bytes(),
        Some(Helper::Traffic(helper)) => return helper.run(),
        None => {}
    }
    let binary = arguments.binary.unwrap_or_default();
    let binary = binary
        .canonicalize()
        .with_context(|| format!("no binary {}", binary.display()))?;
    let wanted = |what| arguments.only.is_empty() || arguments.only.contains(&what);
    let mut figures = Vec::new();
    let mut growth = None;
    if wanted(What::Machine) {
        figures.extend(machine::measure());
    }
    if wanted(What::Growth) {
        let measured = growth::measure()?;
        figures.push(measured.figure());
        growth = Some(measured);
    }
    if wanted(What::Held) {
        figures.extend(held::measure()?);
    }
    if wanted(What::Exec) {
        figures.extend(exec::measure(&binary)?);
    }
    if wanted(What::Spawn) {
        figures.extend(spawn::measure(&binary)?);
    }
    if wanted(What::Kills) {
        figures.push(kills::measure(&binary, arguments.starts)?);
    }
    if wanted(What::Switch) {
        figures.extend(switch::measure(&binary)?);
    }
    if wanted(What::Miners) {
        figures.extend(miners::measure(&binary)?);
    }
    if wanted(What::Workloads) {
        figures.extend(workloads::measure(&binary)?);
    }
    if wanted(What::Network) {
        figures.extend(network::measure(&binary)?);
        figures.extend(reach::measure(&binary)?);
    }
    if wanted(What::Inbound) {
        figures.extend(inbound::measure()?);
    }
    if wanted(What::Beside) {
        let measured = beside::measure(&binary)?;
        figures.extend(measured.figures());
        page::write_picture(&measured, arguments.only.is_empty())?;
    }
    if wanted(What::Flood) {
        figures.extend(flood::measure(&binary)?);
    }
    if wanted(What::Agent) {
        figures.extend(agent::measure(&binary)?);
    }
    println!("\n{}", figure::table(&figures));
    if let Some(growth) = growth.filter(|_| arguments.only.is_empty()) {
        page::write(&figures, &growth)?;
    }
    let missed: Vec<&Figure> = figures.iter().filter(|figure| !figure.is_met()).collect();
    if !missed.is_empty() {
        let keys: Vec<_> = missed.iter().map(|figure| figure.key).collect();
        anyhow::bail!("below what is asked for: {}", keys.join(", "));
    }
    Ok(())
}
