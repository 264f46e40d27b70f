//! Every way to start a program, from inside a cgroup.

use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The ways. Python, since a shell has only `execve`.
const LAUNCHER: &str = include_str!("launch.py");

/// How a program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `fork`, `execve`.
    Execve,
    /// `fexecve`, which is `execveat` on a descriptor.
    Fexecve,
    /// The program lies in memory alone.
    Memfd,
    /// The program's file is removed between opening and starting it.
    Deleted,
    /// `posix_spawn`.
    PosixSpawn,
    /// `vfork`, `execve`.
    Vfork,
    /// `execve` by a thread that is not the first.
    Thread,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Execve,
        Self::Fexecve,
        Self::Memfd,
        Self::Deleted,
        Self::PosixSpawn,
        Self::Vfork,
        Self::Thread,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Execve => "execve",
            Self::Fexecve => "fexecve",
            Self::Memfd => "memfd",
            Self::Deleted => "deleted",
            Self::PosixSpawn => "posix_spawn",
            Self::Vfork => "vfork",
            Self::Thread => "thread",
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A program to be started in a cgroup.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its file.
    pub program: PathBuf,
    /// All arguments, the name among them.
    pub arguments: Vec<Vec<u8>>,
    /// How.
    pub way: Way,
    /// Whether it gets a mount namespace of its own, as containers do.
    pub own_mounts: bool,
}

impl Launch {
    /// `program arguments...` by `execve`.
    pub fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let program = program.into();
        let mut all = vec![program.as_os_str().as_bytes().to_vec()];
        all.extend(arguments.iter().map(|text| text.as_bytes().to_vec()));
        Self {
            program,
            arguments: all,
            way: Way::Execve,
            own_mounts: false,
        }
    }

    /// The same, started another way.
    #[must_use]
    pub fn by(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// The same, in a mount namespace of its own.
    #[must_use]
    pub fn with_own_mounts(mut self) -> Self {
        self.own_mounts = true;
        self
    }

    /// Starts it in `cgroup`, waits, and says how it ended.
    pub fn run(&self, cgroup: &Path) -> Ended {
        let folder = tempfile::tempdir().expect("a folder");
        let launcher = folder.path().join("launch.py");
        fs::write(&launcher, LAUNCHER).expect("the launcher");
        // By a file: what is to be judged must not stand in the launcher's own command line, and an argument may be
        // longer than an environment variable.
        let arguments = folder.path().join("arguments");
        let mut bytes = Vec::new();
        for argument in &self.arguments {
            bytes.extend(argument);
            bytes.push(0);
        }
        fs::write(&arguments, bytes).expect("the arguments");
        let mut command = if self.own_mounts {
            let mut command = Command::new("unshare");
            command.args(["--mount", "python3"]);
            command
        } else {
            Command::new("python3")
        };
        let output = command
            .arg(&launcher)
            .arg(cgroup.join("cgroup.procs"))
            .arg(self.way.name())
            .arg(&self.program)
            .arg(&arguments)
            .output()
            .expect("python3");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let status: i32 = text
            .trim()
            .lines()
            .last()
            .unwrap_or("")
            .parse()
            .unwrap_or_else(|_| {
                panic!(
                    "the launcher said {text:?} {:?}",
                    String::from_utf8_lossy(&output.stderr)
                )
            });
        if status < 0 {
            Ended::Signal(-status)
        } else {
            Ended::Code(status)
        }
    }
}
