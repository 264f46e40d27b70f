//! What is the same in the findings of all guards on the network: the kernel has decided.

use hayward_model::{Action, Evidence, Finding, Guard, Process, Sender};

/// The finding about whoever sends something.
pub(crate) fn finding(guard: Guard, sender: Sender, evidence: Evidence) -> Finding {
    let done = if sender.denied {
        Action::Denied
    } else {
        Action::Observed
    };
    Finding {
        guard,
        rule: None,
        generation: 0,
        process: Process {
            pid: sender.pid,
            parent_pid: sender.parent_pid,
            start_boot_ns: sender.start_boot_ns,
            uid: sender.uid,
            comm: sender.comm,
            executable: String::new(),
            command_line: String::new(),
            command_line_bytes: 0,
        },
        cgroup_id: sender.cgroup_id,
        boot_ns: sender.boot_ns,
        done: Some(done),
        response: None,
        evidence: Evidence {
            destination: Some(sender.destination),
            ..evidence
        },
    }
}
