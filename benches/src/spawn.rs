//! What a start costs as programs see it: `posix_spawn` and wait, with the agent and without, in turns.

use std::{path::Path, time::Duration};

use anyhow::Result;
use hayward_kernel::Pins;

use crate::{
    figure::Figure,
    place::{self, Batch, SpawnerProcess},
    sample::Samples,
};

const PAIRS: usize = 40;
const STARTS: u32 = 2_000;
const WARM_UP: u32 = 300;
const SETTLE: Duration = Duration::from_millis(1_500);

/// The median over pairs of batches; within a batch, the median over starts.
pub(crate) fn measure(binary: &Path) -> Result<Figure> {
    eprintln!("spawn: {PAIRS} pairs of {STARTS} starts, with and without the agent");
    let mut host = place::host(binary);
    let program = place::smallest_program(&host, false)?;
    let mut spawner = SpawnerProcess::start(&host.inside, &program)?;
    let batch = Batch::of(STARTS);
    let warm_up = Batch::of(WARM_UP);
    let mut ratios = Vec::new();
    for pair in 0..PAIRS {
        // Which comes first changes, so that a drift of the machine counts for both.
        let mut times = [0.0; 2];
        for with in [pair % 2, 1 - pair % 2] {
            if with == 1 {
                place::start_and_wait(&mut host)?;
            }
            // Starting and removing an agent leaves work behind, for its threads and for the kernel's.
            std::thread::sleep(SETTLE);
            spawner.run(&warm_up)?;
            times[with] = Samples::new(spawner.run(&batch)?).median();
            if with == 1 {
                host.stop_agent();
                hayward_kernel::uninstall(&Pins::new(&host.pins))?;
            }
        }
        ratios.push(times[1] / times[0]);
    }
    let ratios = Samples::new(ratios);
    Ok(Figure {
        key: "command.spawn_ratio",
        what: "posix_spawn and wait, with the agent against without".to_owned(),
        value: ratios.median(),
        unit: "",
        spread: ratios.spread(4),
        floor: Some(1.01),
        aim: Some(1.005),
    })
}
