//! What a start costs as programs see it: `posix_spawn` and wait, with the guard's programs in force and without, in
//! turns. A pair takes a fifth of a second, so that there can be enough of them to tell a thousandth; that is why the
//! programs are attached and detached here, and no agent is started and stopped for each.

use std::path::Path;

use anyhow::{Result, ensure};
use hayward_kernel::Pins;
use hayward_model::{Guard, Mode, ScopePolicy};
use hayward_tests::Host;

use crate::{
    figure::Figure,
    place::{self, Batch, SpawnerProcess},
    sample::Samples,
};

const PAIRS: usize = 600;
const STARTS: u32 = 200;
const WARM_UP: u32 = 20;

/// A program as there are many, linked with the C library.
const ORDINARY: &str = "/bin/true";

/// With an ordinary program, and with the smallest there is, which is the most that the guard can weigh.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    let host = place::host(binary);
    let smallest = place::smallest_program(&host, false)?;
    let ordinary = ratios(&host, Path::new(ORDINARY))?;
    let smallest = ratios(&host, &smallest)?;
    Ok(vec![
        Figure {
            key: "command.spawn_ratio",
            what: format!("posix_spawn and wait of {ORDINARY}, with the guard against without"),
            value: ordinary.median(),
            unit: "",
            spread: ordinary.spread(4),
            floor: Some(1.01),
            aim: Some(1.005),
        },
        Figure {
            key: "command.spawn_ratio_smallest",
            what: "the same with the smallest program there is".to_owned(),
            value: smallest.median(),
            unit: "",
            spread: smallest.spread(4),
            floor: None,
            aim: None,
        },
    ])
}

/// A ratio for each pair of batches; within a batch, the median over starts.
fn ratios(host: &Host, program: &Path) -> Result<Samples> {
    eprintln!(
        "spawn: {}, {PAIRS} pairs of {STARTS} starts, with and without the guard",
        program.display()
    );
    let mut kernel = place::kernel(
        host,
        ScopePolicy::of(Guard::Command, Mode::Enforce),
        Vec::new(),
    )?;
    let mut spawner = SpawnerProcess::start(&host.inside, program)?;
    let batch = Batch::of(STARTS);
    let warm_up = Batch::of(WARM_UP);
    let ratios = place::pairs(&mut kernel, PAIRS, || {
        spawner.run(&warm_up)?;
        Ok(Samples::new(spawner.run(&batch)?).median())
    })?;
    let checked = kernel.counters()?.checked;
    ensure!(
        checked >= PAIRS as u64 * u64::from(STARTS),
        "{checked} starts were judged: the guard was not in force"
    );
    drop(kernel);
    hayward_kernel::uninstall(&Pins::new(&host.pins))?;
    Ok(ratios)
}
