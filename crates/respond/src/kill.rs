//! Ending a process, and no other: by pidfd, and only if it is still the one that was judged.

use std::{fs, os::unix::fs::MetadataExt, time::Duration};

use hayward_workload::{in_time, within};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Ticks of /proc/PID/stat are hundredths of a second on every architecture (USER_HZ).
const NS_PER_TICK: u64 = 10_000_000;

/// How long each of many processes is waited for, some of which hold up whoever asks.
const ONE_ALONE: Duration = Duration::from_millis(10);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    /// SIGKILL was sent.
    Killed,
    /// It had ended by itself.
    AlreadyGone,
    /// Another process has its pid now.
    NotTheSame,
}

impl std::fmt::Display for Killed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Killed => "the process was ended",
            Self::AlreadyGone => "the process had ended by itself",
            Self::NotTheSame => "another process has its pid now",
        })
    }
}

/// Why a process was not ended.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// PID 1, Hayward itself, or a kernel thread.
    #[error("pid {0} is never acted on")]
    Never(u32),
    /// The system refused.
    #[error("pid {pid} could not be ended: {source}")]
    System {
        /// The process.
        pid: u32,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Whether a process runs Hayward's own binary, by whatever name: the file counts, as it does in the kernel. One that
/// does not let itself be asked does not.
pub fn is_hayward(pid: u32) -> bool {
    hayward_among(&[pid]).is_some()
}

/// The first that runs Hayward's own binary.
pub(crate) fn hayward_among(pids: &[u32]) -> Option<u32> {
    let own = std::process::id();
    if pids.contains(&own) {
        return Some(own);
    }
    let all = pids.to_vec();
    in_time(move || all.into_iter().find(|pid| runs_hayward(*pid))).unwrap_or_else(|| {
        let asked = |pid: u32| within(ONE_ALONE, move || runs_hayward(pid));
        let mut each = pids.iter().copied();
        each.find(|pid| asked(*pid) == Some(true))
    })
}

fn runs_hayward(pid: u32) -> bool {
    let file = |path: &str| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    file("/proc/self/exe").is_some_and(|own| file(&format!("/proc/{pid}/exe")) == Some(own))
}

/// Ends the process `pid` that started at `start_boot_ns` (CLOCK_BOOTTIME, as the kernel told). The pidfd is opened
/// first and the start time compared after, so no other process can slip in between.
pub fn kill(pid: u32, start_boot_ns: u64) -> Result<Killed, KillError> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(target) = number.filter(|_| pid > 1 && pid != std::process::id()) else {
        return Err(KillError::Never(pid));
    };
    let system = |error: rustix::io::Errno| KillError::System {
        pid,
        source: error.into(),
    };
    let pidfd = match pidfd_open(target, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(Killed::AlreadyGone),
        result => result.map_err(system)?,
    };
    match started(pid) {
        None => return Ok(Killed::AlreadyGone),
        Some(start) if start.abs_diff(start_boot_ns) > NS_PER_TICK => {
            return Ok(Killed::NotTheSame);
        }
        Some(_) => {}
    }
    // A kernel thread has no executable, and its link cannot be read even by root.
    if fs::read_link(format!("/proc/{pid}/exe")).is_err()
        && fs::metadata(format!("/proc/{pid}")).is_ok()
    {
        return Err(KillError::Never(pid));
    }
    if is_hayward(pid) {
        return Err(KillError::Never(pid));
    }
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => Ok(Killed::AlreadyGone),
        result => result.map(|()| Killed::Killed).map_err(system),
    }
}

/// The program's name, which stands in it, need not be UTF-8.
fn started(pid: u32) -> Option<u64> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let fields = text.rsplit_once(')')?.1;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(ticks * NS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::{ffi::OsStrExt, process::ExitStatusExt},
        process::{Child, Command},
    };

    fn child() -> Child {
        Command::new("sleep").arg("60").spawn().expect("a child")
    }

    #[test]
    fn the_process_that_was_judged_is_ended() {
        let mut child = child();
        let start = started(child.id()).expect("a start time");
        assert_eq!(kill(child.id(), start).expect("killed"), Killed::Killed);
        assert_eq!(child.wait().expect("it ended").signal(), Some(9));
        assert_eq!(kill(child.id(), start).expect("gone"), Killed::AlreadyGone);
    }

    #[test]
    fn a_process_whose_name_is_no_utf8_is_ended_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = std::ffi::OsStr::from_bytes(b"sl\xffeep");
        let program = folder.path().join(name);
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("a link");
        let mut child = Command::new(program).arg("60").spawn().expect("a child");
        let start = started(child.id()).expect("a start time");
        assert_eq!(kill(child.id(), start).expect("killed"), Killed::Killed);
        assert_eq!(child.wait().expect("it ended").signal(), Some(9));
    }

    #[test]
    fn a_process_that_took_over_the_pid_is_left_alone() {
        let mut child = child();
        let start = started(child.id()).expect("a start time");
        let judged = start.saturating_sub(5_000_000_000);
        assert_eq!(
            kill(child.id(), judged).expect("compared"),
            Killed::NotTheSame
        );
        assert!(child.try_wait().expect("a child").is_none(), "it lives");
        child.kill().expect("our own child");
        child.wait().expect("it ended");
    }

    #[test]
    #[ignore = "what another test starts"]
    fn sleeps() {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }

    #[test]
    fn init_the_agent_and_kernel_threads_are_never_acted_on() {
        for pid in [0, 1, std::process::id()] {
            assert!(matches!(kill(pid, 0), Err(KillError::Never(_))), "{pid}");
        }
        let own = std::env::current_exe().expect("this test");
        let mut same = Command::new(own)
            .args(["--exact", "kill::tests::sleeps", "--ignored"])
            .spawn()
            .expect("a second one of us");
        let start = started(same.id()).expect("a start time");
        let refused = kill(same.id(), start);
        let lives = same.try_wait().expect("a child").is_none();
        same.kill().expect("our own child");
        same.wait().expect("it ended");
        assert!(matches!(refused, Err(KillError::Never(_))) && lives);
        if let Some(start) = started(2) {
            assert!(
                matches!(kill(2, start), Err(KillError::Never(2))),
                "kthreadd"
            );
        }
    }
}
