//! Banned programs that are started without a pause, while something changes.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::Host;

/// A shell that starts one after the other, until it is ended.
#[derive(Debug)]
pub struct Siege {
    shell: Child,
    tried: PathBuf,
    survived: PathBuf,
    stop: PathBuf,
}

impl Siege {
    /// Begins, inside the scope of `host`, with programs that have `word` as an argument.
    pub fn begin(host: &Host, word: &str) -> Self {
        let (tried, survived, stop) = (host.marker(), host.marker(), host.marker());
        // What is besieged must get its turn.
        let shell = Command::new("nice")
            .args([
                "-n",
                "19",
                "/bin/sh",
                "-c",
                r#"echo $$ > "$PROCS"
                while ! [ -e "$STOP" ]; do
                    if /bin/true "$WORD"; then echo >> "$SURVIVED"; fi
                    echo >> "$TRIED"
                done"#,
            ])
            .env("PROCS", host.inside.join("cgroup.procs"))
            .env("TRIED", &tried)
            .env("SURVIVED", &survived)
            .env("STOP", &stop)
            .env("WORD", word)
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let siege = Self {
            shell,
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
        self.shell.wait().expect("our own child");
        let lived = fs::metadata(&self.survived).map_or(0, |metadata| metadata.len());
        (self.tried(), lived)
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
