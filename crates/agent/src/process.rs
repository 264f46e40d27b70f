//! What /proc tells of a running process. Any of it may be gone between two reads.

use std::{fs, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path};

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

/// Reads a process. None where it is gone, or where it is a kernel thread.
pub(crate) fn read(pid: u32) -> Option<Running> {
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

/// Device and inode of the file that a process runs.
pub(crate) fn executable_file(pid: u32) -> Option<(u64, u64)> {
    let metadata = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Path of a process's cgroup (v2).
pub(crate) fn cgroup_path(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(path.to_owned())
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

/// When a process started, in nanoseconds since boot.
pub(crate) fn started(pid: u32) -> Option<u64> {
    Some(stat(pid)?.2)
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
    fn parsing_damaged_process_status_never_panics() {
        let strategy = Corpus::new([STAT], [") S 1", "18446744073709551615"]).damaged();
        throw(500, &strategy, |input| {
            let _ = parse_stat(&input.0);
            Ok(())
        });
    }
}
