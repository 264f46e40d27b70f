//! Compiles the programs in `native` against the RandomX library.
//!
//! They are C++, not Rust: hiding in the middle of a hash takes signal handlers, `fork` and a change of stacks, which
//! Rust has no safe names for. The library comes from the crate `randomx-rs`, so cargo fetches it and knows its
//! checksum, and its own build compiles it with cmake. Debian's librandomx is no static library, and the miner has to
//! run where there are no others: in containers and virtual machines of the tests.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

// Only so that cargo keeps the dependency: its native library is what is wanted.
use randomx_rs as _;

const MINER: [&str; 6] = [
    "engine.cpp",
    "handover.cpp",
    "miner.cpp",
    "options.cpp",
    "rest.cpp",
    "sampler.cpp",
];
const LOADABLE: [&str; 2] = ["engine.cpp", "loadable.cpp"];
const SAMPLER: [&str; 2] = ["preload.cpp", "sampler.cpp"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=native");
    println!("cargo::rerun-if-env-changed=CXX");
    // MXCSR is a register of x86-64. Elsewhere `program()` says so to whoever asks.
    if env::var("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return Ok(());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let archive = archive()?;
    let miner = out.join("randomx-miner");
    compile(&MINER, &["-static"], Some(&archive), &miner)?;
    let loadable = out.join("libhayward_test_miner.so");
    let shared = ["-shared", "-fPIC"];
    compile(&LOADABLE, &shared, Some(&archive), &loadable)?;
    let sampler = out.join("libhayward_test_sampler.so");
    compile(&SAMPLER, &shared, None, &sampler)?;
    println!("cargo::rustc-env=RANDOMX_MINER={}", miner.display());
    println!("cargo::rustc-env=RANDOMX_LOADABLE={}", loadable.display());
    println!("cargo::rustc-env=MXCSR_SAMPLER={}", sampler.display());
    Ok(())
}

/// The library as `randomx-rs` has built it. That crate says nowhere where, but cargo puts the folders of libraries of
/// build dependencies into the loader's search path of a build script.
fn archive() -> Result<PathBuf, Box<dyn Error>> {
    let folders = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let found = env::split_paths(&folders)
        .map(|folder| folder.join("librandomx.a"))
        .find(|path| path.exists());
    found.ok_or_else(|| format!("no librandomx.a in LD_LIBRARY_PATH ({folders:?})").into())
}

fn compile(
    sources: &[&str],
    options: &[&str],
    archive: Option<&Path>,
    to: &Path,
) -> Result<(), Box<dyn Error>> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut command = Command::new(&compiler);
    command.args(["-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"]);
    command.args(options);
    let native = Path::new("native");
    command.args(sources.iter().map(|name| native.join(name)));
    if let Some(archive) = archive {
        let folder = archive.ancestors().nth(2).ok_or("no folder")?;
        command.arg("-I").arg(folder.join("include")).arg(archive);
    }
    command.arg("-pthread").arg("-o").arg(to);
    let status = command.status();
    let status = status.map_err(|error| format!("{compiler}: {error}; install g++"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{compiler} could not build {}", to.display()).into())
    }
}
