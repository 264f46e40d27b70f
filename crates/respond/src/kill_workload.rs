//! Ending every process of a workload, those too that it starts meanwhile.
//!
//! Linux 5.14 and later do it in one step that no process can outrun (`cgroup.kill`). On older ones the workload is
//! frozen first, so that nothing can start another process, and ended one by one.

use std::{
    collections::HashSet,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::{ActError, Target, freeze};

const ACT: &str = "kill all of";

/// How long killed processes may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a round of single kills waits before it looks who is left.
const ROUND: Duration = Duration::from_millis(100);

/// How many processes are held open at a time, of the 1,024 files that an agent may have.
const AT_ONCE: usize = 256;

/// Ends all of it. Returns how many processes there were at the beginning.
pub(crate) fn kill_workload(target: &Target) -> Result<usize, ActError> {
    let processes = target.processes();
    match target.tree.write("cgroup.kill", "1") {
        Ok(()) => {}
        Err(error) => match Errno::from_io_error(&error) {
            // None before 5.14, none for a threaded cgroup, and not for us in one that a user owns.
            Some(Errno::NOENT | Errno::OPNOTSUPP | Errno::ACCESS) if target.tree.is_there() => {
                one_by_one(target)?;
            }
            _ => return Err(target.failure(ACT, error)),
        },
    }
    if target.wait_for(ACT, "populated", false, PATIENCE)? {
        return Ok(processes);
    }
    Err(ActError::Left {
        path: target.path().to_owned(),
        left: target.processes(),
    })
}

/// Frozen processes end all the same. What could not be frozen is chased for as long as patience lasts.
fn one_by_one(target: &Target) -> Result<(), ActError> {
    let was_frozen = freeze::is_frozen(target).unwrap_or(true);
    let frozen = !was_frozen && freeze::freeze(target).is_ok();
    let deadline = Instant::now() + PATIENCE;
    loop {
        for pids in target.tree.pids().chunks(AT_ONCE) {
            // All pidfds are opened first and the cgroup is read once more: a process that took over a pid is not in it.
            let opened: Vec<_> = pids.iter().copied().filter_map(open).collect();
            let still: HashSet<u32> = target.tree.pids().into_iter().collect();
            for (_, pidfd) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
                // It may have ended by itself.
                let _ = pidfd_send_signal(pidfd, Signal::KILL);
            }
        }
        if target.wait_for(ACT, "populated", false, ROUND)? || Instant::now() > deadline {
            break;
        }
    }
    if frozen {
        // What has gone needs none.
        let _ = freeze::thaw(target);
    }
    Ok(())
}

fn open(pid: u32) -> Option<(u32, OwnedFd)> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    Some((pid, pidfd_open(number, PidfdFlags::empty()).ok()?))
}
