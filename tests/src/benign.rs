//! Programs that do no harm, at full load, and must not be found. Among them are those that come nearest to RandomX: what
//! moves the rounding mode, what holds much memory, what does both.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A program that does no harm, and ends by itself.
#[derive(Debug, Clone)]
pub struct Benign {
    /// A name for messages.
    pub name: &'static str,
    /// Its file.
    pub program: PathBuf,
    /// What follows the name in its command line.
    pub arguments: Vec<String>,
}

impl Benign {
    /// It, to be started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }
}

/// Their names, and command lines with `SECONDS` in the place of a number. What has no slash has been compiled from
/// `tests/benign`, what begins with `./` is there itself.
const CORPUS: [(&str, &str); 19] = [
    ("intervals, two modes", "interval SECONDS opposite"),
    ("intervals, down and up in turn", "interval SECONDS outward"),
    ("intervals, three modes", "interval SECONDS restored"),
    ("all modes, each call", "rounding SECONDS call"),
    ("all modes, 50 ms each", "rounding SECONDS 50"),
    ("all modes, 2 s each", "rounding SECONDS 2000"),
    ("all modes, in much memory", "rounding SECONDS call 300"),
    ("all modes, a thread each", "rounding SECONDS threads"),
    ("denormals flushed", "rounding SECONDS nearest 0 flush"),
    (
        "denormals flushed, in much memory",
        "rounding SECONDS nearest 300 flush",
    ),
    ("MPFR", "mpfr SECONDS"),
    ("MPFI", "mpfi SECONDS"),
    ("numpy", "/usr/bin/python3 ./blas.py SECONDS"),
    ("FLAC", "/bin/sh ./encode SECONDS"),
    ("gcc", "/bin/sh ./compile SECONDS"),
    ("life", "life SECONDS"),
    ("Python", "/usr/bin/python3 ./busy.py SECONDS"),
    ("Node", "/usr/bin/node ./busy.js SECONDS"),
    ("much memory", "memory SECONDS 1024"),
];

/// What has to be there, and the package of Debian that brings it.
const NEEDS: [(&str, &str); 7] = [
    ("/usr/include/boost/numeric/interval.hpp", "libboost-dev"),
    ("/usr/include/mpfr.h", "libmpfr-dev"),
    ("/usr/include/mpfi.h", "libmpfi-dev"),
    ("/usr/lib/python3/dist-packages/numpy", "python3-numpy"),
    ("/usr/bin/flac", "flac"),
    ("/usr/bin/node", "nodejs"),
    ("/usr/bin/c++", "g++"),
];

/// The programs, each to run for so many seconds. Those that take rounds end with the round they are in, which may be
/// two seconds later.
pub fn corpus(seconds: u32) -> Vec<Benign> {
    let one = |(name, line): &(&'static str, &str)| benign(name, line, seconds);
    CORPUS.iter().map(one).collect()
}

/// One that is not in the corpus: it moves through all modes with the bits set that RandomX sets, in memory of
/// RandomX's size. Who looks at MXCSR and memory alone cannot tell it from a miner.
pub fn lookalike(seconds: u32) -> Benign {
    benign("lookalike", "rounding SECONDS call 300 flush", seconds)
}

fn benign(name: &'static str, line: &str, seconds: u32) -> Benign {
    let built = built();
    let sources = sources();
    let mut words = line.split(' ').map(|word| match word {
        "SECONDS" => seconds.to_string(),
        _ => match word.strip_prefix("./") {
            Some(file) => sources.join(file).display().to_string(),
            None => word.to_owned(),
        },
    });
    // An absolute path stays what it is.
    let program = built.join(words.next().unwrap_or_default());
    Benign {
        name,
        program,
        arguments: words.collect(),
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benign")
}

/// The folder of what has been compiled. Compiling happens once; make knows whether anything has changed.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let missing: Vec<&str> = NEEDS
            .iter()
            .filter(|(path, _)| !Path::new(path).exists())
            .map(|(_, package)| *package)
            .collect();
        assert!(
            missing.is_empty(),
            "packages are missing that tools/install-test-deps installs: {}",
            missing.join(" ")
        );
        let test = std::env::current_exe().expect("this test");
        // A benchmark lies elsewhere in it than a test does.
        let mut above = test.ancestors();
        let target = above.find(|folder| folder.join("CACHEDIR.TAG").exists());
        let target = target.expect("a target folder");
        let out = target.join("benign");
        fs::create_dir_all(&out).expect("a folder");
        // Tests may be processes of their own, at the same time.
        let lock = File::open(&out).expect("a folder");
        lock.lock().expect("a lock");
        let mut make = Command::new("make");
        make.arg("--quiet").arg("-C").arg(sources());
        make.arg(format!("OUT={}", out.display()));
        assert!(make.status().expect("make").success(), "make failed");
        out
    })
}
