//! `xtask vm`: boots distributions' kernels with the release binary and a test script as all that is in them.

mod apt;
mod architecture;
mod initrd;
mod kernel;
mod machine;
mod mirror;
mod report;
mod userland;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use hayward_test_miner::{program, rounder};

use architecture::Architecture;
use kernel::{KERNELS, Kernel};
use report::Row;

/// How many lines of a console are shown where something failed.
const TAIL: usize = 60;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The static release binary to test, on machines with the processor that it is for. Once for each processor.
    #[arg(long, required_unless_present = "selftest")]
    binary: Vec<PathBuf>,
    /// One kernel of the table alone.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How many machines run at a time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// Run a script that fails on purpose: this command must then fail too.
    #[arg(long, hide = true)]
    selftest: bool,
}

/// What one machine came to: rows of the table, and what to show where it failed.
struct Outcome {
    rows: Vec<Row>,
    failure: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = arguments
        .binary
        .iter()
        .map(|binary| Ok((Architecture::of(binary)?, binary.as_path())))
        .collect::<Result<Vec<_>>>()?;
    let binary = |architecture| {
        let mut all = binaries.iter();
        Some(all.find(|(its, _)| *its == architecture)?.1)
    };
    let kernels = chosen(arguments, |architecture| binary(architecture).is_some())?;
    let outcomes = on_threads(&kernels, usize::from(arguments.jobs), |kernel| {
        test(kernel, binary(kernel.architecture)).unwrap_or_else(|error| Outcome {
            rows: vec![Row::machine(kernel.name, kernel.script, "FAIL", None)],
            failure: Some(format!("{error:#}")),
        })
    });
    let failures: Vec<_> = kernels
        .iter()
        .zip(&outcomes)
        .filter_map(|(kernel, outcome)| Some((kernel.name, outcome.failure.as_deref()?)))
        .collect();
    println!();
    let rows: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.rows).collect();
    report::print(&rows);
    // Last: of a long log, people are shown the end.
    for (name, failure) in &failures {
        println!("\n== {name}\n{failure}");
    }
    if !failures.is_empty() {
        bail!("{} of {} machines failed", failures.len(), kernels.len());
    }
    Ok(())
}

/// The kernels that the command line asks for, of those for which there is a binary.
fn chosen(arguments: &Arguments, is_there: impl Fn(Architecture) -> bool) -> Result<Vec<Kernel>> {
    let mut kernels = KERNELS.to_vec();
    kernels.retain(|kernel| arguments.selftest || is_there(kernel.architecture));
    if let Some(only) = &arguments.only {
        kernels.retain(|kernel| kernel.name == only);
    }
    if kernels.is_empty() {
        let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        bail!(
            "no such kernel, or no binary for it; there are: {}",
            names.join(", ")
        );
    }
    if arguments.selftest {
        for kernel in &mut kernels {
            kernel.script = "selftest";
        }
    }
    Ok(kernels)
}

/// Applies `act` to every item, on so many threads; results are in the items' order.
fn on_threads<T: Sync, R: Send>(items: &[T], jobs: usize, act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.min(items.len()) {
            scope.spawn(|| {
                while let Some((at, item)) = take(items, &next) {
                    let result = act(item);
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_default();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn take<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    Some((at, items.get(at)?))
}

/// Obtains one kernel, boots it with its script, and reads what it says.
fn test(kernel: &Kernel, binary: Option<&Path>) -> Result<Outcome> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("this package has no folder above it")?;
    let machines = project.join("target/vm");
    let image = kernel.obtain(&machines)?;
    let folder = machines.join(kernel.name);
    fs::create_dir_all(&folder)?;
    let compile = |source| userland::compile(&project.join(source), &folder, kernel.architecture);
    let rounding = compile("tests/benign/rounding.c")?;
    let nameserver = compile("tests/vm/nameserver.c")?;
    let makes = compile("tests/vm/makes.c")?;
    let own = [rounding.as_path(), nameserver.as_path(), makes.as_path()];
    let mut programs: Vec<_> = binary.into_iter().chain(own).collect();
    if kernel.script == "randomx" {
        programs.extend([program(), rounder()]);
    }
    let initrd = initrd::build(
        &folder,
        &project.join("tests/vm"),
        kernel.script,
        &userland::obtain(&machines, kernel.architecture)?,
        &programs,
    )?;
    say(
        kernel.name,
        &format!("boots {} for {}", image.version, kernel.script),
    );
    let session = machine::boot(kernel, &folder, &image.file, &initrd)?;
    let problem = session.problem();
    let result = if problem.is_some() { "FAIL" } else { "ok" };
    say(kernel.name, &format!("{result}, {:.1} s", session.seconds));
    let mut rows: Vec<_> = session
        .tests
        .iter()
        .map(|(test, seconds)| Row::test(&image.version, kernel.script, test, *seconds))
        .collect();
    rows.push(Row::machine(
        &image.version,
        kernel.script,
        result,
        Some(session.seconds),
    ));
    Ok(Outcome {
        rows,
        failure: problem.map(|problem| {
            let tail = report::tail(&session.console, TAIL);
            format!("{problem}; the console ends with:\n{tail}")
        }),
    })
}

/// A line of progress.
fn say(name: &str, text: &str) {
    println!("vm: {name}: {text}");
}
