//! Connections of a workload on which something is said, and what the guard `pool` makes of it.

use std::{fmt::Write, time::Duration};

use hayward_kernel::{Counters, Kernel, KernelOptions, wire};
use hayward_model::{Event, Guard, Mode, PoolEvent, ScopePolicy};
use hayward_rules::table::ScopeTable;

use crate::{network::Workload, place::Place};

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Workload,
    Other,
}

/// A kernel side that judges all below `box`.
pub(crate) fn kernel(place: &Place, mode: Mode) -> Kernel {
    let policy = ScopePolicy::of(Guard::Pool, mode);
    let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
    let options = KernelOptions {
        network: vec![Guard::Pool],
        ..place.options()
    };
    let kernel = Kernel::load(&options, &[0], scope.words());
    let mut kernel = kernel.expect("the kernel side loads");
    if let Some(error) = kernel.failure(Guard::Pool) {
        panic!("{error}");
    }
    kernel.activate().expect("the programs attach");
    kernel
}

/// A workload in `box`, and listening sockets that are not.
pub(crate) fn workload(place: &Place) -> Workload {
    let mut workload = Workload::new(&place.group("beside"));
    workload.all(&[
        ("listen v4 SOCK_STREAM 10.1.0.1 3333", "ok"),
        ("listen v6 SOCK_STREAM fd01::1 3333", "ok"),
        (&format!("move {}", place.group("box").display()), "ok"),
    ]);
    workload
}

pub(crate) fn connect(workload: &mut Workload, version: u8) {
    let address = if version == 4 { "10.1.0.1" } else { "fd01::1" };
    workload.all(&[
        (&format!("make own {version} SOCK_STREAM"), "ok"),
        (&format!("connect own {address} 3333"), "ok"),
        (&format!("accept v{version} other"), "ok"),
    ]);
}

pub(crate) fn say(workload: &mut Workload, end: End, segments: &[&[u8]]) {
    let from = if end == End::Workload { "own" } else { "other" };
    let mut command = format!("say {from}");
    for segment in segments {
        command.push(' ');
        for byte in *segment {
            write!(command, "{byte:02x}").expect("a string");
        }
    }
    workload.all(&[(&command, "ok")]);
}

/// Has it said and heard, in these segments.
pub(crate) fn said(workload: &mut Workload, end: End, segments: &[&[u8]]) {
    say(workload, end, segments);
    let to = if end == End::Workload { "other" } else { "own" };
    let length: usize = segments.iter().map(|segment| segment.len()).sum();
    workload.all(&[(&format!("hear {to} {length}"), "ok")]);
}

pub(crate) fn counters(kernel: &Kernel) -> Counters {
    kernel.counters().expect("counters")
}

/// The events of the guard that wait in the ring.
pub(crate) fn events(kernel: &Kernel) -> Vec<PoolEvent> {
    let mut events = Vec::new();
    let stream = kernel
        .events(|bytes| match wire::decode(bytes) {
            Ok(Event::Pool(event)) => events.push(event),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        })
        .expect("the rings");
    stream.poll(Duration::ZERO).expect("what waits");
    drop(stream);
    events
}
