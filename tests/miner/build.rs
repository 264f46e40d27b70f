//! Compiles the programs in `native` against the RandomX library.
//!
//! They are C++, not Rust: hiding in the middle of a hash takes signal handlers, `fork` and a change of stacks, which
//! Rust has no safe names for. The library comes from the crate `randomx-rs`, so cargo fetches it and knows its
//! checksum, and its own build compiles it with cmake. Debian's librandomx is no static library, and the miner has to
//! run where there are no others: in containers and virtual machines of the tests.

use std::{
    env,
    error::Error,
    fs,
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
const ROUNDER: [&str; 1] = ["rounder.cpp"];

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
    let rounder = out.join("randomx-rounder");
    compile(&ROUNDER, &["-static"], None, &rounder)?;
    println!("cargo::rustc-env=RANDOMX_MINER={}", miner.display());
    println!("cargo::rustc-env=RANDOMX_LOADABLE={}", loadable.display());
    println!("cargo::rustc-env=MXCSR_SAMPLER={}", sampler.display());
    println!("cargo::rustc-env=RANDOMX_ROUNDER={}", rounder.display());
    Ok(())
}

/// The library as the build script of `randomx-rs` has left it. Cargo runs that one first, since it is a build
/// dependency, and tells nobody where. It is looked for beside this build script; of several, which differ in nothing
/// unless the crate has been updated, the newest is taken.
fn archive() -> Result<PathBuf, Box<dyn Error>> {
    let this = env::current_exe()?;
    let folder = this.ancestors().find(|path| path.ends_with("build"));
    let folder = folder.ok_or_else(|| format!("{} is in no folder `build`", this.display()))?;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path().join("out/lib/librandomx.a");
        if let Ok(metadata) = path.metadata() {
            found.push((metadata.modified()?, path));
        }
    }
    let newest = found.into_iter().max();
    newest
        .map(|(_, path)| path)
        .ok_or_else(|| format!("no librandomx.a below {}", folder.display()).into())
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
    // The library's assembly does not say that it needs no executable stack, and it needs none.
    command
        .args(["-Wl,-z,noexecstack", "-pthread", "-o"])
        .arg(to);
    let status = command.status();
    let status = status.map_err(|error| format!("{compiler}: {error}; install g++"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{compiler} could not build {}", to.display()).into())
    }
}
