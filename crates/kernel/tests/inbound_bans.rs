//! Who is banned, of what and for how long, by frames that are given to the programs of the guard `inbound`.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod probe;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hayward_kernel::InboundLimits;
    use hayward_model::{BanStrength, InboundVerdict};

    use crate::probe::{
        ACK, HOST, HOST_6, SYN,
        host::{Hook, Host, SCANNER, count, probe},
        way,
    };

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
        host.never(&["203.0.113.0/24"]);
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
        for net in ["203.0.113.0/24", "2001:db8:9:9::/64", "2001:db8:8::/48"] {
            let net = net.parse().expect("a prefix");
            bans.put(net, None, BanStrength::Full).expect("room");
        }
        let allowed = ["203.0.113.7/32", "2001:db8:9:9::7/128", "2001:db8:8::7/128"];
        host.never(&allowed);
        for (from, comes_in) in [
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("2001:db8:9:9::7", true),
            ("2001:db8:9:9::8", false),
            ("2001:db8:8::7", true),
            ("2001:db8:8::8", false),
        ] {
            let to = if from.contains(':') { HOST_6 } else { HOST };
            let came = host.arrives(&way(from, to, 80).tcp(SYN));
            assert_eq!(came, comes_in, "{from}");
        }
    }

    #[test]
    fn a_prefix_of_ipv6_allows_nobody_of_ipv4() {
        let mut host = Host::new(&InboundLimits::DEFAULT, Hook::Xdp);
        let mut bans = host.trial.bans(64).expect("maps");
        let net = "203.0.113.0/24".parse().expect("a prefix");
        bans.put(net, None, BanStrength::Full).expect("room");
        let mut comes_in = |allowed: &[&str]| {
            host.never(allowed);
            host.arrives(&way("203.0.113.7", HOST, 80).tcp(SYN))
        };
        assert!(!comes_in(&["::/0"]));
        assert!(comes_in(&["::/0", "203.0.0.0/16"]));
        assert!(!comes_in(&["::/0"]));
        assert!(comes_in(&["0.0.0.0/0"]));
        assert!(!comes_in(&[]));
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
}
