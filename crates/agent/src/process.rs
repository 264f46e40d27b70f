//! What /proc tells of a running process. Any of it may be gone between two reads.

use std::{fs, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path};

use hayward_model::{Process, joined};
use hayward_workload::in_time;

/// Ticks of /proc/PID/stat are hundredths of a second on every architecture (USER_HZ).
const NS_PER_TICK: u64 = 10_000_000;

/// Arguments longer than this are judged up to here; the kernel's own limit is about 6 MB.
const LONGEST_LINE: usize = 8 << 20;

/// A running process, read at one moment.
#[derive(Debug)]
pub(crate) struct Running {
    /// Arguments, each ended by NUL.
    pub(crate) arguments: Vec<u8>,
    /// Path of the executable, as the process sees it; the one it had, where the file was deleted.
    pub(crate) executable: Vec<u8>,
    pub(crate) comm: String,
    pub(crate) parent_pid: u32,
    pub(crate) start_boot_ns: u64,
    pub(crate) uid: u32,
}

/// Reads a process. None where it is gone, where it does not let itself be read in time, or where it is a kernel thread.
pub(crate) fn read(pid: u32) -> Option<Running> {
    in_time(move || read_at_once(pid)).flatten()
}

fn read_at_once(pid: u32) -> Option<Running> {
    let mut arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    arguments.truncate(LONGEST_LINE);
    let (comm, parent_pid, start_boot_ns) = stat(pid)?;
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let executable = executable(pid).unwrap_or_default();
    Some(Running {
        arguments,
        executable,
        comm,
        parent_pid,
        start_boot_ns,
        uid,
    })
}

/// Completes what the kernel told of a process by what /proc says, where it still runs.
pub(crate) fn complete(process: &mut Process) {
    let running =
        read(process.pid).filter(|running| is_same(running.start_boot_ns, process.start_boot_ns));
    let Some(running) = running else { return };
    let line = joined(&running.arguments);
    process.executable = String::from_utf8_lossy(&running.executable).into_owned();
    process.command_line = String::from_utf8_lossy(&line).into_owned();
    process.command_line_bytes = u32::try_from(line.len()).unwrap_or(u32::MAX);
}

/// Device and inode of the file that a process runs.
pub(crate) fn executable_file(pid: u32) -> Option<(u64, u64)> {
    let metadata = in_time(move || fs::metadata(format!("/proc/{pid}/exe")).ok());
    let metadata = metadata.flatten()?;
    Some((metadata.dev(), metadata.ino()))
}

/// What the kernel writes behind the path of a file that is there no more.
const DELETED: &[u8] = b" (deleted)";

fn executable(pid: u32) -> Option<Vec<u8>> {
    let link = format!("/proc/{pid}/exe");
    let mut path = fs::read_link(&link).ok()?.as_os_str().as_bytes().to_vec();
    if path.ends_with(DELETED) && !is_named_so(pid, &link, &path) {
        path.truncate(path.len() - DELETED.len());
    }
    Some(path)
}

/// Whether the file is still there by that name, which then only looks like a deleted one's.
fn is_named_so(pid: u32, link: &str, path: &[u8]) -> bool {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let below = Path::new("/proc").join(pid.to_string()).join("root");
    let named = fs::metadata(below.join(path.strip_prefix("/").unwrap_or(path)));
    let running = fs::metadata(link);
    named.is_ok_and(|named| {
        running.is_ok_and(|running| (named.dev(), named.ino()) == (running.dev(), running.ino()))
    })
}

/// Whether it has been killed and has only not ended yet: it runs no instruction of its own any more.
pub(crate) fn is_ending(pid: u32) -> bool {
    // In this order: the signal is pending until the process has begun to end.
    let Ok(status) = fs::read(format!("/proc/{pid}/status")) else {
        return true;
    };
    let kill_is_pending = has_kill_pending(&status);
    kill_is_pending || flags(pid).is_none_or(|flags| flags & PF_EXITING != 0)
}

/// As the kernel has it in include/linux/sched.h.
const PF_EXITING: u64 = 4;
/// SIGKILL among sets of signals in /proc/PID/status.
const KILL: u64 = 1 << 8;

/// Signals to a thread and to its process, by /proc/PID/status.
fn has_kill_pending(status: &[u8]) -> bool {
    let sets = status.split(|byte| *byte == b'\n').filter_map(|line| {
        let set = [b"SigPnd:", b"ShdPnd:"]
            .iter()
            .find_map(|name| line.strip_prefix(*name))?;
        u64::from_str_radix(std::str::from_utf8(set).ok()?.trim(), 16).ok()
    });
    sets.fold(0, |all, set| all | set) & KILL != 0
}

fn flags(pid: u32) -> Option<u64> {
    field(pid, 6)
}

/// The number of the terminal that controls a process; none where there is none.
pub(crate) fn terminal(pid: u32) -> Option<u64> {
    field(pid, 4).filter(|number| *number != 0)
}

/// A number of /proc/PID/stat, counted from what follows the name.
fn field(pid: u32, number: usize) -> Option<u64> {
    let bytes = in_time(move || fs::read(format!("/proc/{pid}/stat")).ok()).flatten()?;
    let text = String::from_utf8_lossy(&bytes);
    let fields = text.rsplit_once(')')?.1;
    fields.split_whitespace().nth(number)?.parse().ok()
}

/// When a process started, in nanoseconds since boot.
pub(crate) fn started(pid: u32) -> Option<u64> {
    Some(in_time(move || stat(pid)).flatten()?.2)
}

/// Whether the process that the kernel saw still has this pid: start times agree within a tick.
pub(crate) fn is_same(start_boot_ns: u64, other: u64) -> bool {
    start_boot_ns.abs_diff(other) <= NS_PER_TICK
}

/// The name stands in parentheses and may hold anything, so fields are counted from the last one. It need not be UTF-8
/// either: who names itself so must not be invisible.
fn stat(pid: u32) -> Option<(String, u32, u64)> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(bytes: &[u8]) -> Option<(String, u32, u64)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, tail) = text.rsplit_once(')')?;
    let comm = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let parent_pid = fields.get(1)?.parse().ok()?;
    let start: u64 = fields.get(19)?.parse().ok()?;
    Some((comm, parent_pid, start.checked_mul(NS_PER_TICK)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    const STAT: &[u8] = b"42 (na) \xff(me) S 7 42 42 0 -1 4194304 91 0 0 0 0 0 0 0 20 0 1 0 12345 5898240 219 18446744073709551615 1 1 0\n";

    #[test]
    fn a_process_whose_name_is_no_utf8_is_read() {
        let read = parse_stat(STAT).expect("it is read");
        assert_eq!(read, ("na) \u{fffd}(me".to_owned(), 7, 12345 * NS_PER_TICK));
    }

    #[test]
    fn a_process_that_was_killed_is_ending_and_no_other_is() {
        use std::{os::unix::process::ExitStatusExt, process::Command};
        let mut child = Command::new("sleep").arg("60").spawn().expect("a child");
        assert!(!is_ending(child.id()));
        child.kill().expect("our own child");
        assert!(is_ending(child.id()), "nobody has waited for it");
        assert_eq!(child.wait().expect("it ended").signal(), Some(9));
        assert!(is_ending(child.id()), "it is gone");
    }

    #[test]
    fn a_kill_is_pending_for_the_thread_or_the_process() {
        let status = |thread: &str, process: &str| {
            format!(
                "Name:\tShdPnd:\nSigQ:\t0/9\nSigPnd:\t{thread}\nShdPnd:\t{process}\nSigBlk:\t0000000000000100\n"
            )
        };
        let (none, kill, other) = ("0000000000000000", "0000000000000100", "0000000000004000");
        assert!(!has_kill_pending(status(none, none).as_bytes()));
        assert!(!has_kill_pending(status(other, other).as_bytes()));
        assert!(has_kill_pending(status(kill, none).as_bytes()));
        assert!(has_kill_pending(status(other, kill).as_bytes()));
    }

    #[test]
    fn parsing_damaged_process_status_never_panics() {
        let strategy = Corpus::new([STAT], [") S 1", "18446744073709551615"]).damaged();
        throw(500, &strategy, |input| {
            let _ = parse_stat(&input.0);
            Ok(())
        });
    }
}
