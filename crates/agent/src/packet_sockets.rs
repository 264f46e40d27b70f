//! What settings say of packet and raw sockets, and whose they are. The kernel says of a frame from which cgroup it comes, and not
//! from which process: that one is looked for among those in the cgroup.

use std::{collections::HashMap, collections::HashSet, fs, os::unix::ffi::OsStrExt};

use hayward_kernel::Kernel;
use hayward_model::{Action, Finding, Guard, Mode, Response};
use hayward_policy::{PacketSockets, Policy};
use hayward_workload::in_time;

use crate::{agent::Agent, outbound::has_limit, pipeline::Pipeline, process};

/// Processes that are looked at, and open files of each.
const MOST_PROCESSES: usize = 1_024;
const MOST_FILES: usize = 4_096;

impl Agent {
    /// What is missing of what settings deny to packet sockets, where something is.
    pub(crate) fn unrefused(&self, policy: &Policy) -> Option<String> {
        let denied = policy.outbound.packet_sockets != PacketSockets::Observe;
        if !denied || policy.guard_mode(Guard::Outbound).0 == Mode::Observe {
            return None;
        }
        let why = self.with_kernel(|kernel: &mut Kernel| {
            Ok(kernel.packet_socket_failure().map(ToString::to_string))
        });
        let unseen = self.frames_unseen.lock().ok();
        let unseen = unseen.and_then(|unseen| unseen.clone());
        Some(what_is_missing(unseen.as_deref(), &why.ok()??))
    }
}

/// The same in words: why frames leave unseen, where they do, and why BPF LSM does nothing.
fn what_is_missing(unseen: Option<&str>, why: &str) -> String {
    let sent = match unseen {
        None => {
            "what they send is dropped where a container's own network meets the host's alone: take CAP_NET_RAW from workloads that are in the host's network or reach others by macvlan or ipvlan".to_owned()
        }
        Some(unseen) => format!("what they send leaves: {unseen}"),
    };
    format!("packet sockets are made all the same, and {sent}; {why}")
}

/// Whether it is about a packet or a raw socket, whatever is sent by it.
pub(crate) fn of_socket(finding: &Finding) -> bool {
    has_limit(finding, "packet-socket") || has_limit(finding, "raw-socket")
}

/// Has the process killed that was refused a socket, or its frames, where settings say so and it is known.
pub(crate) fn kill_where_wanted(finding: &mut Finding, settings: PacketSockets) {
    let is_denied = of_socket(finding) && finding.done == Some(Action::Denied);
    if settings == PacketSockets::Kill && is_denied && finding.process.pid != 0 {
        finding.done = None;
        finding.response = Some(Response::Kill);
    }
}

impl Pipeline {
    /// Names the process that holds a packet socket, where it is found.
    pub(crate) fn name_holder(&self, finding: &mut Finding) {
        let cgroup = finding.cgroup_id;
        let members = self.cgroups.lock().ok().and_then(|mut cgroups| {
            let path = cgroups.path_of(cgroup)?;
            Some(cgroups.members(&path))
        });
        let holder = members.and_then(|members| in_time(move || holder(&members)).flatten());
        let Some((pid, running)) = holder.and_then(|pid| Some((pid, process::read(pid)?))) else {
            return;
        };
        let process = &mut finding.process;
        process.pid = pid;
        process.parent_pid = running.parent_pid;
        process.start_boot_ns = running.start_boot_ns;
        process.uid = running.uid;
        process.comm = running.comm;
    }
}

/// The first of these processes that has a packet socket open.
fn holder(processes: &[u32]) -> Option<u32> {
    let mut networks: HashMap<Vec<u8>, HashSet<u64>> = HashMap::new();
    processes.iter().take(MOST_PROCESSES).copied().find(|pid| {
        let Ok(network) = fs::read_link(format!("/proc/{pid}/ns/net")) else {
            return false;
        };
        let sockets = networks
            .entry(network.as_os_str().as_bytes().to_vec())
            .or_insert_with(|| {
                let text = fs::read_to_string(format!("/proc/{pid}/net/packet"));
                packet_sockets(&text.unwrap_or_default())
            });
        !sockets.is_empty() && !open_sockets(*pid, sockets).is_empty()
    })
}

/// The inodes of the packet sockets in a network, by /proc/PID/net/packet, where they stand last.
pub(crate) fn packet_sockets(text: &str) -> HashSet<u64> {
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| line.split_whitespace().last()?.parse().ok())
        .collect()
}

/// Those of these sockets that a process has open, by their inodes.
pub(crate) fn open_sockets(pid: u32, sockets: &HashSet<u64>) -> HashSet<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    let files = files.into_iter().flatten().take(MOST_FILES);
    let inodes = files.filter_map(|file| {
        let link = fs::read_link(file.ok()?.path()).ok()?;
        socket(link.to_str()?)
    });
    inodes.filter(|inode| sockets.contains(inode)).collect()
}

/// The inode in `socket:[123]`.
fn socket(link: &str) -> Option<u64> {
    let inode = link.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_sockets_are_told_by_their_inodes() {
        let text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
            0000000000000000 3      3    0003   2     1 0      0      4711\n\
            0000000000000000 3      2    88cc   0     1 0      0      17\n";
        assert_eq!(packet_sockets(text), HashSet::from([4711, 17]));
        assert!(packet_sockets("").is_empty());
        assert!(packet_sockets("sk Inode\n\n x y\n").is_empty());
        assert_eq!(socket("socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "/dev/null", "socket:[x]", "socket:[1"] {
            assert_eq!(socket(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_missing_is_more_where_frames_are_not_seen_either() {
        let dropped = what_is_missing(None, "no LSM");
        assert!(dropped.contains("is dropped where") && dropped.ends_with("; no LSM"));
        let unseen = what_is_missing(Some("it is elsewhere"), "no LSM");
        assert!(unseen.ends_with("what they send leaves: it is elsewhere; no LSM"));
        assert!(!unseen.contains("dropped"));
    }

    #[test]
    fn who_has_none_open_is_not_found() {
        assert_eq!(holder(&[std::process::id(), u32::MAX]), None);
    }
}
