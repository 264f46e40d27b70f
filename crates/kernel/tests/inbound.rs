//! Who scans a host, and who does not, by frames that are given to the programs: what arrives to `on_inbound_packet` (XDP) and
//! `on_inbound_frame` (a classifier), what leaves to `on_inbound_answer`.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod probe;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hayward_kernel::{InboundLimits, PacketTrial};
    use hayward_model::{
        BanStrength, Event, InboundEvent, InboundLimit, InboundVerdict, ProbeKind, ScanShape,
    };

    use crate::probe::{ACK, CWR, ECE, FIN, HOST, HOST_6, PSH, RST, SYN, URG, Way, way};

    /// By which of the two it arrives.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Hook {
        Xdp,
        Classifier,
    }

    struct Host {
        trial: PacketTrial,
        hook: Hook,
    }

    impl Host {
        fn new(limits: &InboundLimits, hook: Hook) -> Self {
            let trial = PacketTrial::inbound(limits).expect("the programs load");
            Self { trial, hook }
        }

        /// Whether it comes in.
        fn arrives(&mut self, frame: &[u8]) -> bool {
            let (name, drop) = match self.hook {
                Hook::Xdp => ("on_inbound_packet", 1),
                Hook::Classifier => ("on_inbound_frame", 2),
            };
            let answer = self.trial.run(name, frame).expect("it runs");
            answer != drop
        }

        fn leaves(&mut self, frame: &[u8]) {
            self.trial.run("on_inbound_answer", frame).expect("it runs");
        }

        /// What arrives, and is refused where it comes in.
        fn refuses(&mut self, way: Way, flags: u8) -> bool {
            let is_in = self.arrives(&way.tcp(flags));
            if is_in {
                let answer = if flags & ACK != 0 { RST } else { RST | ACK };
                self.leaves(&way.back().tcp(answer));
            }
            is_in
        }

        /// What arrives at a port where somebody is.
        fn serves(&mut self, way: Way) -> bool {
            let is_in = self.arrives(&way.tcp(SYN));
            if is_in {
                self.leaves(&way.back().tcp(SYN | ACK));
            }
            is_in
        }

        /// A source has completed a handshake.
        fn proves(&self, address: [u8; 4], connections: u32) {
            let key = [[0; 10].as_slice(), &[0xff; 2], &address].concat();
            let now = 1_u64 << 62;
            let value = [
                now.to_ne_bytes().as_slice(),
                &connections.to_ne_bytes(),
                &[0; 4],
            ]
            .concat();
            self.trial.put("inbound_peers", &key, &value).expect("room");
        }

        fn never(&self, prefix: u32, address: [u8; 4]) {
            let mut key = (96 + prefix).to_ne_bytes().to_vec();
            key.extend([0; 10]);
            key.extend([0xff; 2]);
            key.extend(address);
            self.trial.put("inbound_never", &key, &[1]).expect("room");
        }

        fn found(&self) -> Vec<InboundEvent> {
            let events = self.trial.events().expect("a ring").into_iter();
            let events = events.map(|event| match event {
                Event::Inbound(event) => event,
                other => panic!("{other:?}"),
            });
            events.collect()
        }
    }

    const SCANNER: &str = "203.0.113.9";

    fn probe(port: u16) -> Way {
        way(SCANNER, HOST, port)
    }

    /// How many of these come in.
    fn count(of: impl Iterator<Item = bool>) -> usize {
        of.filter(|is_in| *is_in).count()
    }

    #[test]
    fn a_scan_of_any_kind_is_stopped_by_its_fifth_probe() {
        let xmas = FIN | PSH | URG;
        for hook in [Hook::Xdp, Hook::Classifier] {
            for (flags, kind) in [
                (SYN, ProbeKind::Syn),
                (SYN | ECE | CWR, ProbeKind::Syn),
                (FIN, ProbeKind::Fin),
                (0, ProbeKind::Null),
                (xmas, ProbeKind::Xmas),
            ] {
                let mut host = Host::new(&InboundLimits::DEFAULT, hook);
                let came_in = count((1..=100).map(|port| host.refuses(probe(port), flags)));
                assert_eq!(came_in, 4, "{hook:?} {kind:?}");
                let found = host.found();
                assert_eq!(found.len(), 1, "{found:?}");
                let (event, evidence) = (&found[0], &found[0].evidence);
                assert_eq!(event.verdict, InboundVerdict::SoftBanned);
                assert_eq!(evidence.source.to_string(), format!("{SCANNER}/32"));
                assert_eq!(evidence.target.to_string(), HOST);
                assert_eq!(evidence.kinds, [kind]);
                assert_eq!(evidence.limit, InboundLimit::Unanswered);
                assert_eq!(evidence.shape, ScanShape::Vertical);
                assert_eq!(evidence.ports, [1, 2, 3, 4, 5]);
                assert_eq!((evidence.contacts, evidence.failed), (5, 5));
                assert!(!evidence.proven && !evidence.decoys);
            }
        }
    }

    #[test]
    fn what_is_sent_as_if_there_were_a_connection_is_told_by_its_refusals() {
        for flags in [ACK, FIN | ACK] {
            let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
            for port in 1..=20 {
                host.refuses(probe(port), flags);
            }
            let found = host.found();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].evidence.kinds, [ProbeKind::Ack]);
            assert_eq!(found[0].evidence.failed, 5);
        }
    }

    #[test]
    fn udp_is_told_by_what_is_unreachable_and_by_much_silence() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let refused = count((1..=100).map(|port| {
            let udp = probe(port).udp();
            let is_in = host.arrives(&udp);
            if is_in {
                host.leaves(&probe(port).unreachable(&udp));
            }
            is_in
        }));
        assert_eq!(refused, 5);
        assert_eq!(host.found()[0].evidence.kinds, [ProbeKind::Udp]);
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let silent = count((1..=100).map(|port| host.arrives(&probe(port).udp())));
        assert_eq!(silent, 14);
        // Of IPv6, where refusals are of another protocol.
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let refused = count((1..=100).map(|port| {
            let way = way("2001:db8:9::9", HOST_6, port);
            let udp = way.udp();
            let is_in = host.arrives(&udp);
            if is_in {
                host.leaves(&way.unreachable(&udp));
            }
            is_in
        }));
        assert_eq!(refused, 5);
    }

    #[test]
    fn one_port_of_many_addresses_is_a_horizontal_scan_and_so_is_a_sweep() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let of = |last: u16| way(SCANNER, &format!("198.51.100.{last}"), 22);
        let came_in = count((1..=50).map(|last| host.refuses(of(last), SYN)));
        assert_eq!(came_in, 4);
        assert_eq!(host.found()[0].evidence.shape, ScanShape::Horizontal);
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=50).map(|last| host.arrives(&of(last).ping())));
        assert_eq!(came_in, 4);
        let found = host.found();
        assert_eq!(found[0].evidence.kinds, [ProbeKind::Ping]);
        // Who answers is no sign of a sweep.
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=50).map(|last| {
            let is_in = host.arrives(&of(last).ping());
            host.leaves(&of(last).back().pong());
            is_in
        }));
        assert_eq!((came_in, host.found().len()), (50, 0));
    }

    #[test]
    fn fragments_that_hide_their_flags_are_probes() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=50).map(|port| {
            let mut frame = probe(port).tcp(SYN);
            // The first eight bytes of TCP, and more to come.
            frame.truncate(14 + 20 + 8);
            frame[14 + 2..14 + 4].copy_from_slice(&28_u16.to_be_bytes());
            frame[14 + 6] = 0x20;
            host.arrives(&frame)
        }));
        assert_eq!(came_in, 4);
        assert_eq!(host.found()[0].evidence.kinds, [ProbeKind::Fragment]);
    }

    #[test]
    fn options_tags_and_extensions_hide_nothing() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=50).map(|port| {
            // 40 bytes of options in the header of IP, behind two tags of VLANs.
            let frame = probe(port).tcp(SYN);
            let mut options = frame[..12].to_vec();
            options.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 0x08, 0]);
            options.push(0x4f);
            options.extend(&frame[15..34]);
            options.extend([1; 40]);
            options.extend(&frame[34..]);
            host.arrives(&options)
        }));
        assert_eq!(came_in, 4);
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Classifier);
        let came_in = count((1..=50).map(|port| {
            let frame = way("2001:db8:9::9", HOST_6, port).tcp(SYN);
            let mut extended = frame[..54].to_vec();
            extended[20] = 0;
            // Hop by hop, destination options, a first and only fragment.
            extended.extend([60, 0, 1, 4, 0, 0, 0, 0]);
            extended.extend([44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            extended.extend([6, 0, 0, 0, 0, 0, 0, 1]);
            extended.extend(&frame[54..]);
            host.arrives(&extended)
        }));
        assert_eq!(came_in, 4);
    }

    #[test]
    fn who_shares_the_first_bits_of_an_ipv6_address_is_one_source() {
        let from = |last: u16| format!("2001:db8:9:9::{last:x}");
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=50).map(|port| host.refuses(way(&from(port), HOST_6, port), SYN)));
        assert_eq!(came_in, 4);
        assert_eq!(
            host.found()[0].evidence.source.to_string(),
            "2001:db8:9:9::/64"
        );
        let whole = InboundLimits {
            ipv6_prefix: 128,
            ..InboundLimits::DEFAULT
        };
        let mut host = Host::new(&whole, Hook::Xdp);
        let came_in = count((1..=50).map(|port| host.refuses(way(&from(port), HOST_6, port), SYN)));
        assert_eq!(came_in, 50);
    }

    #[test]
    fn who_is_answered_does_not_scan_and_pays_for_many_failures_in_the_end() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let came_in = count((1..=200).map(|port| host.serves(probe(port))));
        assert_eq!((came_in, host.found().len()), (200, 0));
        // Whoever hides failures among what is answered has so many.
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut failed = 0;
        for port in 1..=200 {
            host.serves(probe(1_000 + port));
            failed += usize::from(host.refuses(probe(port), SYN));
        }
        assert_eq!(failed, 19);
        assert_eq!(host.found()[0].evidence.limit, InboundLimit::Failures);
    }

    #[test]
    fn a_port_that_is_known_to_answer_is_no_failure_while_its_answer_is_on_its_way() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        for port in 1..=20 {
            host.serves(way("203.0.113.7", HOST, port));
        }
        let came_in = count((1..=20).map(|port| host.arrives(&probe(port).tcp(SYN))));
        assert_eq!((came_in, host.found().len()), (20, 0));
    }

    #[test]
    fn answers_to_what_the_host_has_begun_and_to_what_others_sent_in_its_name_are_no_probes() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        for port in 1..=100 {
            // Backscatter: somebody else uses its address, and it refuses the answers.
            let answer = probe(port).tcp(SYN | ACK);
            assert!(host.arrives(&answer));
            host.leaves(&probe(port).back().tcp(RST));
            assert!(host.arrives(&probe(100 + port).tcp(RST | ACK)));
            // A name server answers, late: nobody waits for it any more.
            let asked = way(HOST, SCANNER, 53);
            let asked = Way {
                source_port: 30_000 + port,
                ..asked
            };
            host.leaves(&asked.udp());
            assert!(host.arrives(&asked.back().udp()));
            host.leaves(&asked.back().unreachable(&asked.back().udp()));
            // Data of a connection that the host has ended already.
            host.leaves(&asked.tcp(SYN));
            assert!(host.arrives(&asked.back().tcp(ACK | PSH)));
            host.leaves(&asked.tcp(RST));
        }
        assert_eq!(host.found(), []);
    }

    #[test]
    fn who_has_proved_that_it_exists_is_banned_and_what_the_host_opened_goes_on() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        host.proves([203, 0, 113, 9], 0);
        let opened = way(HOST, SCANNER, 443);
        host.leaves(&opened.tcp(SYN));
        assert_eq!(
            count((1..=20).map(|port| host.refuses(probe(port), SYN))),
            4
        );
        let found = host.found();
        assert_eq!(found[0].verdict, InboundVerdict::Banned);
        assert_eq!(found[0].banned_ns, 3_600_000_000_000);
        assert!(!host.arrives(&probe(80).tcp(ACK)), "nothing comes in");
        assert!(!host.arrives(&probe(80).ping()));
        assert!(host.arrives(&opened.back().tcp(ACK)), "it was opened here");
        assert!(!host.arrives(&opened.back().tcp(SYN)), "and this was not");
        let mut host = Host::new(
            &InboundLimits {
                cut_replies: true,
                ..InboundLimits::DEFAULT
            },
            Hook::Xdp,
        );
        host.leaves(&opened.tcp(SYN));
        let ban = "203.0.113.9/32".parse().expect("a prefix");
        let mut bans = host.trial.bans(64).expect("maps");
        bans.put(ban, None, BanStrength::Full).expect("room");
        assert!(!host.arrives(&opened.back().tcp(ACK)));
    }

    #[test]
    fn a_ban_ends_what_a_source_has_begun_by_udp_too() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        // One of many clients of a service.
        for port in [53, 53, 54] {
            assert!(host.arrives(&probe(port).udp()));
            host.leaves(&probe(port).back().udp());
        }
        let asked = way(HOST, SCANNER, 123);
        host.leaves(&asked.udp());
        let ban = "203.0.113.9/32".parse().expect("a prefix");
        let mut bans = host.trial.bans(64).expect("maps");
        bans.put(ban, None, BanStrength::Full).expect("room");
        assert!(!host.arrives(&probe(53).udp()), "it has begun that");
        assert!(!host.arrives(&probe(54).udp()));
        assert!(host.arrives(&asked.back().udp()), "and the host this");
        // What the host asks makes no service of where it asks from.
        assert!(host.arrives(&way("203.0.113.8", HOST, 40_000).udp()));
        assert_eq!(host.trial.take("inbound_served").expect("a map").len(), 2);
    }

    #[test]
    fn whoever_may_be_made_up_keeps_what_is_open() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        for port in 1..=20 {
            host.refuses(probe(port), SYN);
        }
        assert!(host.arrives(&probe(80).tcp(ACK)), "a connection goes on");
        assert!(!host.arrives(&probe(80).tcp(SYN)), "another is not made");
        // Whoever has a connection keeps the services that it knows.
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        host.serves(probe(80));
        host.proves([203, 0, 113, 9], 1);
        for port in 1..=20 {
            host.refuses(probe(port), SYN);
        }
        assert_eq!(host.found()[0].verdict, InboundVerdict::SoftBanned);
        assert!(host.arrives(&probe(80).tcp(SYN)), "it is served");
        assert!(!host.arrives(&probe(81).tcp(SYN)), "and this is not");
    }

    #[test]
    fn some_are_never_banned_and_under_observe_nobody_is() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        host.never(24, [203, 0, 113, 0]);
        assert_eq!(
            count((1..=50).map(|port| host.refuses(probe(port), SYN))),
            50
        );
        let found = host.found();
        assert_eq!(found.len(), 1, "it is told once in a while");
        assert_eq!(found[0].verdict, InboundVerdict::Spared);
        let observe = InboundLimits {
            enforce: false,
            ..InboundLimits::DEFAULT
        };
        let mut host = Host::new(&observe, Hook::Xdp);
        assert_eq!(
            count((1..=50).map(|port| host.refuses(probe(port), SYN))),
            50
        );
        assert_eq!(host.found()[0].verdict, InboundVerdict::Observed);
        let mut bans = host.trial.bans(64).expect("maps");
        let net = "203.0.113.0/24".parse().expect("a prefix");
        bans.put(net, None, BanStrength::Full).expect("room");
        assert!(host.arrives(&probe(1).tcp(SYN)), "bans only observe too");
    }

    #[test]
    fn decoys_are_not_banned_and_no_probe_of_theirs_comes_in() {
        let decoys = ["203.0.113.1", "203.0.113.2", SCANNER, "203.0.113.4"];
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut came_in = 0;
        for port in 1..=100 {
            for from in decoys {
                // As nmap sends them: all with one number and from one port.
                came_in += usize::from(host.arrives(&way(from, HOST, port).tcp_at(SYN, 77)));
            }
        }
        assert!(came_in <= 2 * decoys.len() + 1, "{came_in}");
        let found = host.found();
        assert_eq!(found.len(), decoys.len());
        for event in &found {
            assert_eq!(event.verdict, InboundVerdict::Decoys);
            assert!(event.evidence.decoys);
        }
        for from in decoys {
            assert!(host.arrives(&way(from, HOST, 80).tcp(SYN)), "{from}");
        }
        // Which of them it is shows where it connects: then it is banned.
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        host.proves([203, 0, 113, 9], 0);
        for port in 1..=100 {
            for from in decoys {
                host.arrives(&way(from, HOST, port).tcp_at(SYN, 77));
            }
        }
        let banned: Vec<_> = host
            .trial
            .bans(64)
            .expect("maps")
            .all()
            .into_iter()
            .map(|ban| ban.net.to_string())
            .collect();
        assert_eq!(banned, [format!("{SCANNER}/32")]);
    }

    #[test]
    fn many_sources_that_probe_together_are_found_and_nobody_is_banned() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        for port in 1..=200_u16 {
            let from = format!("203.0.113.{}", port % 100 + 1);
            assert!(host.refuses(way(&from, HOST, port), SYN));
        }
        let found = host.found();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].evidence.limit, InboundLimit::Distributed);
        assert_eq!(found[0].verdict, InboundVerdict::Observed);
        assert!(found[0].evidence.sources.is_some_and(|many| many >= 20));
        assert_eq!(host.trial.bans(64).expect("maps").all(), []);
    }

    #[test]
    fn a_profile_counts_ports_whatever_comes_of_them() {
        let scanblocker = InboundLimits {
            ports: 3,
            ..InboundLimits::DEFAULT
        };
        let mut host = Host::new(&scanblocker, Hook::Xdp);
        assert_eq!(count((1..=50).map(|port| host.serves(probe(port)))), 3);
        assert_eq!(host.found()[0].evidence.limit, InboundLimit::Ports);
        // The same port again is the same one, of whichever address.
        let mut host = Host::new(&scanblocker, Hook::Xdp);
        for last in 1..=50 {
            assert!(host.serves(way(SCANNER, &format!("198.51.100.{last}"), 80)));
        }
    }

    #[test]
    fn bans_cover_what_they_say_and_end() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Classifier);
        let mut bans = host.trial.bans(64).expect("maps");
        let hour = Some(Duration::from_secs(3_600));
        for net in [
            "203.0.113.0/24",
            "192.0.2.128/25",
            "100.0.0.0/7",
            "192.0.2.7/32",
            "2001:db8:5::/48",
            "2001:db8:6:7::/64",
            "2001:db8:8::1/128",
        ] {
            let net = net.parse().expect("a prefix");
            bans.put(net, hour, BanStrength::Full).expect("room");
        }
        for (from, is_banned) in [
            ("203.0.113.0", true),
            ("203.0.113.255", true),
            ("203.0.112.255", false),
            ("203.0.114.0", false),
            ("192.0.2.127", false),
            ("192.0.2.128", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("101.255.255.255", true),
            ("102.0.0.0", false),
            ("2001:db8:5:ffff::1", true),
            ("2001:db8:6::1", false),
            ("2001:db8:6:7:1::", true),
            ("2001:db8:8::1", true),
            ("2001:db8:8::2", false),
        ] {
            let to = if from.contains(':') { HOST_6 } else { HOST };
            let comes_in = host.arrives(&way(from, to, 80).tcp(ACK));
            assert_eq!(comes_in, !is_banned, "{from}");
        }
        // Opened again, as the next agent does.
        let mut bans = host.trial.bans(64).expect("maps");
        let all = bans.all();
        assert_eq!(all.len(), 7);
        let dropped: u64 = all.iter().map(|ban| ban.dropped).sum();
        assert_eq!(dropped, 8);
        for ban in all {
            assert!(bans.remove(ban.net).expect("it goes"));
        }
        assert!(host.arrives(&way("203.0.113.0", HOST, 80).tcp(ACK)));
        let net = "203.0.113.0/24".parse().expect("a prefix");
        let none = Some(Duration::ZERO);
        bans.put(net, none, BanStrength::Full).expect("room");
        // The kernel's clock for this moves some hundred times a second.
        let begun = Instant::now();
        while !host.arrives(&way("203.0.113.0", HOST, 80).tcp(ACK)) {
            assert!(begun.elapsed() < Duration::from_secs(10), "it ends");
        }
        assert!(
            !bans
                .remove("9.9.9.9/32".parse().expect("a prefix"))
                .expect("none")
        );
    }

    #[test]
    fn of_a_range_that_is_banned_somebody_may_be_allowed() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut bans = host.trial.bans(64).expect("maps");
        let net = "203.0.113.0/24".parse().expect("a prefix");
        bans.put(net, None, BanStrength::Full).expect("room");
        host.never(32, [203, 0, 113, 7]);
        assert!(host.arrives(&way("203.0.113.7", HOST, 80).tcp(SYN)));
        assert!(!host.arrives(&way("203.0.113.8", HOST, 80).tcp(SYN)));
    }

    #[test]
    fn of_lengths_of_prefixes_there_may_be_so_many_and_then_it_is_said() {
        let host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut bans = host.trial.bans(64).expect("maps");
        let mut put = |length: u8| {
            let net = format!("2001:db8::/{length}").parse().expect("a prefix");
            bans.put(net, None, BanStrength::Full)
        };
        for length in 20..52 {
            put(length).expect("room");
        }
        let error = put(52).expect_err("too many");
        assert!(error.to_string().contains("32 other lengths"), "{error}");
        put(64).expect("of one source");
    }

    #[test]
    fn of_bans_there_may_be_so_many_in_a_minute() {
        let few = InboundLimits {
            ban_rate: 3,
            ..InboundLimits::DEFAULT
        };
        let mut host = Host::new(&few, Hook::Xdp);
        for last in 1..=9 {
            for port in 1..=10 {
                let from = format!("203.0.113.{last}");
                host.refuses(way(&from, HOST, port * 10 + last), SYN);
            }
        }
        let found = host.found();
        let of = |verdict| found.iter().filter(|it| it.verdict == verdict).count();
        assert_eq!(of(InboundVerdict::SoftBanned), 3);
        assert_eq!(of(InboundVerdict::NoRoom), 6);
        assert_eq!(host.trial.counters().expect("counters").inbound_no_room, 6);
    }

    #[test]
    fn a_scan_in_the_midst_of_a_flood_of_made_up_sources_is_found() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut came_in = 0;
        let flood = |host: &mut Host, part: u32| {
            for one in 0..8_000_u32 {
                let [a, b, c] = [(part % 200) as u8, (one >> 8) as u8, one as u8];
                let from = format!("{}.{a}.{b}.{c}", 11 + part / 200);
                host.arrives(&way(&from, HOST, 80).tcp(SYN));
            }
        };
        for port in 1..=10 {
            flood(&mut host, port.into());
            came_in += usize::from(host.refuses(probe(port), SYN));
        }
        assert!(came_in <= 6, "{came_in}");
        let counters = host.trial.counters().expect("counters");
        assert!(counters.inbound_evicted > 5_000, "{counters:?}");
        let found = host.found();
        let source = format!("{SCANNER}/32");
        assert!(
            found
                .iter()
                .any(|event| event.evidence.source.to_string() == source)
        );
    }

    #[test]
    fn what_is_for_many_is_nobodys_probe() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        for port in 1..=100 {
            for to in ["224.0.0.251", "255.255.255.255", "239.255.255.250"] {
                assert!(host.arrives(&way(SCANNER, to, port).udp()));
            }
            assert!(host.arrives(&way("2001:db8:9::9", "ff02::fb", port).udp()));
        }
        assert_eq!(host.found(), []);
    }
}
