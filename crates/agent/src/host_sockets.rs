//! Packet sockets in the network that the agent is in, the host's own: no program sees what they send, so that they are looked
//! for. Those of containers with a network of their own are told by their frames.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::Ipv6Addr,
    time::Duration,
};

use hayward_kernel::boot_ns;
use hayward_model::{Destination, Event, Guard, Mode, OutboundEvent, ScanEvidence, Sender};
use hayward_policy::PacketSockets;
use hayward_workload::in_time;

use crate::{
    agent::Agent,
    packet_sockets::{open_sockets, packet_sockets},
    process, scan,
};

/// How often it is looked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// The list of a network's packet sockets.
const LIST: &str = "/proc/thread-self/net/packet";

/// How often whose a socket is is looked for: when it is first listed, its process may not have it yet.
const LOOKS: u32 = 2;

/// Sockets that are listed, by their inodes, and how often it was looked whose they are.
pub(crate) type Known = HashMap<u64, u32>;

/// Takes a new list. Those are left of which it is to be looked whose they are.
fn wanted(known: &mut Known, listed: impl IntoIterator<Item = u64>) -> HashSet<u64> {
    let looks = |inode| (inode, known.get(&inode).map_or(1, |looks| looks + 1));
    *known = listed.into_iter().map(looks).collect();
    let fresh = known.iter().filter(|(_, looks)| **looks <= LOOKS);
    fresh.map(|(inode, _)| *inode).collect()
}

impl Agent {
    /// Has whoever in scope holds a packet socket recorded, and killed where settings say so: once for each socket.
    pub(crate) fn look_for_packet_sockets(&self) {
        let off = self.with_kernel(|kernel| kernel.cells().off_until(Guard::Outbound));
        let Ok(mut known) = self.packet_sockets.lock() else {
            return;
        };
        if !matches!(off, Ok(None)) {
            return;
        }
        let listed = packet_sockets(&fs::read_to_string(LIST).unwrap_or_default());
        let mut fresh = wanted(&mut known, listed);
        if fresh.is_empty() {
            return;
        }
        self.enter_existing_cgroups();
        let scoped = self.scoped.read().map(|scoped| scoped.clone());
        for (cgroup, path) in scoped.unwrap_or_default() {
            let policy = self.with_kernel(|kernel| kernel.scope(cgroup));
            let policy = policy.ok().flatten();
            let Some(mode) = policy.and_then(|policy| policy.mode(Guard::Outbound)) else {
                continue;
            };
            for pid in scan::members(&path) {
                let looked_for = fresh.clone();
                let held = in_time(move || open_sockets(pid, &looked_for)).unwrap_or_default();
                if held.is_empty() {
                    continue;
                }
                for inode in held {
                    fresh.remove(&inode);
                    known.insert(inode, LOOKS);
                }
                self.tell_of_packet_socket(pid, cgroup, mode);
            }
        }
    }

    fn tell_of_packet_socket(&self, pid: u32, cgroup_id: u64, mode: Mode) {
        let Some(running) = process::read(pid) else {
            return;
        };
        // It has been made, and what is sent by it is not stopped: where it is denied too, it is only seen.
        let kills = self.policy().outbound.packet_sockets == PacketSockets::Kill;
        let sender = Sender {
            boot_ns: boot_ns(),
            cgroup_id,
            pid,
            parent_pid: running.parent_pid,
            start_boot_ns: running.start_boot_ns,
            uid: running.uid,
            comm: running.comm,
            denied: kills && mode == Mode::Enforce,
            destination: Destination {
                address: Ipv6Addr::UNSPECIFIED.into(),
                port: None,
                protocol: String::new(),
            },
        };
        let scan = ScanEvidence {
            limit: "packet-socket".to_owned(),
            by_process: true,
            ..ScanEvidence::default()
        };
        self.pipeline.take(Event::Outbound(OutboundEvent {
            sender,
            workload: cgroup_id,
            scan,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_socket_is_is_looked_for_twice_and_again_when_it_is_another() {
        let mut known = Known::default();
        assert_eq!(wanted(&mut known, [1, 2]), HashSet::from([1, 2]));
        known.insert(2, LOOKS);
        assert_eq!(wanted(&mut known, [1, 2, 3]), HashSet::from([1, 3]));
        assert_eq!(wanted(&mut known, [1, 3]), HashSet::from([3]));
        assert_eq!(wanted(&mut known, [3]), HashSet::new());
        assert_eq!(
            wanted(&mut known, [1, 3]),
            HashSet::from([1]),
            "another one"
        );
        assert_eq!(known.len(), 2);
    }
}
