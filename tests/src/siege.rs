//! Banned programs that are started without a pause, while something changes.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::Host;

/// Some hundreds a second: a pause after each, or the agent's own work would take all the time.
const LOOP: &str = r#"
import os, time
with open(os.environ["PROCS"], "w") as procs:
    procs.write("0")
tried, survived = open(os.environ["TRIED"], "w"), open(os.environ["SURVIVED"], "w")
while not os.path.exists(os.environ["STOP"]):
    child = os.posix_spawn("/bin/true", ["true", os.environ["WORD"]], {})
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -9:
        print(file=survived, flush=True)
    print(file=tried, flush=True)
    time.sleep(0.001)
"#;

/// A process that starts one after the other, until it is ended.
#[derive(Debug)]
pub struct Siege {
    launcher: Child,
    tried: PathBuf,
    survived: PathBuf,
    stop: PathBuf,
}

impl Siege {
    /// Begins, inside the scope of `host`, with programs that have `word` as an argument.
    pub fn begin(host: &Host, word: &str) -> Self {
        let (tried, survived, stop) = (host.marker(), host.marker(), host.marker());
        let launcher = Command::new("python3")
            .args(["-c", LOOP])
            .env("PROCS", host.inside.join("cgroup.procs"))
            .env("TRIED", &tried)
            .env("SURVIVED", &survived)
            .env("STOP", &stop)
            .env("WORD", word)
            .stderr(Stdio::null())
            .spawn()
            .expect("python3");
        let siege = Self {
            launcher,
            tried,
            survived,
            stop,
        };
        host.wait_until("the first attempt", || siege.tried() > 0);
        siege
    }

    /// How many programs were started so far.
    pub fn tried(&self) -> u64 {
        fs::metadata(&self.tried).map_or(0, |metadata| metadata.len())
    }

    /// Ends it. Returns how many were started, and how many of them lived.
    pub fn end(mut self) -> (u64, u64) {
        fs::write(&self.stop, "").expect("a file of our own");
        self.launcher.wait().expect("our own child");
        let lived = fs::metadata(&self.survived).map_or(0, |metadata| metadata.len());
        (self.tried(), lived)
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}
