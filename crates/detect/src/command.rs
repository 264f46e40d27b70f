//! The `command` guard's detector: what the kernel or the scan saw, as a finding. Every event of this guard is one: the
//! kernel sends no others.

use hayward_model::{
    Action, Evidence, ExecEvent, Finding, Guard, KernelVerdict, Process, RunningEvent,
    UnscannedCause,
};

/// The finding of a program start.
pub fn exec(event: ExecEvent) -> Finding {
    let done = match event.verdict {
        KernelVerdict::Killed => Some(Action::Killed),
        KernelVerdict::Observed => Some(Action::Observed),
        KernelVerdict::Spared => Some(Action::Spared),
        KernelVerdict::Answered | KernelVerdict::Unscanned(_) => None,
    };
    let unscanned = event.unscanned.map(|cause| match cause {
        UnscannedCause::TooLong => "too-long",
        UnscannedCause::ReadFailed => "read-failed",
    });
    let window = String::from_utf8_lossy(&event.match_window).into_owned();
    Finding {
        guard: Guard::Command,
        rule: event.rule,
        generation: event.generation,
        process: Process {
            pid: event.pid,
            parent_pid: event.parent_pid,
            start_boot_ns: event.start_boot_ns,
            uid: event.uid,
            comm: event.comm,
            executable: String::from_utf8_lossy(&event.executable).into_owned(),
            command_line: String::from_utf8_lossy(&event.command_line).into_owned(),
            command_line_bytes: event.command_line_bytes,
        },
        cgroup_id: event.cgroup_id,
        boot_ns: event.boot_ns,
        done,
        response: None,
        evidence: Evidence {
            judged_at: Some("exec".to_owned()),
            match_end: event.rule.map(|_| event.match_end),
            match_window: (!window.is_empty()).then_some(window),
            unscanned: unscanned.map(str::to_owned),
            fileless: event.fileless,
            ..Evidence::default()
        },
    }
}

/// The finding of the scan.
pub fn running(event: RunningEvent) -> Finding {
    let done = match (event.spared, event.observe) {
        (true, _) => Some(Action::Spared),
        (false, true) => Some(Action::Observed),
        (false, false) => None,
    };
    Finding {
        guard: Guard::Command,
        rule: Some(event.rule),
        generation: event.generation,
        process: Process {
            pid: event.pid,
            parent_pid: event.parent_pid,
            start_boot_ns: event.start_boot_ns,
            uid: event.uid,
            comm: event.comm,
            executable: String::from_utf8_lossy(&event.executable).into_owned(),
            command_line: String::from_utf8_lossy(&event.command_line).into_owned(),
            command_line_bytes: u32::try_from(event.command_line.len()).unwrap_or(u32::MAX),
        },
        cgroup_id: event.cgroup_id,
        boot_ns: event.boot_ns,
        done,
        response: None,
        evidence: Evidence {
            judged_at: Some("scan".to_owned()),
            match_end: Some(event.match_end),
            ..Evidence::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(verdict: KernelVerdict, rule: Option<u32>) -> ExecEvent {
        ExecEvent {
            boot_ns: 5,
            generation: 3,
            pid: 7,
            parent_pid: 6,
            start_boot_ns: 4,
            uid: 1000,
            cgroup_id: 9,
            cgroup: None,
            verdict,
            rule,
            comm: "x".to_owned(),
            executable: b"/bin/x".to_vec(),
            command_line: b"x y".to_vec(),
            command_line_bytes: 3,
            match_end: 3,
            match_window: Vec::new(),
            fileless: false,
            unscanned: match verdict {
                KernelVerdict::Unscanned(cause) => Some(cause),
                _ => None,
            },
        }
    }

    #[test]
    fn what_the_kernel_did_is_done_and_what_it_could_not_judge_is_not() {
        let finding = exec(event(KernelVerdict::Killed, Some(2)));
        assert_eq!(
            (finding.done, finding.rule),
            (Some(Action::Killed), Some(2))
        );
        let cause = UnscannedCause::TooLong;
        let finding = exec(event(KernelVerdict::Unscanned(cause), None));
        assert_eq!((finding.done, finding.rule), (None, None));
        assert_eq!(finding.evidence.unscanned.as_deref(), Some("too-long"));
    }
}
