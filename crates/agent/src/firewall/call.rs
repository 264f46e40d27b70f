//! Calls of the programs that change firewalls: no shell, no environment, and never for longer than a while.

use std::{
    io::{self, Read, Write},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::standing::Cause;

/// Where the programs are: nobody else's are run.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// One call takes no longer.
const LONGEST: Duration = Duration::from_secs(30);
/// Of what a program complains, so much is told.
const MOST_TOLD: usize = 300;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("`{program}` is not there: install the package {package}")]
    Missing {
        program: &'static str,
        package: &'static str,
    },
    #[error("`{program}` cannot be run: {source}")]
    Run {
        program: &'static str,
        source: io::Error,
    },
    #[error("`{program}` took longer than {} s and was ended; it is tried again", LONGEST.as_secs())]
    Late { program: &'static str },
    #[error("`{program}` says: {says}")]
    Refused { program: &'static str, says: String },
}

impl CallError {
    /// What was named does not exist.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { says, .. } if says.contains("No such file") || says.contains("does not exist"))
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }

    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Missing { .. } => Cause::Missing,
            Self::Run { .. } => Cause::Unrunnable,
            Self::Late { .. } => Cause::Late,
            Self::Refused { .. } if self.is_absent() => Cause::Absent,
            Self::Refused { .. } => Cause::Refused,
        }
    }
}

/// Has `nft` do what a text says: all of it or nothing.
pub(crate) fn nft(text: &str) -> Result<(), CallError> {
    call("nft", "nftables", &["-f", "-"], text).map(drop)
}

/// What `nft` says of a set, in JSON.
pub(crate) fn nft_list(arguments: &[&str]) -> Result<String, CallError> {
    call("nft", "nftables", arguments, "")
}

/// Has `ipset` do what a text says, line by line.
pub(crate) fn ipset(text: &str) -> Result<(), CallError> {
    call("ipset", "ipset", &["restore", "-exist"], text).map(drop)
}

/// A set of `ipset`, as it would be restored.
pub(crate) fn ipset_list(name: &str) -> Result<String, CallError> {
    call("ipset", "ipset", &["save", name], "")
}

fn call(
    program: &'static str,
    package: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<String, CallError> {
    call_within(program, package, arguments, input, LONGEST)
}

fn call_within(
    program: &'static str,
    package: &'static str,
    arguments: &[&str],
    input: &str,
    limit: Duration,
) -> Result<String, CallError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CallError::Missing { program, package },
        _ => CallError::Run { program, source },
    };
    let found = PATH
        .split(':')
        .map(|folder| std::path::Path::new(folder).join(program))
        .find(|path| path.exists());
    let path = found.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take();
    let (out, complaints) = (read(child.stdout.take()), read(child.stderr.take()));
    let input = input.as_bytes().to_vec();
    let writer = std::thread::spawn(move || {
        // That it does not read all of it is told by how it ends.
        let _ = stdin.as_mut().map(|stdin| stdin.write_all(&input));
    });
    let in_time = ends_within(&child, limit);
    if !in_time {
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    let _ = writer.join();
    let (out, complaints) = (joined(out), joined(complaints));
    if !in_time {
        return Err(CallError::Late { program });
    }
    if !status.success() {
        let says = complaints.split_whitespace().collect::<Vec<_>>().join(" ");
        let says = says.chars().take(MOST_TOLD).collect();
        return Err(CallError::Refused { program, says });
    }
    Ok(out)
}

fn read(from: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut from) = from {
            let _ = from.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(thread: JoinHandle<String>) -> String {
    thread.join().unwrap_or_default()
}

fn ends_within(child: &Child, limit: Duration) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else {
        return true;
    };
    let deadline = std::time::Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else {
            return true;
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Err(rustix::io::Errno::INTR) => {}
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_told_with_its_package() {
        let error = call("no-such-program", "its-package", &[], "").expect_err("none");
        assert!(error.is_missing());
        assert!(
            error
                .to_string()
                .contains("install the package its-package")
        );
    }

    #[test]
    fn much_goes_in_and_comes_out_and_nothing_of_the_environment() {
        let text = "a line\n".repeat(100_000);
        let out = call("cat", "coreutils", &[], &text).expect("it copies");
        assert_eq!(out, text);
        let out = call("env", "coreutils", &[], "").expect("it lists");
        assert_eq!(out, format!("LC_ALL=C\nPATH={PATH}\n"));
    }

    #[test]
    fn what_hangs_is_ended_and_a_complaint_is_told() {
        let limit = Duration::from_millis(50);
        let error = call_within("sleep", "coreutils", &["600"], "", limit).expect_err("late");
        assert!(matches!(error, CallError::Late { .. }), "{error}");
        let error = call("cat", "coreutils", &["/no/such"], "").expect_err("none");
        assert!(error.is_absent(), "{error}");
    }
}
