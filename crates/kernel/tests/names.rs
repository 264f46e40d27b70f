//! What workloads reach by names, on the real kernel: by the answers of a name server that they cannot have made themselves.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs::{self, File},
        net::IpAddr,
        os::fd::AsFd,
    };

    use hayward_kernel::{BanMap, Cell, Egress, EgressNames, Grant, Kernel, KernelOptions, Pins};
    use hayward_model::{
        Allowed, Destinations, Guard, Mode, NamedList, Range, ScopePolicy, domain_hash, prefix,
    };
    use hayward_rules::table::ScopeTable;
    use libbpf_rs::{MapCore, MapFlags, MapHandle};
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    use crate::{
        network::Workload,
        place::{Place, id_of},
    };

    const LIST: u16 = 7;
    const TCP: u8 = 6;

    /// A kernel side, a workload, and the network that is the host's.
    struct Host {
        workload: Workload,
        kernel: Kernel,
        egress: Egress,
        names: EgressNames,
        place: Place,
    }

    fn ports(first: u16, last: u16) -> Allowed {
        Allowed::Ranges(vec![Range {
            ports: (first, last),
            protocol: Some(TCP),
        }])
    }

    fn named(list: &[(&str, Allowed)]) -> NamedList {
        let entries = list.iter();
        entries
            .map(|(name, allowed)| ((*name).to_owned(), allowed.clone()))
            .collect()
    }

    /// This thread goes into a network.
    fn enter(network: &mut Workload) {
        let network = format!("/proc/{}/ns/net", network.does("pid"));
        let network = File::open(network).expect("a network");
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(network.as_fd(), kind).expect("its network");
    }

    /// Nothing is allowed but to ask at 10.2.0.1, and what names say. 10.3.0.9 is never reached.
    fn kernel(place: &Place) -> (Kernel, Egress, EgressNames) {
        let policy = ScopePolicy::OUT.with_egress(Mode::Enforce, LIST);
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let options = KernelOptions {
            network: vec![Guard::Egress],
            ..place.options()
        };
        let mut kernel = Kernel::load(&options, &[0], scope.words()).expect("it loads");
        let failure = kernel.failure(Guard::Egress);
        assert!(failure.is_none(), "{failure:?}");
        kernel.activate().expect("the programs attach");
        let id = id_of(&place.group("box"));
        kernel.set_scope(id, policy).expect("a scope");
        let pins = Pins::new(&place.pins);
        let egress = Egress::open(&pins).expect("pinned maps");
        for (text, allowed) in [
            ("::/0", Allowed::Nothing),
            ("10.2.0.0/24", Allowed::All),
            ("10.3.0.9/32", Allowed::Never),
        ] {
            let net = prefix(text.parse().expect("a prefix"));
            egress.allow(LIST, net, &allowed).expect("room");
        }
        let names = EgressNames::open(&pins).expect("pinned maps");
        let list = named(&[
            ("pypi.org", ports(80, 89)),
            ("*.example.org", ports(80, 80)),
            ("*.b.example.org", ports(81, 81)),
        ]);
        names.allow([(LIST, &list)]).expect("room");
        let resolver: IpAddr = "10.2.0.1".parse().expect("an address");
        names.set_resolvers(&[resolver]).expect("room");
        (kernel, egress, names)
    }

    /// A workload in the host's own network, with name servers in it.
    fn host(name: &str) -> Host {
        let place = Place::new(name);
        let mut workload = Workload::new(&place.group("box"));
        enter(&mut workload);
        let (kernel, egress, names) = kernel(&place);
        workload.all(&[
            ("own 10.3.0.1/16", "ok"),
            ("own 10.2.0.2/32", "ok"),
            ("listen dns SOCK_DGRAM 10.2.0.1 53", "ok"),
            ("make q 4 SOCK_DGRAM", "ok"),
            ("serve 80", "ok"),
            ("serve 81", "ok"),
            ("serve 89", "ok"),
        ]);
        Host {
            workload,
            kernel,
            egress,
            names,
            place,
        }
    }

    impl Host {
        /// Whether each connects, by a socket of its own.
        fn connects(&mut self, peers: &[(&str, &str)]) {
            for (peer, expected) in peers {
                assert_eq!(self.workload.does("make x 4 SOCK_STREAM"), "ok");
                let connected = self.workload.does(&format!("connect x {peer}"));
                assert_eq!(connected, *expected, "{peer}");
            }
        }

        fn resolves(&mut self, name: &str, said: &str) {
            let command = format!("resolve q dns {name} 10.2.0.1 {said}");
            assert_eq!(self.workload.does(&command), "ok", "{command}");
        }

        fn learnt(&self) -> MapHandle {
            let folders = fs::read_dir(&self.place.pins).expect("pins");
            let maps = folders.filter_map(|folder| Some(folder.ok()?.path()));
            let paths = maps.map(|folder| folder.join("egress_learnt"));
            let path = paths.into_iter().find(|path| path.exists());
            MapHandle::from_pinned_path(path.expect("a map")).expect("a map")
        }

        /// All that was learnt has run out.
        fn let_time_pass(&self) {
            let learnt = self.learnt();
            for key in learnt.keys() {
                let mut value = learnt.lookup(&key, MapFlags::ANY).expect("it").expect("it");
                let half = value.len() / 2;
                value[half..].fill(0);
                learnt.update(&key, &value, MapFlags::ANY).expect("room");
            }
        }
    }

    #[test]
    fn what_a_name_stands_for_is_reached_by_whoever_asked_for_it() {
        let mut host = host("asked");
        host.connects(&[("10.3.0.1 80", "EPERM")]);
        host.resolves("PyPI.org", "files.pypi.example 10.3.0.1 10.3.0.2 fd01::1");
        host.connects(&[
            ("10.3.0.1 80", "ok"),
            ("10.3.0.2 89", "ok"),
            ("10.3.0.1 90", "EPERM"),
            ("10.3.0.3 80", "EPERM"),
        ]);
        host.workload.all(&[
            ("listen six SOCK_STREAM fd01::1 80", "ok"),
            ("make y 6 SOCK_STREAM", "ok"),
            ("connect y fd01::1 80", "ok"),
        ]);
        let counters = host.kernel.counters().expect("counters");
        assert_eq!(counters.egress_learnt, 3, "{counters:?}");
        // What is below a name is not the name, and both patterns of which one is wider hold.
        host.resolves("example.org", "10.3.0.4");
        host.resolves("xexample.org", "10.3.0.4");
        host.resolves("evil.org", "10.3.0.4");
        host.resolves("a.example.org", "10.3.0.5");
        host.resolves("a.b.example.org", "10.3.0.6");
        host.connects(&[
            ("10.3.0.4 80", "EPERM"),
            ("10.3.0.5 80", "ok"),
            ("10.3.0.5 81", "EPERM"),
            ("10.3.0.6 80", "ok"),
            ("10.3.0.6 81", "ok"),
        ]);
        // An address of two names is reached as either says.
        host.resolves("pypi.org", "10.3.0.5");
        host.connects(&[("10.3.0.5 80", "ok"), ("10.3.0.5 89", "ok")]);
        // What is never reached has no name that helps.
        host.resolves("pypi.org", "10.3.0.9");
        host.connects(&[("10.3.0.9 80", "EPERM")]);
        // Neither is there one in quarantine.
        let hour = hayward_kernel::boot_ns() + 3_600_000_000_000;
        let id = id_of(&host.place.group("box"));
        let quarantined = host.egress.grant(id, Grant::Quarantined, hour);
        quarantined.expect("room");
        host.connects(&[("10.3.0.1 80", "EPERM")]);
    }

    #[test]
    fn what_nobody_asked_for_or_could_be_forged_is_not_learnt() {
        let mut host = host("forged");
        host.workload.all(&[
            ("ask q pypi.org 10.2.0.1 7", "ok"),
            ("answer_from dns 300 8 10.3.0.1", "ok"),
            ("hear q 1", "ok"),
            // Of a name server that nobody set.
            ("listen other SOCK_DGRAM 10.2.0.2 53", "ok"),
            ("resolve q other pypi.org 10.2.0.2 10.3.0.1", "ok"),
        ]);
        host.connects(&[("10.3.0.1 80", "EPERM")]);
        // A socket in a network of the workload's own making.
        let cells = host.kernel.cells();
        let network = cells.get(Cell::HostNetwork).expect("a cell");
        assert!(network > 0);
        cells.set(Cell::HostNetwork, network + 1).expect("a cell");
        assert_eq!(host.workload.does("make q 4 SOCK_DGRAM"), "ok");
        host.resolves("pypi.org", "10.3.0.1");
        host.connects(&[("10.3.0.1 80", "EPERM")]);
        let cells = host.kernel.cells();
        cells.set(Cell::HostNetwork, network).expect("a cell");
        assert_eq!(host.workload.does("make q 4 SOCK_DGRAM"), "ok");
        host.resolves("pypi.org", "10.3.0.1");
        host.connects(&[("10.3.0.1 80", "ok")]);
    }

    #[test]
    fn an_answer_holds_for_its_time_and_what_goes_on_by_it_longer() {
        let mut host = host("time");
        host.resolves("pypi.org", "10.3.0.1");
        host.workload.all(&[
            ("listen web SOCK_STREAM 10.3.0.1 82", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.3.0.1 82", "ok"),
            ("accept web served", "ok"),
        ]);
        host.let_time_pass();
        // Something else changes.
        let id = id_of(&host.place.group("beside"));
        host.egress
            .grant(id, Grant::Granted, u64::MAX)
            .expect("room");
        host.connects(&[("10.3.0.1 80", "EPERM")]);
        host.workload
            .all(&[("send a one", "ok"), ("receive served", "one")]);
        host.names.forget_learnt().expect("maps");
        assert_eq!(host.learnt().keys().count(), 0);
        // The name is taken off the list.
        host.names.clear(|list| list == LIST).expect("maps");
        host.workload
            .all(&[("send a two", "ok"), ("receive served", "TimeoutError")]);
        let list = named(&[("pypi.org", ports(80, 89))]);
        host.names.allow([(LIST, &list)]).expect("room");
        host.workload.all(&[("receive served", "two")]);
    }

    #[test]
    fn a_banned_name_is_not_asked_for() {
        let mut host = host("banned");
        let banned = [("pool.example", Some(2)), ("www.pool.example", None)];
        let banned = banned.map(|(name, list)| (domain_hash(name), list));
        host.names.ban(&banned.into_iter().collect()).expect("room");
        host.workload.all(&[
            ("ask q pool.example 10.2.0.1", "EPERM"),
            ("ask q a.POOL.example 10.2.0.1", "EPERM"),
            ("ask q example 10.2.0.1", "ok"),
            ("ask q xpool.example 10.2.0.1", "ok"),
            ("ask q www.pool.example 10.2.0.1", "ok"),
            ("ask q a.www.pool.example 10.2.0.1", "ok"),
        ]);
        let bans = BanMap::open(&Pins::new(&host.place.pins)).expect("maps");
        assert_eq!(bans.refused(2).expect("a count"), 2);
        host.names.ban(&[].into()).expect("maps");
        host.workload.all(&[("ask q pool.example 10.2.0.1", "ok")]);
    }

    #[test]
    fn what_is_always_reached_by_name_is_so_though_it_is_banned() {
        let mut host = host("always");
        let always = named(&[("mirror.example", ports(80, 80))]);
        host.names.allow_always([(LIST, &always)]).expect("room");
        host.names.allow([(LIST, &always)]).expect("room");
        let banned = ["mirror.example", "pypi.org"];
        let banned = banned.map(|name| (domain_hash(name), Some(2)));
        host.names.ban(&banned.into()).expect("room");
        let net = prefix("10.3.0.0/16".parse().expect("a prefix"));
        let bans = BanMap::open(&Pins::new(&host.place.pins)).expect("maps");
        bans.replace(&[(net, Some(3))].into()).expect("room");
        assert_eq!(host.workload.does("ask q pypi.org 10.2.0.1"), "EPERM");
        host.resolves("mirror.example", "10.3.0.1");
        host.connects(&[
            ("10.3.0.1 80", "ok"),
            ("10.3.0.1 81", "EPERM"),
            ("10.3.0.2 80", "EPERM"),
        ]);
        host.resolves("mirror.example", "10.3.0.9");
        host.connects(&[("10.3.0.9 80", "EPERM")]);
        // What is allowed and not always so is banned.
        host.names.ban(&[].into()).expect("maps");
        host.resolves("pypi.org", "10.3.0.2");
        host.connects(&[("10.3.0.2 80", "EPERM")]);
        bans.replace(&[].into()).expect("maps");
        host.connects(&[("10.3.0.2 80", "ok")]);
        // All of a list goes at once.
        host.egress.clear(|list| list == LIST).expect("maps");
        host.connects(&[("10.3.0.1 80", "EPERM"), ("10.3.0.2 80", "EPERM")]);
    }

    #[test]
    fn a_name_is_reached_for_as_long_as_it_is_granted() {
        let mut host = host("granted");
        let id = id_of(&host.place.group("box"));
        // What is made below later comes with a grant.
        let beside = host.place.group("box/beside");
        let granted = Destinations {
            names: named(&[
                ("mirror.example", ports(80, 82)),
                ("*.b.org", ports(80, 80)),
            ]),
            ..Destinations::default()
        };
        let banned = [(domain_hash("mirror.example"), Some(2))];
        host.names.ban(&banned.into()).expect("room");
        assert_eq!(host.workload.does("ask q mirror.example 10.2.0.1"), "EPERM");
        host.resolves("a.b.org", "10.3.0.2");
        let list = host.egress.add_grant_list(&granted).expect("room");
        let grant = |host: &Host, until| {
            let granted = host.egress.grant(id, Grant::List(list), until);
            granted.expect("room");
        };
        grant(&host, u64::MAX);
        assert_eq!(host.egress.grant_lists(), [(list, granted)].into());
        // It is known from then on, beside what the list itself has.
        host.connects(&[("10.3.0.2 80", "EPERM")]);
        host.resolves("a.b.org", "10.3.0.2");
        host.resolves("pypi.org", "10.3.0.4");
        host.resolves("mirror.example", "10.3.0.1 10.3.0.9");
        host.connects(&[
            ("10.3.0.1 80", "ok"),
            ("10.3.0.1 89", "EPERM"),
            ("10.3.0.2 80", "ok"),
            ("10.3.0.4 89", "ok"),
            ("10.3.0.9 80", "EPERM"),
        ]);
        // Nobody else is granted it.
        host.workload.all(&[
            (&format!("move {}", beside.display()), "ok"),
            ("make other 4 SOCK_DGRAM", "ok"),
            ("ask other mirror.example 10.2.0.1", "EPERM"),
        ]);
        host.connects(&[("10.3.0.1 80", "EPERM")]);
        let back = format!("move {}", host.place.group("box").display());
        assert_eq!(host.workload.does(&back), "ok");
        let open = |host: &mut Host| {
            host.workload.all(&[
                ("make a 4 SOCK_STREAM", "ok"),
                ("connect a 10.3.0.1 82", "ok"),
                ("accept web served", "ok"),
                ("send a one", "ok"),
                ("receive served", "one"),
            ]);
        };
        let is_over = |host: &mut Host| {
            host.workload
                .all(&[("send a late", "ok"), ("receive served", "TimeoutError")]);
            host.connects(&[("10.3.0.1 80", "EPERM"), ("10.3.0.4 80", "ok")]);
        };
        let listen = "listen web SOCK_STREAM 10.3.0.1 82";
        assert_eq!(host.workload.does(listen), "ok");
        open(&mut host);
        host.egress.revoke(id).expect("a grant");
        is_over(&mut host);
        grant(&host, hayward_kernel::boot_ns() + 1_000_000_000);
        open(&mut host);
        std::thread::sleep(std::time::Duration::from_secs(1));
        is_over(&mut host);
        // One that would keep another from falling under a wider one is not granted.
        let nested = [
            "*.b.org",
            "*.c.b.org",
            "*.d.c.b.org",
            "*.e.d.c.b.org",
            "f.e.d.c.b.org",
        ];
        let nested = Destinations {
            names: named(&nested.map(|name| (name, Allowed::All))),
            ..Destinations::default()
        };
        let error = host.egress.add_grant_list(&nested).expect_err("too many");
        assert!(
            error.to_string().contains("would fall under 5 names"),
            "{error}"
        );
        // A number that is used again says nothing of what it said before.
        let other = host.egress.add_grant_list(&Destinations::default());
        assert_eq!(other.expect("room"), list);
        grant(&host, u64::MAX);
        host.connects(&[("10.3.0.1 80", "EPERM")]);
    }

    #[test]
    fn in_a_network_of_its_own_what_counts_is_what_comes_from_outside() {
        let place = Place::new("veth");
        let mut node = Workload::new(&place.group("node"));
        let mut workload = Workload::new(&place.group("box"));
        let pid = workload.does("pid");
        let device = node.does(&format!("lead {pid}"));
        assert_eq!(workload.does("follow"), "ok");
        enter(&mut node);
        let (mut kernel, egress, names) = kernel(&place);
        let resolvers = ["8.8.8.8", "9.9.9.9"].map(|text| text.parse().expect("an address"));
        names.set_resolvers(&resolvers).expect("room");
        for text in ["8.8.8.8/32", "9.9.9.9/32"] {
            let net = prefix(text.parse().expect("a prefix"));
            egress.allow(LIST, net, &Allowed::All).expect("room");
        }
        let devices: BTreeSet<u32> = [device.parse().expect("a number")].into();
        kernel.judge_frames(&devices).expect("a device");
        node.all(&[
            ("own 8.8.0.0/16", "ok"),
            ("listen dns SOCK_DGRAM 8.8.8.8 53", "ok"),
            ("serve 80", "ok"),
        ]);
        workload.all(&[
            ("make q 4 SOCK_DGRAM", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 8.8.4.4 80", "EPERM"),
            // It is whoever it likes.
            ("own 9.9.9.9/32", "ok"),
            ("listen dns SOCK_DGRAM 9.9.9.9 53", "ok"),
            ("resolve q dns pypi.org 9.9.9.9 8.8.4.4", "ok"),
            ("connect a 8.8.4.4 80", "EPERM"),
            ("ask q pypi.org 8.8.8.8", "ok"),
        ]);
        assert_eq!(node.does("answer_from dns 300 same 8.8.4.4"), "ok");
        workload.all(&[("hear q 1", "ok"), ("connect a 8.8.4.4 80", "ok")]);
    }
}
