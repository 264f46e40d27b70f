//! What the guard adds to the start of a program: the kernel's account of the attached program, while programs with
//! command lines of 160 bytes are started in scope.

use std::path::Path;

use anyhow::{Result, bail};
use hayward_kernel::{Counters, Pins, Statistics};

use crate::{
    figure::Figure,
    place::{self, Batch, STRINGS, SpawnerProcess},
    sample::{Samples, real},
};

/// A batch counts where so few other programs were started on the machine meanwhile: they are out of scope and cheap,
/// and would make the guard look faster than it is.
const MOST_OTHERS: f64 = 0.02;
const ENOUGH: usize = 15;
const MOST_BATCHES: usize = 120;

/// Measures with warm and with cold caches.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    eprintln!("exec: the attached program, {STRINGS} strings");
    let counting = Statistics::enable()?;
    let mut host = place::host(binary);
    place::start_and_wait(&mut host)?;
    let program = place::smallest_program(&host, false)?;
    let mut spawner = SpawnerProcess::start(&host.inside, &program)?;
    let pins = Pins::new(&host.pins);
    let mut time = |batch: &Batch| -> Result<Samples> {
        let mut samples = Vec::new();
        for _ in 0..MOST_BATCHES {
            let before = (
                counting.of_attached(&pins, "on_exec")?,
                Counters::read(&pins)?,
            );
            spawner.run(batch)?;
            let after = (
                counting.of_attached(&pins, "on_exec")?,
                Counters::read(&pins)?,
            );
            let judged = after.1.checked - before.1.checked;
            let runs = after.0.runs - before.0.runs;
            if judged < u64::from(batch.count) {
                bail!("{judged} of {} programs were judged", batch.count);
            }
            if real(runs - judged) <= MOST_OTHERS * real(runs) {
                samples.push(real(after.0.ns - before.0.ns) / real(runs));
            }
            if samples.len() == ENOUGH {
                return Ok(Samples::new(samples));
            }
        }
        bail!("other programs are started on this machine all the time: measure when it is quiet")
    };
    let warm = time(&Batch::of(1_000))?;
    let cold = time(&Batch {
        cold: true,
        ..Batch::of(40)
    })?;
    Ok(vec![
        Figure {
            key: "command.exec_ns_160b_30k",
            what: "kernel time per exec, 160 bytes, 30,000 strings".to_owned(),
            value: warm.median(),
            unit: "ns",
            spread: warm.spread(0),
            floor: Some(1_500.0),
            aim: Some(800.0),
        },
        Figure {
            key: "command.exec_ns_160b_30k_cold",
            what: "the same, caches thrashed between execs".to_owned(),
            value: cold.median(),
            unit: "ns",
            spread: cold.spread(0),
            floor: Some(4_000.0),
            aim: Some(2_500.0),
        },
    ])
}
