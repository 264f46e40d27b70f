//! What programs of a workload may reach, on the real kernel: sockets of all kinds, in a network that the test makes.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use hayward_kernel::{Cell, Egress, Grant, Kernel, KernelOptions, Pins};
    use hayward_model::{Allowed, Destinations, Guard, Mode, Range, ScopePolicy, prefix};
    use hayward_rules::table::ScopeTable;

    use crate::{
        network::Workload,
        place::{Place, id_of},
    };

    const TCP: u8 = 6;
    const UDP: u8 = 17;

    /// A kernel side that judges all below `box` by list 7.
    fn kernel(place: &Place, mode: Mode) -> (Kernel, Egress) {
        kernel_under(place, ScopePolicy::OUT.with_egress(mode, 7))
    }

    fn kernel_under(place: &Place, policy: ScopePolicy) -> (Kernel, Egress) {
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let options = KernelOptions {
            network: vec![Guard::Egress],
            ..place.options()
        };
        let kernel = Kernel::load(&options, &[0], scope.words());
        let mut kernel = kernel.expect("the kernel side loads");
        assert!(kernel.failure(Guard::Egress).is_none());
        kernel.activate().expect("the programs attach");
        let egress = Egress::open(&Pins::new(&place.pins)).expect("pinned maps");
        let tcp = Allowed::Ranges(vec![Range {
            ports: (80, 89),
            protocol: Some(TCP),
        }]);
        let udp = Allowed::Ranges(vec![Range {
            ports: (53, 53),
            protocol: Some(UDP),
        }]);
        egress
            .allow(7, prefix("::/0".parse().expect("all")), &Allowed::Nothing)
            .expect("room");
        for (text, allowed) in [
            ("10.1.0.0/16", &tcp),
            ("fd01::/16", &tcp),
            ("10.2.0.0/24", &udp),
        ] {
            egress
                .allow(7, prefix(text.parse().expect("a prefix")), allowed)
                .expect("room");
        }
        (kernel, egress)
    }

    #[test]
    fn only_what_the_list_allows_is_reached() {
        let place = Place::new("reached");
        let (kernel, _egress) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen web6 SOCK_STREAM fd01::1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("accept web served", "ok"),
            ("send a question", "ok"),
            ("receive served", "question"),
            ("send served answer", "ok"),
            ("receive a", "answer"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 90", "EPERM"),
            ("connect b 10.2.0.1 80", "EPERM"),
            ("connect b 10.2.0.1 53", "EPERM"),
            ("make c 6 SOCK_STREAM", "ok"),
            ("connect c fd02::1 80", "EPERM"),
            ("connect c ::ffff:10.2.0.1 80", "EPERM"),
            ("connect c fd01::1 80", "ok"),
            ("make d 6 SOCK_STREAM", "ok"),
            ("connect d ::ffff:10.1.0.1 80", "ok"),
            ("make e 4 SOCK_DGRAM", "ok"),
            ("send_to e x 10.1.0.1 53", "EPERM"),
            ("connect e 10.1.0.1 53", "EPERM"),
            ("send_to e x 10.2.0.1 53", "ok"),
            ("make f 6 SOCK_DGRAM", "ok"),
            ("send_to f x fd02::1 53", "EPERM"),
            ("send_to f x ::ffff:10.1.0.1 53", "EPERM"),
            ("make g 4 SOCK_RAW 1", "ok"),
            ("send_to g xxxxxxxx 10.2.0.1 0", "EPERM"),
            ("make h 6 SOCK_RAW 58", "ok"),
            ("send_to h xxxxxxxx fd02::1 0", "EPERM"),
        ]);
        let counters = kernel.counters().expect("counters");
        assert!(counters.egress_denied >= 11, "{counters:?}");
        assert_eq!(counters.egress_observed, 0);
    }

    #[test]
    fn what_was_decided_of_an_open_connection_is_decided_again_when_anything_changes() {
        let place = Place::new("again");
        let (kernel, egress) = kernel(&place, Mode::Enforce);
        let group = place.group("box");
        let id = id_of(&group);
        let mut workload = Workload::new(&group);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("accept web served", "ok"),
            ("send a one", "ok"),
            ("receive served", "one"),
        ]);
        let hour = hayward_kernel::boot_ns() + 3_600_000_000_000;
        egress.grant(id, Grant::Quarantined, hour).expect("room");
        workload.all(&[("send a two", "ok"), ("receive served", "TimeoutError")]);
        egress.revoke(id).expect("it was there");
        workload.all(&[("receive served", "two")]);
        let denied = ScopePolicy::OUT.with_egress(Mode::Enforce, 8);
        kernel.set_scope(id, denied).expect("room");
        workload.all(&[("send a three", "ok"), ("receive served", "TimeoutError")]);
        let list = ScopePolicy::OUT.with_egress(Mode::Enforce, 7);
        kernel.set_scope(id, list).expect("room");
        workload.all(&[("receive served", "three")]);
        egress.clear(|number| number == 7).expect("lists");
        workload.all(&[("send a four", "ok"), ("receive served", "TimeoutError")]);
    }

    #[test]
    fn where_a_connection_really_goes_is_judged_too() {
        let place = Place::new("rewritten");
        let (kernel, _egress) = kernel(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 80", "ok"),
            ("rewrite 10.1.0.1 10.2.0.1", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "TimeoutError"),
        ]);
        assert!(kernel.counters().expect("counters").egress_denied > 0);
    }

    #[test]
    fn who_connects_a_socket_again_is_not_allowed_what_it_was_connected_to_before() {
        let place = Place::new("anew");
        let (kernel, egress) = kernel(&place, Mode::Enforce);
        let other = place.group("other");
        let open = ScopePolicy::OUT.with_egress(Mode::Enforce, 8);
        kernel.set_scope(id_of(&other), open).expect("room");
        egress
            .allow(8, prefix("::/0".parse().expect("all")), &Allowed::All)
            .expect("room");
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen other SOCK_STREAM 10.2.0.1 99", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("disconnect a", "ok"),
        ]);
        // Whoever connects may, and whose socket it is may not.
        workload.all(&[(&format!("move {}", other.display()), "ok")]);
        workload.all(&[("connect a 10.2.0.1 99", "TimeoutError")]);
    }

    #[test]
    fn beside_the_workload_and_while_switched_off_everything_is_reached() {
        let place = Place::new("beside");
        let (kernel, _egress) = kernel(&place, Mode::Enforce);
        let mut beside = Workload::new(&place.group("beside"));
        beside.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "ok"),
        ]);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "EPERM"),
        ]);
        for cell in [Cell::OffAll, Cell::OffEgress] {
            kernel.cells().set(cell, u64::MAX).expect("the cell");
            workload.all(&[
                ("make a 4 SOCK_STREAM", "ok"),
                ("connect a 10.2.0.1 99", "ok"),
            ]);
            kernel.cells().set(cell, 0).expect("the cell");
            workload.all(&[
                ("make a 4 SOCK_STREAM", "ok"),
                ("connect a 10.2.0.1 99", "EPERM"),
            ]);
        }
    }

    #[test]
    fn observing_counts_and_refuses_nothing() {
        let place = Place::new("observing");
        let (kernel, _egress) = kernel(&place, Mode::Observe);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "ok"),
            ("make b 4 SOCK_DGRAM", "ok"),
            ("send_to b x 10.1.0.1 9", "ok"),
        ]);
        let counters = kernel.counters().expect("counters");
        assert!(counters.egress_observed >= 2, "{counters:?}");
        assert_eq!(counters.egress_denied, 0);
    }

    #[test]
    fn a_grant_opens_and_its_end_cuts_what_is_open() {
        let place = Place::new("grants");
        let (_kernel, egress) = kernel(&place, Mode::Enforce);
        let cgroup = place.group("box");
        let id = id_of(&cgroup);
        let mut workload = Workload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "EPERM"),
        ]);
        egress.grant(id, Grant::Granted, u64::MAX).expect("room");
        workload.all(&[
            ("connect a 10.2.0.1 99", "ok"),
            ("accept web served", "ok"),
            ("send a one", "ok"),
            ("receive served", "one"),
        ]);
        egress.revoke(id).expect("a grant");
        workload.all(&[("send a two", "ok"), ("receive served", "TimeoutError")]);
        // What is quarantined reaches nothing, whatever its list says.
        egress
            .grant(id, Grant::Quarantined, u64::MAX)
            .expect("room");
        workload.all(&[
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 80", "EPERM"),
        ]);
        let below = place.group("box/below");
        let inherited = egress.granted(id_of(&below)).expect("the map");
        assert_eq!(inherited, Some((Grant::Quarantined, u64::MAX)));
        // A time that has passed.
        egress.grant(id, Grant::Granted, 1).expect("room");
        workload.all(&[("connect b 10.2.0.1 99", "EPERM")]);
    }

    #[test]
    fn a_grant_of_some_destinations_is_beside_the_list_and_comes_with_what_is_made_below() {
        let place = Place::new("some");
        let (_kernel, egress) = kernel(&place, Mode::Enforce);
        let cgroup = place.group("box");
        let id = id_of(&cgroup);
        let tcp = Allowed::Ranges(vec![Range {
            ports: (99, 99),
            protocol: Some(TCP),
        }]);
        let list = [
            (prefix("10.2.0.0/16".parse().expect("a prefix")), tcp),
            (
                prefix("fd02::1/128".parse().expect("a prefix")),
                Allowed::All,
            ),
        ];
        let list = Destinations {
            list: list.into(),
            ..Destinations::default()
        };
        let number = egress.add_grant_list(&list).expect("room");
        egress
            .grant(id, Grant::List(number), u64::MAX)
            .expect("room");
        assert_eq!(egress.grant_lists()[&number], list);
        let commands = [
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 98", "EPERM"),
            ("connect a 10.2.0.1 99", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 80", "ok"),
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.1.0.1 99", "EPERM"),
            ("make d 6 SOCK_DGRAM", "ok"),
            ("send_to d x fd02::1 53", "ok"),
        ];
        Workload::new(&cgroup).all(&commands);
        Workload::new(&place.group("box/below")).all(&commands);
        // What no grant names makes room; what is granted stays, whatever scopes go by.
        let other = egress.add_grant_list(&list).expect("room");
        assert_ne!(other, number);
        egress.forget_grant_lists().expect("the map");
        egress.clear(|_| true).expect("the map");
        assert_eq!(egress.grant_lists(), [(number, list)].into());
        // One that has run out does not.
        for id in [id, id_of(&place.group("box/below"))] {
            egress.grant(id, Grant::List(number), 1).expect("room");
        }
        Workload::new(&cgroup).all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "EPERM"),
        ]);
        egress.forget_grant_lists().expect("the map");
        assert!(egress.grant_lists().is_empty());
    }

    #[test]
    fn who_is_asked_from_outside_may_answer() {
        let place = Place::new("answers");
        let (_kernel, egress) = kernel(&place, Mode::Enforce);
        let cgroup = place.group("box");
        let mut workload = Workload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("listen clock SOCK_DGRAM 10.2.0.1 123", "ok"),
            ("listen other SOCK_DGRAM 10.2.0.1 124", "ok"),
        ]);
        // The same network, and not the workload: what is made out of scope stays so.
        workload.all(&[(&format!("move {}", place.cgroup.display()), "ok")]);
        workload.all(&[
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "ok"),
            ("accept web served", "ok"),
            ("send a question", "ok"),
            ("receive served", "question"),
            ("send served answer", "ok"),
            ("receive a", "answer"),
            ("listen asking SOCK_DGRAM 10.1.0.1 1000", "ok"),
            ("send_to asking when 10.2.0.1 123", "ok"),
            ("receive clock", "when"),
        ]);
        workload.all(&[(&format!("move {}", cgroup.display()), "ok")]);
        workload.all(&[
            ("answer clock now", "ok"),
            ("receive asking", "now"),
            ("send_to other now 10.1.0.1 1000", "EPERM"),
            ("send_to clock now 10.1.0.1 1001", "EPERM"),
        ]);
        drop(egress);
    }

    #[test]
    fn a_quarantine_holds_where_the_guard_does_not_judge_and_cuts_what_answers_too() {
        let place = Place::new("quarantine");
        let policy = ScopePolicy::of(Guard::Command, Mode::Observe);
        let (_kernel, egress) = kernel_under(&place, policy);
        let cgroup = place.group("box");
        let id = id_of(&cgroup);
        let mut workload = Workload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 99", "ok"),
            ("listen clock SOCK_DGRAM 10.2.0.1 123", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 99", "ok"),
            ("accept web served", "ok"),
            ("listen asking SOCK_DGRAM 10.1.0.1 1000", "ok"),
            ("send_to asking when 10.2.0.1 123", "ok"),
            ("receive clock", "when"),
        ]);
        egress
            .grant(id, Grant::Quarantined, u64::MAX)
            .expect("room");
        workload.all(&[
            ("answer clock now", "EPERM"),
            ("send a cut", "ok"),
            ("receive served", "TimeoutError"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 99", "EPERM"),
        ]);
        // A grant is one of the guard's, which does not judge here.
        egress.grant(id, Grant::Granted, u64::MAX).expect("room");
        workload.all(&[("connect b 10.2.0.1 99", "ok"), ("answer clock now", "ok")]);
        egress.grant(id, Grant::Quarantined, 1).expect("room");
        workload.all(&[
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.2.0.1 99", "ok"),
        ]);
    }

    #[test]
    fn a_socket_belongs_to_whoever_made_it() {
        let place = Place::new("owners");
        let (_kernel, _egress) = kernel(&place, Mode::Enforce);
        let cgroup = place.group("box");
        let mut workload = Workload::new(&cgroup);
        workload.all(&[
            ("listen sink SOCK_DGRAM 10.2.0.1 9", "ok"),
            ("make raw 4 SOCK_RAW 253", "ok"),
        ]);
        // Made in the workload and used outside of it: packets are the workload's.
        workload.all(&[(&format!("move {}", place.cgroup.display()), "ok")]);
        workload.all(&[
            ("send_to raw x 10.2.0.1 0", "EPERM"),
            ("make own 4 SOCK_RAW 253", "ok"),
        ]);
        // And the other way round: a raw send is not asked for by process.
        workload.all(&[(&format!("move {}", cgroup.display()), "ok")]);
        workload.all(&[("send_to own x 10.2.0.1 0", "ok")]);
    }
}
