//! Who scans a host, and who does not, by frames that are given to the programs: what arrives to `on_inbound_packet` (XDP) and
//! `on_inbound_frame` (a classifier), what leaves to `on_inbound_answer`.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod probe;

#[cfg(test)]
mod tests {
    use hayward_kernel::InboundLimits;
    use hayward_model::{InboundLimit, InboundVerdict, ProbeKind, ScanShape};

    use crate::probe::{
        ACK, CWR, ECE, FIN, HOST, HOST_6, PSH, RST, SYN, URG, Way,
        host::{Hook, Host, SCANNER, count, probe},
        way,
    };

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

    /// A frame of IPv6 with so many extensions, each of eight bytes.
    fn extended(extensions: usize, frame: &[u8]) -> Vec<u8> {
        let mut extended = frame[..54].to_vec();
        let next = std::mem::replace(&mut extended[20], 60);
        for at in 1..=extensions {
            let next = if at == extensions { next } else { 60 };
            extended.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        extended.extend(&frame[54..]);
        extended
    }

    #[test]
    fn what_many_extensions_hide_does_not_come_in() {
        let frame = way("2001:db8:9::9", HOST_6, 443).tcp(SYN);
        for hook in [Hook::Xdp, Hook::Classifier] {
            let mut host = Host::new(&InboundLimits::DEFAULT, hook);
            for (extensions, comes_in) in [(8, true), (9, false), (60, false)] {
                let frame = extended(extensions, &frame);
                assert_eq!(host.arrives(&frame), comes_in, "{hook:?} {extensions}");
            }
            // The first of several fragments, in which the last extension does not end.
            let mut cut = frame[..54].to_vec();
            cut[20] = 44;
            cut.extend([60, 0, 0, 1, 0, 0, 0, 7]);
            cut.extend([6, 1, 1, 12, 0, 0, 0, 0]);
            assert!(!host.arrives(&cut), "{hook:?}");
            host.never(&["2001:db8:9::/64"]);
            assert!(host.arrives(&extended(9, &frame)), "{hook:?} is spared");
            let observe = InboundLimits {
                enforce: false,
                ..InboundLimits::DEFAULT
            };
            let mut host = Host::new(&observe, hook);
            assert!(host.arrives(&extended(9, &frame)), "{hook:?} observes");
        }
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
    fn each_of_several_who_come_before_the_first_answer_gets_its_own() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let sources = ["203.0.113.7", "203.0.113.8", SCANNER];
        for port in 1..=20 {
            for from in sources {
                assert!(
                    host.arrives(&way(from, HOST, port).tcp(SYN)),
                    "{from} {port}"
                );
            }
            for from in sources {
                host.leaves(&way(from, HOST, port).back().tcp(SYN | ACK));
            }
        }
        assert_eq!(host.found(), []);
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
    fn a_scan_in_the_midst_of_a_flood_of_made_up_sources_is_found() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut came_in = 0;
        let flood = |host: &mut Host, part: u32| {
            for one in 0..8_000_u32 {
                let [_, _, b, c] = one.to_be_bytes();
                let from = format!("{}.{}.{b}.{c}", 11 + part / 200, part % 200);
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
    fn as_many_sources_are_remembered_as_settings_say() {
        let forgotten = |sources: u32| {
            let limits = InboundLimits {
                sources,
                ..InboundLimits::DEFAULT
            };
            let mut host = Host::new(&limits, Hook::Xdp);
            for one in 0..4_000_u32 {
                let [_, _, b, c] = one.to_be_bytes();
                host.arrives(&way(&format!("11.0.{b}.{c}"), HOST, 80).tcp(SYN));
            }
            host.trial.counters().expect("counters").inbound_evicted
        };
        assert_eq!(forgotten(131_072), 0);
        assert_eq!(forgotten(InboundLimits::DEFAULT.sources), 0);
        // All but as many as there is room for, or fewer where not every bucket is full.
        let few = forgotten(1024);
        assert!((2_976..=3_100).contains(&few), "{few}");
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
