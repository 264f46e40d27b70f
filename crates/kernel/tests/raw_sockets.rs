//! Raw sockets, refused where they are made: by real programs in cgroups of the test's own.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        time::{Duration, Instant},
    };

    use hayward_kernel::{Kernel, KernelOptions, boot_ns, wire::decode};
    use hayward_model::{Event, Guard, Mode, OutboundEvent, ScopePolicy};
    use hayward_rules::table::ScopeTable;

    use crate::{network::Workload, place::Place};

    fn kernel(place: &Place, mode: Mode, deny: bool) -> (Kernel, KernelOptions) {
        let policy = ScopePolicy::of(Guard::Outbound, mode);
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let mut options = KernelOptions {
            network: vec![Guard::Outbound],
            ..place.options()
        };
        options.outbound.deny_packet_sockets = deny;
        let kernel = Kernel::load(&options, &[0], scope.words());
        let mut kernel = kernel.expect("the kernel side loads");
        kernel.activate().expect("the programs attach");
        (kernel, options)
    }

    fn events(kernel: &Kernel) -> Vec<OutboundEvent> {
        let events = RefCell::new(Vec::new());
        let take = |bytes: &[u8]| events.borrow_mut().push(decode(bytes));
        let stream = kernel.events(take).expect("rings");
        stream.drain(usize::MAX).expect("readable");
        drop(stream);
        let events = events.into_inner().into_iter();
        let events = events.map(|event| match event {
            Ok(Event::Outbound(event)) => event,
            other => panic!("{other:?}"),
        });
        events.collect()
    }

    /// A process is told once a second at most.
    fn told_seldom(kernel: &Kernel, since: Instant) -> Vec<OutboundEvent> {
        let told = events(kernel);
        let most = 1 + since.elapsed().as_secs();
        assert!(!told.is_empty() && told.len() as u64 <= most, "{told:?}");
        told
    }

    /// Raw sockets of both families, with what comes of them, and what is none.
    fn tries(workload: &mut Workload, expected: &str) {
        workload.all(&[
            ("make a 4 SOCK_RAW 1", expected),
            ("make b 4 SOCK_RAW 255", expected),
            ("make c 6 SOCK_RAW 58", expected),
            ("uring_make 2 3 1", expected),
            ("make d 4 SOCK_DGRAM", "ok"),
            ("make e 6 SOCK_STREAM", "ok"),
            ("make ping 4 SOCK_DGRAM 1", "ok"),
        ]);
    }

    #[test]
    fn who_is_denied_packet_sockets_gets_no_raw_one_either() {
        let place = Place::new("raw");
        let (kernel, _options) = kernel(&place, Mode::Enforce, true);
        let mut outside = Workload::new(&place.group("outside"));
        let mut workload = Workload::new(&place.group("box/inner"));
        assert_eq!(workload.does("allow_ping"), "ok");
        assert_eq!(outside.does("allow_ping"), "ok");
        let (since, before) = (Instant::now(), boot_ns());
        tries(&mut workload, "EPERM");
        tries(&mut outside, "ok");
        assert_eq!(kernel.counters().expect("counters").outbound_denied, 4);
        let told = told_seldom(&kernel, since).remove(0);
        assert!(told.sender.denied && told.sender.boot_ns > before);
        assert_eq!(told.sender.comm, "python3");
        assert_eq!(told.sender.pid.to_string(), workload.does("pid"));
        assert_eq!(told.sender.destination.protocol, "icmp");
        assert_eq!(
            (told.scan.limit.as_str(), told.scan.by_process),
            ("raw-socket", true)
        );
        // Another process is told at once.
        let mut other = Workload::new(&place.group("box/inner"));
        assert_eq!(other.does("make a 4 SOCK_RAW 1"), "EPERM");
        let told = events(&kernel).pop().expect("one");
        assert_eq!(told.sender.pid.to_string(), other.does("pid"));
    }

    #[test]
    fn nobody_is_refused_a_raw_socket_where_it_is_observed() {
        for (name, mode, deny) in [
            ("unset", Mode::Enforce, false),
            ("mode", Mode::Observe, true),
        ] {
            let place = Place::new(&format!("raw-{name}"));
            let (kernel, _options) = kernel(&place, mode, deny);
            let mut workload = Workload::new(&place.group("box"));
            assert_eq!(workload.does("allow_ping"), "ok");
            let since = Instant::now();
            tries(&mut workload, "ok");
            let counters = kernel.counters().expect("counters");
            assert_eq!(counters.outbound_denied, 0, "{name}");
            if deny {
                let told = told_seldom(&kernel, since);
                assert!(told.iter().all(|event| !event.sender.denied), "{told:?}");
            } else {
                assert!(events(&kernel).is_empty());
            }
        }
    }

    #[test]
    fn a_raw_socket_is_made_while_the_guard_is_off_and_after_the_lease() {
        let place = Place::new("raw-off");
        let (kernel, mut options) = kernel(&place, Mode::Enforce, true);
        let mut workload = Workload::new(&place.group("box"));
        let mut made = || workload.does("make a 4 SOCK_RAW 1");
        assert_eq!(made(), "EPERM");
        kernel
            .cells()
            .off(Some(Guard::Outbound), None)
            .expect("off");
        assert_eq!(made(), "ok");
        kernel.cells().on(Some(Guard::Outbound)).expect("on");
        assert_eq!(made(), "EPERM");
        options.lease = Duration::from_nanos(1);
        kernel.write_cells(&options).expect("cells");
        assert_eq!(made(), "ok");
    }
}
