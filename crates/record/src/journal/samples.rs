//! Records for the tests of this crate.

use hayward_model::{
    Action, Guard, InboundEvidence, InboundLimit, Mode, ProbeKind, Process, Record, Response,
    ScanShape, Workload, WorkloadKind,
};
use jiff::Timestamp;

/// A record of a killed process, `second` seconds after 1970.
pub(crate) fn killed(second: i64, rule: &str, workload: &str) -> Record {
    let time = Timestamp::from_second(second).unwrap();
    Record {
        guard: Some(Guard::Command),
        rule: Some(rule.to_owned()),
        reason: Some("Monero miner".to_owned()),
        matched: Some("xmrig".to_owned()),
        generation: Some(3),
        mode: Some(Mode::Enforce),
        response: Some(Response::Kill),
        process: Some(Process {
            pid: 123,
            parent_pid: 1,
            start_boot_ns: 5,
            uid: 1000,
            comm: "xmrig".to_owned(),
            executable: "/tmp/xmrig".to_owned(),
            command_line: "/tmp/xmrig -o pool".to_owned(),
            command_line_bytes: 18,
        }),
        workload: Some(Workload {
            cgroup_id: 42,
            cgroup: format!("/kubepods.slice/{workload}"),
            kind: WorkloadKind::Container,
            name: workload.to_owned(),
            container_id: Some("0123456789abcdef0123".to_owned()),
            namespace: Some("binder".to_owned()),
            image: Some("quay.io/user-image:1".to_owned()),
            ..Workload::default()
        }),
        ..Record::new(crate::id::next(time), time, Action::Killed)
    }
}

/// What is seen of a source that probes five ports.
pub(crate) fn probing(source: &str) -> InboundEvidence {
    InboundEvidence {
        source: source.parse().unwrap(),
        target: [192, 0, 2, 1].into(),
        limit: InboundLimit::Unanswered,
        kinds: vec![ProbeKind::Syn],
        shape: ScanShape::Vertical,
        contacts: 5,
        answered: 0,
        failed: 5,
        ports: vec![21, 22, 23, 25, 80],
        milliseconds: 12,
        proven: true,
        decoys: false,
        sources: None,
        interface: None,
    }
}
