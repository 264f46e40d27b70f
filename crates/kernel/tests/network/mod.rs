//! A program in a cgroup that does on the network what it is told, in a network of its own.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

const SCRIPT: &str = concat!(
    include_str!("measure.py"),
    include_str!("dns.py"),
    include_str!("network.py")
);
/// Its own addresses.
const ADDRESSES: [&str; 4] = ["10.1.0.1/32", "10.2.0.1/32", "fd01::1/128", "fd02::1/128"];

/// A program in a cgroup, with a network of its own.
pub struct Workload {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Workload {
    /// Starts it.
    pub fn new(cgroup: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec python3 "$@""#])
            .arg(cgroup)
            .arg("-c")
            .arg(SCRIPT)
            .args(ADDRESSES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut workload = Self { child, output };
        assert_eq!(workload.line(), "ready");
        workload
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Does one thing, and says what came of it.
    pub fn does(&mut self, command: &str) -> String {
        let input = self.child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{command}").expect("it reads");
        self.line()
    }

    /// Each command, with what comes of it.
    pub fn all(&mut self, commands: &[(&str, &str)]) {
        for (command, expected) in commands {
            assert_eq!(self.does(command), *expected, "{command}");
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
