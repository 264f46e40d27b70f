//! The one binary: the agent and everything that operators do with it.

mod cli;
mod client;
mod commands;
mod failure;
mod show;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hayward: {failure}");
            failure.code()
        }
    }
}
