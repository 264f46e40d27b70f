//! Becomes the miner, so that `cargo run -p hayward-test-miner -- --help` does what one expects. Tests start
//! `hayward_test_miner::program()` themselves.

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    let program = hayward_test_miner::program();
    let error = Command::new(program).args(env::args_os().skip(1)).exec();
    eprintln!("{}: {error}", program.display());
    ExitCode::FAILURE
}
