//! Who scans makes no more contacts, on the real kernel: in a network that the test makes, in which most of the world is
//! silent.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use hayward_kernel::{Counters, Kernel, KernelOptions, Outbound, Pins, boot_ns, wire::decode};
    use hayward_model::{ContactEvent, Event, Guard, Mode, ScopePolicy};
    use hayward_rules::table::ScopeTable;

    use crate::{
        network::Workload,
        place::{Place, id_of},
    };

    /// A kernel side that judges all below `box`.
    fn kernel(place: &Place, mode: Mode) -> (Kernel, Outbound) {
        kernel_with(&options(place), mode)
    }

    fn options(place: &Place) -> KernelOptions {
        KernelOptions {
            network: vec![Guard::Outbound],
            ..place.options()
        }
    }

    fn kernel_with(options: &KernelOptions, mode: Mode) -> (Kernel, Outbound) {
        let policy = ScopePolicy::of(Guard::Outbound, mode);
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let kernel = Kernel::load(options, &[0], scope.words());
        let mut kernel = kernel.expect("the kernel side loads");
        assert!(
            kernel.failure(Guard::Outbound).is_none(),
            "{:?}",
            kernel.failure(Guard::Outbound)
        );
        kernel.activate().expect("the programs attach");
        let outbound = Outbound::open(&Pins::new(&options.pins)).expect("pinned maps");
        (kernel, outbound)
    }

    fn counters(kernel: &Kernel) -> Counters {
        kernel.counters().expect("counters")
    }

    /// What is told of first contacts from now on until `drain`.
    fn told(kernel: &Kernel, most: usize) -> Vec<ContactEvent> {
        let events = RefCell::new(Vec::new());
        let take = |bytes: &[u8]| events.borrow_mut().push(decode(bytes));
        let stream = kernel.contacts(take).expect("a ring");
        let taken = stream.drain(most).expect("readable");
        drop(stream);
        let events = events.into_inner();
        assert_eq!(events.len(), taken);
        let contacts = events.into_iter().map(|event| match event {
            Ok(Event::Contact(contact)) => contact,
            other => panic!("no contact: {other:?}"),
        });
        contacts.collect()
    }

    #[test]
    fn a_first_contact_is_told_once_and_none_of_whoever_is_blocked() {
        let place = Place::new("told");
        let mut options = options(&place);
        options.outbound.log = true;
        let (kernel, _outbound) = kernel_with(&options, Mode::Enforce);
        let container = place.group(&format!("box/docker-{}.scope", "a".repeat(64)));
        let inner = container.join("inner");
        std::fs::create_dir(&inner).expect("a cgroup");
        let mut workload = Workload::new(&inner);
        let before = boot_ns();
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 80", "ok"),
            ("make c 6 SOCK_DGRAM", "ok"),
            ("send_to c x fd02::1 53", "ok"),
            ("send_to c y fd02::1 53", "ok"),
        ]);
        // The rest waits for the next time.
        let mut first = told(&kernel, 1);
        let contact = first.remove(0);
        assert_eq!(contact.sender.destination.to_string(), "tcp 10.1.0.1:80");
        assert_eq!(contact.sender.comm, "python3");
        assert!(contact.sender.pid > 0 && contact.sender.start_boot_ns < before);
        assert!((before..boot_ns()).contains(&contact.sender.boot_ns));
        assert_eq!(contact.sender.cgroup_id, id_of(&inner));
        assert_eq!(contact.workload, id_of(&container));
        let second: Vec<_> = told(&kernel, 100)
            .iter()
            .map(|contact| contact.sender.destination.to_string())
            .collect();
        assert_eq!(second, ["udp [fd02::1]:53"]);
        workload.does("scan 10.1.0.1 1001 1020");
        let scanned = told(&kernel, 100).len();
        assert!((1..10).contains(&scanned), "{scanned}");
        assert_eq!(workload.does("scan 10.1.0.1 2001 2009"), "EPERM:9");
        assert_eq!(told(&kernel, 100), []);
        let counted = counters(&kernel);
        assert_eq!(counted.outbound_logged, counted.outbound_contacts);
        assert_eq!(counted.outbound_log_lost, 0);
    }

    #[test]
    fn none_is_told_where_none_is_wanted() {
        let place = Place::new("untold");
        let mut options = options(&place);
        let (kernel, _outbound) = kernel_with(&options, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        assert_eq!(workload.does("scan 10.1.0.1 1 1"), "ECONNREFUSED:1");
        assert_eq!(told(&kernel, 100), []);
        assert_eq!(counters(&kernel).outbound_logged, 0);
        // As a reload does.
        options.outbound.log = true;
        kernel.write_cells(&options).expect("cells");
        assert_eq!(workload.does("scan 10.1.0.1 1 2"), "ECONNREFUSED:2");
        assert_eq!(told(&kernel, 100).len(), 1);
    }

    #[test]
    fn what_the_ring_has_no_room_for_is_counted() {
        let place = Place::new("flood");
        let mut options = options(&place);
        options.outbound.log = true;
        let (kernel, _outbound) = kernel_with(&options, Mode::Observe);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[("own 10.4.0.1/16", "ok"), ("serve 80", "ok")]);
        for third in 1..=12 {
            let sweep = format!("sweep 10.4.{third}. 1 250 80");
            assert_eq!(workload.does(&sweep), "ok:250");
        }
        let counted = counters(&kernel);
        assert!(counted.outbound_log_lost > 0, "{counted:?}");
        let told = u64::try_from(told(&kernel, usize::MAX).len()).expect("a number");
        assert_eq!(counted.outbound_logged, told + counted.outbound_log_lost);
        // What is told of scans has room all the same.
        assert_eq!(counted.outbound_lost, 0);
    }

    #[test]
    fn after_five_refusals_no_more_contact_is_made_and_what_answered_goes_on() {
        let place = Place::new("refusals");
        let (kernel, outbound) = kernel(&place, Mode::Enforce);
        let group = place.group("box");
        let mut workload = Workload::new(&group);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("accept web served", "ok"),
            // Once more than one: the answer speaks for it, and then nothing does.
            ("scan 10.1.0.1 1001 1020", "ECONNREFUSED:5,EPERM:15"),
            ("scan fd01::1 1001 1005", "EPERM:5"),
            ("make b 4 SOCK_DGRAM", "ok"),
            ("send_to b x 10.2.0.1 53", "EPERM"),
            ("send a question", "ok"),
            ("receive served", "question"),
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.1.0.1 80", "ok"),
            // A process of its own is no way out.
            ("fork scan 10.1.0.1 2001 2003", "EPERM:3"),
        ]);
        let until = outbound.blocked_until(id_of(&group)).expect("a map");
        assert!(until.is_some_and(|until| until > boot_ns()));
        // Its process, too, begins anew.
        assert!(outbound.forget(id_of(&group)).expect("a map"));
        assert_eq!(workload.does("scan 10.1.0.1 3001 3002"), "ECONNREFUSED:2");
        assert_eq!(counters(&kernel).outbound_observed, 0);
    }

    #[test]
    fn of_a_silent_scan_half_of_what_may_wait_leaves() {
        let place = Place::new("silence");
        let (kernel, _outbound) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[("silence", "ok"), ("sweep 203.0.113. 1 200 443", "ok:200")]);
        assert_eq!(workload.does("sent"), "8");
        workload.all(&[
            ("make a 4 SOCK_DGRAM", "ok"),
            ("send_to a x 198.51.100.1 53", "EPERM"),
            ("make b 4 SOCK_RAW 1", "ok"),
            ("send_to b xxxxxxxx 198.51.100.2 0", "EPERM"),
            ("make c 6 SOCK_DGRAM", "ok"),
            ("send_to c x 2001:db8::7 53", "EPERM"),
        ]);
        assert_eq!(workload.does("sent"), "8");
        assert!(counters(&kernel).outbound_paced >= 195);
    }

    #[test]
    fn where_somebody_answers_more_may_wait() {
        let place = Place::new("answers");
        let (_kernel, _outbound) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("silence", "ok"),
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen more SOCK_STREAM 10.1.0.1 81", "ok"),
            ("scan 10.1.0.1 80 81", "ok:2"),
            ("sweep 203.0.113. 1 200 443", "ok:200"),
        ]);
        assert_eq!(workload.does("sent"), "10");
    }

    #[test]
    fn one_dead_port_is_one_contact_however_often_it_is_tried() {
        let place = Place::new("health");
        let (kernel, _outbound) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        for _ in 0..50 {
            assert_eq!(workload.does("scan 10.1.0.1 9 9"), "ECONNREFUSED:1");
        }
        assert_eq!(counters(&kernel).outbound_contacts, 1);
    }

    #[test]
    fn contacts_where_nobody_is_count_twice() {
        let place = Place::new("twice");
        let (_kernel, outbound) = kernel(&place, Mode::Enforce);
        let net = |text: &str| text.parse().expect("a prefix");
        let (twice, once) = ([net("::ffff:10.0.0.0/104")], [net("::ffff:10.2.0.0/112")]);
        outbound.weigh(&twice, &once).expect("room");
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("scan 10.2.0.1 1 2", "ECONNREFUSED:2"),
            ("scan 10.1.0.1 1 9", "ECONNREFUSED:2,EPERM:7"),
        ]);
        outbound.weigh(&[], &[]).expect("room");
    }

    #[test]
    fn a_cgroup_within_a_container_counts_for_it() {
        let place = Place::new("within");
        let (_kernel, outbound) = kernel(&place, Mode::Enforce);
        let container = place.group(&format!("box/docker-{}.scope", "a".repeat(64)));
        let inner = container.join("inner/more");
        std::fs::create_dir_all(&inner).expect("cgroups");
        let mut workload = Workload::new(&inner);
        assert_eq!(workload.does("scan 10.1.0.1 1 9"), "ECONNREFUSED:5,EPERM:4");
        let blocked = |group| {
            outbound
                .blocked_until(id_of(group))
                .expect("a map")
                .is_some()
        };
        assert!(blocked(&container) && !blocked(&inner));
    }

    #[test]
    fn a_process_that_others_answers_hide_is_found_alone() {
        let place = Place::new("hidden");
        let (_kernel, outbound) = kernel(&place, Mode::Enforce);
        let group = place.group("box");
        let mut workload = Workload::new(&group);
        workload.does("listen web SOCK_STREAM 10.1.0.1 80");
        let mut busy = Workload::new(&group);
        for port in 80..100 {
            busy.does(&format!("listen web{port} SOCK_STREAM 10.1.0.1 {port}"));
        }
        for port in 0..4 {
            let answered = 80 + port * 2;
            assert_eq!(
                busy.does(&format!("scan 10.1.0.1 {answered} {}", answered + 1)),
                "ok:2"
            );
            let refused = format!("scan 10.1.0.1 {0} {0}", 1_000 + port);
            assert_eq!(workload.does(&refused), "ECONNREFUSED:1");
        }
        assert_eq!(
            workload.does("scan 10.1.0.1 1004 1009"),
            "ECONNREFUSED:1,EPERM:5"
        );
        assert_eq!(outbound.blocked_until(id_of(&group)).expect("a map"), None);
        assert_eq!(busy.does("scan 10.1.0.1 90 91"), "ok:2");
    }

    #[test]
    fn who_made_most_of_the_contacts_is_named() {
        let place = Place::new("most");
        let (kernel, _outbound) = kernel(&place, Mode::Enforce);
        let group = place.group("box");
        let mut scanner = Workload::new(&group);
        let mut other = Workload::new(&group);
        assert_eq!(other.does("scan 10.1.0.1 9 9"), "ECONNREFUSED:1");
        assert_eq!(scanner.does("scan 10.1.0.1 1 3"), "ECONNREFUSED:3");
        assert_eq!(other.does("scan 10.1.0.1 10 10"), "ECONNREFUSED:1");
        let events = RefCell::new(Vec::new());
        let take = |bytes: &[u8]| events.borrow_mut().push(decode(bytes));
        let stream = kernel.events(take).expect("rings");
        stream.drain(100).expect("readable");
        drop(stream);
        let scans: Vec<_> = events
            .into_inner()
            .into_iter()
            .filter_map(|event| match event {
                Ok(Event::Outbound(scan)) => Some(scan.sender.pid.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(scans, [scanner.does("pid")]);
    }

    #[test]
    fn answers_in_between_hide_no_scan_for_long() {
        let place = Place::new("interleaved");
        let (_kernel, _outbound) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        for port in 80..120 {
            workload.does(&format!("listen web{port} SOCK_STREAM 10.1.0.1 {port}"));
        }
        let mut refused = 0;
        for port in 80..120 {
            workload.does(&format!("scan 10.1.0.1 {port} {port}"));
            let scanned = workload.does(&format!("scan 10.1.0.1 {0} {0}", port + 1_000));
            refused += u32::from(scanned == "ECONNREFUSED:1");
        }
        assert_eq!(refused, 20);
    }

    #[test]
    fn contacts_come_no_faster_than_the_rate_and_none_is_blocked_for_it() {
        let place = Place::new("rate");
        let (kernel, outbound) = kernel(&place, Mode::Enforce);
        let group = place.group("box");
        let mut workload = Workload::new(&group);
        workload.all(&[("own 10.4.0.1/16", "ok"), ("serve 80", "ok")]);
        for third in 1..=5 {
            workload.does(&format!("sweep 10.4.{third}. 1 250 80"));
        }
        // As many as in a minute, and what came in while this took: less than in half of one.
        let contacts = counters(&kernel).outbound_contacts;
        assert!((1_000..1_250).contains(&contacts), "{contacts}");
        assert!(counters(&kernel).outbound_paced > 0);
        assert_eq!(outbound.blocked_until(id_of(&group)).expect("a map"), None);
    }

    #[test]
    fn observing_stops_nothing_and_whoever_is_out_of_scope_may_scan() {
        let place = Place::new("observed");
        let (kernel, _outbound) = kernel(&place, Mode::Observe);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("silence", "ok"),
            ("scan 10.1.0.1 1 30", "ECONNREFUSED:30"),
            ("sweep 203.0.113. 1 50 443", "ok:50"),
            ("sent", "50"),
        ]);
        let counted = counters(&kernel);
        assert!(counted.outbound_observed >= 25 && counted.outbound_denied == 0);
        let mut beside = Workload::new(&place.group("beside"));
        assert_eq!(beside.does("scan 10.1.0.1 1 30"), "ECONNREFUSED:30");
        assert_eq!(
            counters(&kernel).outbound_contacts,
            counted.outbound_contacts
        );
    }

    #[test]
    fn who_is_asked_answers_whomever_it_is() {
        let place = Place::new("server");
        let (kernel, _outbound) = kernel(&place, Mode::Enforce);
        let mut server = Workload::new(&place.group("box"));
        server.does("listen names SOCK_DGRAM 10.1.0.1 53");
        // More than may wait for an answer.
        for port in 0..30 {
            server.all(&[
                (&format!("make client{port} 4 SOCK_DGRAM"), "ok"),
                (&format!("send_to client{port} question 10.1.0.1 53"), "ok"),
                ("receive names", "question"),
                ("answer names answer", "ok"),
                (&format!("receive client{port}"), "answer"),
            ]);
        }
        assert_eq!(counters(&kernel).outbound_denied, 0);
    }
}
