//! Where the programs are that this package's build script has compiled. `native/README.md` says what they do.

use std::path::Path;

/// A statically linked program that hashes with RandomX; `--help` lists its options.
pub fn program() -> &'static Path {
    built(option_env!("RANDOMX_MINER"))
}

/// A shared object with `int mine(int seconds)`, which hashes in the thread that calls it and returns how often.
pub fn loadable() -> &'static Path {
    built(option_env!("RANDOMX_LOADABLE"))
}

/// A statically linked program that rounds as RandomX does and hashes nothing, in many threads or short-lived ones.
pub fn rounder() -> &'static Path {
    built(option_env!("RANDOMX_ROUNDER"))
}

/// A shared object for `LD_PRELOAD` that notes which rounding modes any program is in.
pub fn sampler() -> &'static Path {
    built(option_env!("MXCSR_SAMPLER"))
}

fn built(path: Option<&'static str>) -> &'static Path {
    Path::new(path.expect("the test miner is for x86-64 alone"))
}
