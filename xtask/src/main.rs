//! Tasks of the project that are no part of the product.

mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::image;

/// Tasks of the project that are no part of the product.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Test a static release binary in virtual machines with Debian's kernels.
    Vm(vm::Arguments),
    /// Write the container image of a static release binary.
    Image(image::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Vm(arguments) => vm::run(&arguments),
        Task::Image(arguments) => image::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
