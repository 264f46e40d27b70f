//! What is run: miners of every kind, and programs that do no harm.

use std::{path::PathBuf, time::Duration};

use hayward_test_miner::{loadable, program, rounder};
use hayward_tests::{Benign, corpus, lookalike};

/// Whoever was not found by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Those that pause or hardly get a processor.
const MORE_PATIENCE: Duration = Duration::from_secs(120);
const HARMLESS: Duration = Duration::from_secs(10);

/// A program to run.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// For people.
    pub(crate) name: String,
    /// Its file, and arguments.
    pub(crate) command: Vec<String>,
    /// It ought to be found; it writes a line when it begins with what it can be found by.
    pub(crate) mines: bool,
    /// How long it is watched.
    pub(crate) patience: Duration,
    /// Another program keeps the first processor busy meanwhile.
    pub(crate) contended: bool,
}

/// All of them, miners first.
pub(crate) fn all() -> Vec<Workload> {
    let processors = std::thread::available_parallelism().map_or(1, |number| number.get().min(16));
    let threads = processors.to_string();
    let mut all = vec![
        miner("light", &[]),
        miner("full dataset", &["--mode", "full"]),
        miner(
            &format!("full dataset, {threads} threads"),
            &["--mode", "full", "--threads", &threads],
        ),
        miner("light, pinned to a processor", &["--pin", "0"]),
        miner("light, interpreting", &["--engine", "interpreter"]),
        miner("works half of the time", &["--duty", "50"]),
        Workload {
            patience: MORE_PATIENCE,
            ..miner("works a tenth of the time", &["--duty", "10"])
        },
    ];
    for (name, evade) in [
        ("puts the mode back and sleeps", "reset-and-sleep"),
        ("puts the mode back and yields", "reset-and-yield"),
        ("mines for one second in four", "pause"),
        ("a new thread every tenth of a second", "thread-every-100ms"),
        (
            "a new process every tenth of a second",
            "process-every-100ms",
        ),
    ] {
        all.push(miner(name, &["--evade", evade]));
    }
    let mut polite = miner(
        "nice 19, beside a program on the same processor",
        &["--pin", "0"],
    );
    let nice = ["/usr/bin/nice", "-n", "19"].map(str::to_owned);
    polite.command.splice(0..0, nice);
    polite.contended = true;
    polite.patience = MORE_PATIENCE;
    all.push(polite);
    let code = format!(
        "import ctypes; ctypes.CDLL('{}').mine(600)",
        loadable().display()
    );
    all.push(Workload {
        command: vec!["/usr/bin/python3".to_owned(), "-c".to_owned(), code],
        ..miner("loaded into Python", &[])
    });
    for life in ["50", "30"] {
        let arguments = ["--memory", "300", "--seconds", "600", "--life", life];
        let mut command = vec![rounder().display().to_string()];
        command.extend(arguments.map(str::to_owned));
        all.push(Workload {
            command,
            ..miner(
                &format!("only rounds as miners do, a new thread every {life} ms"),
                &[],
            )
        });
    }
    let seconds = u32::try_from(HARMLESS.as_secs() + 5).unwrap_or(u32::MAX);
    let mut benign = corpus(seconds);
    benign.push(lookalike(seconds));
    all.extend(benign.into_iter().map(harmless));
    all
}

fn miner(name: &str, arguments: &[&str]) -> Workload {
    let mut command = vec![program().display().to_string()];
    command.extend(["--seconds", "600"].map(str::to_owned));
    command.extend(arguments.iter().map(|text| (*text).to_owned()));
    Workload {
        name: name.to_owned(),
        command,
        mines: true,
        patience: PATIENCE,
        contended: false,
    }
}

fn harmless(benign: Benign) -> Workload {
    let path = |program: PathBuf| program.display().to_string();
    Workload {
        name: benign.name.to_owned(),
        command: [vec![path(benign.program)], benign.arguments].concat(),
        mines: false,
        patience: HARMLESS,
        contended: false,
    }
}
