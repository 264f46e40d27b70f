//! What the guards find in captures: scans and miners, and nothing in what others do.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod tape;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hayward_capture::{Inside, Limits, Player, Reader, Seen, Summary, Unread};
    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::{InboundLimits, OutboundLimits};
    use hayward_model::{Guard, PoolDialect, ScanEvidence};

    use crate::tape::{ACK, FIN, RST, SYN, Shape, Tape, USUAL, ip};

    const OWN: &str = "10.0.0.1:4000";

    /// As settings have it unless they say something else.
    fn judge_file(file: &[u8], inside: Inside, limits: &OutboundLimits) -> (Vec<Seen>, Summary) {
        let twice = ["::ffff:198.51.100.0/120".parse().expect("a prefix")];
        let limits = Limits {
            outbound: *limits,
            inbound: InboundLimits::DEFAULT,
        };
        let mut player = Player::new(inside, &limits, ["pool.example.org"], &twice, &[]);
        let mut seen = Vec::new();
        if let Ok(mut reader) = Reader::new(file) {
            while let Ok(Some(record)) = reader.next() {
                seen.extend(player.take(&record));
            }
        }
        seen.extend(player.end());
        (seen, player.summary())
    }

    fn judge(tape: &Tape) -> (Vec<Seen>, Summary) {
        judge_file(
            &tape.file(USUAL),
            Inside::private(),
            &OutboundLimits::DEFAULT,
        )
    }

    fn scan(seen: &[Seen]) -> ScanEvidence {
        let [one] = seen else {
            panic!("one finding: {seen:?}");
        };
        assert_eq!(
            one.source,
            "10.0.0.1".parse::<IpAddr>().expect("an address")
        );
        one.evidence.scan.clone().expect("a scan")
    }

    /// Dialect, whether it was sent, and the message.
    fn mining(tape: &Tape) -> Vec<(PoolDialect, String, String)> {
        let pool = |seen: Seen| seen.evidence.pool.expect("it mines");
        let all = judge(tape).0.into_iter().map(pool);
        all.map(|pool| (pool.dialect, pool.direction, pool.message))
            .collect()
    }

    #[test]
    fn five_refusals_are_a_scan_and_their_destinations_are_named() {
        let mut tape = Tape::new();
        for port in 1..=9 {
            tape.refuse(OWN, &format!("192.0.2.1:{port}"));
        }
        let (seen, summary) = judge(&tape);
        let scan = scan(&seen);
        assert_eq!(
            (scan.limit.as_str(), scan.contacts, scan.refused),
            ("unanswered", 5, 5)
        );
        let named: Vec<String> = scan.destinations.iter().map(ToString::to_string).collect();
        assert!(named.contains(&"tcp 192.0.2.1:5".to_owned()), "{named:?}");
        assert_eq!(named.len(), 5);
        let fifth = crate::tape::BEGIN + 9 * 1_000_000;
        assert_eq!((seen[0].at, seen[0].at_end), (fifth, false));
        // Whoever is blocked makes no more contacts.
        assert_eq!(
            (summary.contacts, summary.refused, summary.flows),
            (5, 5, 9)
        );
    }

    #[test]
    fn silence_is_a_scan_when_time_has_passed_and_at_the_end() {
        let mut tape = Tape::new();
        for host in 1..=30 {
            tape.tcp(OWN, &format!("192.0.2.{host}:443"), SYN, 1, b"");
        }
        let (seen, summary) = judge(&tape);
        assert_eq!(scan(&seen).silent, 30);
        assert!(seen[0].at_end && seen[0].evidence.destination.is_none());
        assert_eq!(summary.silent(), 30);
        tape.wait(40_000).tcp(OWN, "192.0.2.99:443", SYN, 1, b"");
        let (seen, _) = judge(&tape);
        assert_eq!(scan(&seen).silent, 30);
        assert!(!seen[0].at_end);
        let destination = seen[0].evidence.destination.as_ref().expect("the last");
        assert_eq!(destination.to_string(), "tcp 192.0.2.99:443");
    }

    #[test]
    fn failures_are_found_whatever_answers_in_between_and_limits_are_the_settings() {
        let mut tape = Tape::new();
        for port in 1..=120 {
            tape.refuse(OWN, &format!("192.0.2.1:{port}"));
            tape.open(OWN, &format!("192.0.2.2:{port}"));
        }
        let (seen, _) = judge(&tape);
        assert_eq!(
            (scan(&seen).limit.as_str(), scan(&seen).refused),
            ("failures", 100)
        );
        let limits = OutboundLimits {
            failed: 20,
            ..OutboundLimits::DEFAULT
        };
        let (seen, _) = judge_file(&tape.file(USUAL), Inside::private(), &limits);
        assert_eq!(scan(&seen).refused, 20);
    }

    /// Sends one to an address.
    type Probe = fn(&mut Tape, &str);

    #[test]
    fn probes_of_every_kind_are_contacts() {
        let probes: [(&str, Probe); 6] = [
            ("fin", |tape, to| {
                tape.tcp(OWN, &format!("{to}:9"), FIN, 1, b"");
            }),
            ("null", |tape, to| {
                tape.tcp(OWN, &format!("{to}:9"), 0, 1, b"");
            }),
            ("xmas", |tape, to| {
                tape.tcp(OWN, &format!("{to}:9"), 0x29, 1, b"");
            }),
            ("ecn", |tape, to| {
                tape.tcp(OWN, &format!("{to}:9"), SYN | 0xc0, 1, b"");
            }),
            ("udp", |tape, to| {
                tape.udp(OWN, &format!("{to}:9"), b"x");
            }),
            ("echo", |tape, to| {
                tape.icmp("10.0.0.1", to, 8);
            }),
        ];
        for (name, probe) in probes {
            let mut tape = Tape::new();
            for host in 1..=32 {
                probe(&mut tape, &format!("192.0.2.{host}"));
            }
            assert_eq!(scan(&judge(&tape).0).silent, 32, "{name}");
        }
        // A FIN that is refused is one that somebody has answered.
        let mut tape = Tape::new();
        for host in 1..=6 {
            let to = format!("192.0.2.{host}:9");
            tape.tcp(OWN, &to, FIN, 1, b"")
                .tcp(&to, OWN, RST | ACK, 0, b"");
        }
        assert_eq!(scan(&judge(&tape).0).refused, 5);
    }

    #[test]
    fn what_others_do_is_no_scan() {
        let mut tape = Tape::new();
        for host in 1..=200 {
            let outside = format!("192.0.2.{host}:{}", 2000 + host);
            // Others connect, and scan; those that are scanned refuse.
            tape.open(&outside, "10.0.0.1:80");
            tape.refuse(&outside, &format!("10.0.0.1:{host}"));
            // Answers to whoever forged an address from here.
            tape.tcp(&outside, OWN, SYN | ACK, 1, b"");
            tape.tcp(&outside, "10.0.0.1:4001", RST | ACK, 1, b"");
            // Questions of others, which are answered.
            tape.udp(&outside, "10.0.0.1:53", b"question");
            tape.udp("10.0.0.1:53", &outside, b"answer");
            // Connections from before the capture, and what routers say.
            tape.tcp(
                "10.0.0.1:5000",
                &format!("192.0.2.{host}:443"),
                ACK,
                1,
                b"more",
            );
            tape.icmp(&format!("192.0.2.{host}"), "10.0.0.1", 3);
            tape.icmp("10.0.0.1", &format!("192.0.2.{host}"), 3);
            tape.udp(OWN, "224.0.0.251:5353", b"name");
        }
        let (seen, summary) = judge(&tape);
        assert_eq!(seen, []);
        assert_eq!(summary.contacts, 0);
        assert_eq!(summary.workloads, 1);
    }

    #[test]
    fn many_that_answer_are_no_scan_and_one_dead_port_is_one_contact() {
        let mut tape = Tape::new();
        for host in 1..=200 {
            tape.open(OWN, &format!("192.0.2.{host}:443"));
            tape.refuse(OWN, "192.0.2.9:9");
        }
        let (seen, summary) = judge(&tape);
        assert_eq!(seen, []);
        assert_eq!(
            (summary.contacts, summary.answered, summary.refused),
            (201, 200, 1)
        );
    }

    #[test]
    fn contacts_where_nobody_is_count_twice() {
        let mut tape = Tape::new();
        for port in 1..=4 {
            tape.refuse(OWN, &format!("198.51.100.1:{port}"));
        }
        assert_eq!(scan(&judge(&tape).0).refused, 3);
        let own = ["10.0.0.0/8", "198.51.100.0/24"].map(|net| net.parse().expect("a prefix"));
        for own in [&own[..], &["0.0.0.0/0".parse().expect("a prefix")]] {
            let inside = Inside::of(own.iter().copied());
            assert_eq!(
                judge_file(&tape.file(USUAL), inside, &OutboundLimits::DEFAULT).0,
                []
            );
        }
    }

    #[test]
    fn where_nobody_is_private_whoever_begins_is_judged() {
        let mut tape = Tape::new();
        for port in 1..=9 {
            tape.refuse("203.0.113.7:4000", &format!("192.0.2.1:{port}"));
        }
        let (seen, summary) = judge(&tape);
        assert_eq!((seen.len(), summary.workloads), (0, 0));
        assert_eq!(
            summary.unread.into_iter().collect::<Vec<_>>(),
            [(Unread::Outside, 18)]
        );
        let (seen, summary) = judge_file(&tape.file(USUAL), Inside::All, &OutboundLimits::DEFAULT);
        // It scans, and the other is scanned.
        let guards: Vec<Guard> = seen.iter().map(|seen| seen.guard).collect();
        assert_eq!(guards, [Guard::Inbound, Guard::Outbound]);
        assert_eq!(summary.workloads, 2);
        assert_eq!(seen[0].source.to_string(), "203.0.113.7");
    }

    #[test]
    fn who_scans_what_is_inside_is_found_and_who_is_answered_is_not() {
        let mut tape = Tape::new();
        for port in 1..=9 {
            tape.refuse("203.0.113.7:4000", &format!("10.0.0.1:{port}"));
            tape.open("203.0.113.8:4000", &format!("10.0.0.1:{}", 80 + port));
        }
        let (seen, summary) = judge(&tape);
        assert_eq!(summary.findings, 1);
        let one = &seen[0];
        assert_eq!(
            (one.guard, one.source.to_string().as_str()),
            (Guard::Inbound, "203.0.113.7")
        );
        let evidence = one.evidence.inbound.as_ref().expect("what was seen");
        assert_eq!(evidence.ports, [1, 2, 3, 4, 5]);
    }

    const SUBSCRIBE: &[u8] = br#"{"id":1,"method":"mining.subscribe","params":["x/1"]}"#;
    const JOB: &[u8] =
        br#"{"jsonrpc":"2.0","method":"job","params":{"blob":"0e","job_id":"a","target":"b8"}}"#;

    #[test]
    fn who_mines_is_found_by_what_either_end_says_once_for_each_destination() {
        let mut tape = Tape::new();
        for pool in ["192.0.2.1:3333", "192.0.2.1:3333", "[2001:db8::1]:443"] {
            let own = if pool.starts_with('[') {
                "[fd00::1]:40"
            } else {
                OWN
            };
            tape.open(own, pool).tcp(own, pool, ACK, 101, SUBSCRIBE);
            tape.tcp(own, pool, ACK, 101 + 53, SUBSCRIBE);
        }
        tape.open(OWN, "192.0.2.3:80");
        tape.tcp("192.0.2.3:80", OWN, ACK, 501, JOB);
        let found = mining(&tape);
        let stratum = (
            PoolDialect::Stratum,
            "sent".to_owned(),
            String::from_utf8_lossy(SUBSCRIBE).into_owned(),
        );
        assert_eq!(found[..2], [stratum.clone(), stratum]);
        assert_eq!(
            (found[2].0, found[2].1.as_str()),
            (PoolDialect::Monero, "received")
        );
        assert_eq!((found.len(), judge(&tape).1.repeated), (3, 1));
    }

    #[test]
    fn names_of_pools_are_found_and_others_are_not() {
        for (name, expected) in [("eu.pool.example.org", 1), ("pool.example.net", 0)] {
            let mut labels = Vec::new();
            for label in name.split('.') {
                labels.push(u8::try_from(label.len()).expect("a label"));
                labels.extend(label.bytes());
            }
            let question = [
                &[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..],
                &labels,
                &[0, 0, 1, 0, 1],
            ];
            let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
            let mut tape = Tape::new();
            tape.udp(OWN, "192.0.2.53:53", &question.concat());
            tape.open("10.0.0.2:4000", "192.0.2.1:80");
            tape.tcp(
                "10.0.0.2:4000",
                "192.0.2.1:80",
                ACK,
                101,
                request.as_bytes(),
            );
            let found = mining(&tape);
            assert_eq!(found.len(), expected * 2, "{found:?}");
            assert!(found.iter().all(|(.., message)| message == name));
        }
    }

    #[test]
    fn segments_count_in_their_order_and_once_wherever_they_end() {
        let pool = "192.0.2.1:3333";
        let parts: Vec<&[u8]> = JOB.chunks(20).collect();
        let sequence = |part: usize| 501 + 20 * u32::try_from(part).expect("it fits");
        for order in [&[0, 1, 2, 3, 4][..], &[0, 3, 2, 1, 4], &[1, 0, 0, 2, 4, 3]] {
            let mut tape = Tape::new();
            tape.open(OWN, pool);
            for part in order {
                tape.tcp(pool, OWN, ACK, sequence(*part), parts[*part]);
            }
            assert_eq!(mining(&tape).len(), 1, "{order:?}");
        }
        // One that never came.
        let mut tape = Tape::new();
        tape.open(OWN, pool);
        for part in [0, 1, 3, 4] {
            tape.tcp(pool, OWN, ACK, sequence(part), parts[part]);
        }
        assert_eq!(mining(&tape), []);
    }

    #[test]
    fn a_port_that_is_used_again_is_another_connection() {
        let mut tape = Tape::new();
        tape.open(OWN, "192.0.2.1:80")
            .tcp(OWN, "192.0.2.1:80", ACK, 101, b"x");
        tape.open(OWN, "192.0.2.1:80")
            .tcp(OWN, "192.0.2.1:80", ACK, 101, SUBSCRIBE);
        assert_eq!(mining(&tape).len(), 1);
    }

    #[test]
    fn what_cannot_be_judged_is_counted_by_its_cause() {
        let mut tape = Tape::new();
        let (own, other) = (
            "10.0.0.1".parse().expect("ip"),
            "192.0.2.1".parse().expect("ip"),
        );
        let mut long = ip(own, other, 17, &[0; 8]);
        long[3] = 200;
        let mut short = ip(own, other, 17, &[0; 8]);
        short[0] = 0x44;
        let mut fragment = ip(own, other, 17, &[0; 8]);
        fragment[7] = 9;
        let arp = vec![0; 28];
        tape.packet(long).packet(short).packet(fragment).packet(arp);
        let (_, summary) = judge(&tape);
        let unread: Vec<_> = summary.unread.into_iter().collect();
        assert_eq!(unread, [(Unread::NoIp, 1), (Unread::Damaged, 2)]);
        assert_eq!((summary.packets, summary.fragments), (4, 1));
        let mut file = Tape::new().open(OWN, "192.0.2.1:80").file(USUAL);
        file[20] = 147;
        let (_, summary) = judge_file(&file, Inside::private(), &OutboundLimits::DEFAULT);
        assert_eq!(
            summary.unread.into_iter().collect::<Vec<_>>(),
            [(Unread::Link(147), 3)]
        );
    }

    #[test]
    fn time_that_goes_backwards_is_as_of_the_latest() {
        let mut tape = Tape::new();
        tape.wait(5).open(OWN, "192.0.2.1:80");
        tape.packets.swap(0, 2);
        let (_, summary) = judge(&tape);
        assert_eq!((summary.backwards, summary.lasted), (2, 0));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut tape = Tape::new();
        for third in 0..=255 {
            for fourth in 0..=255 {
                let to = format!("[2001:db8::{third:x}:{fourth:x}]:9");
                tape.udp("[fd00::1]:9", &to, b"")
                    .udp("[fd00::1]:9", &to, b"");
            }
        }
        tape.udp("[fd00::1]:9", "[2001:db8::1:0:0]:9", b"");
        let limits = OutboundLimits {
            failed: 1_000_000,
            in_flight: 65_536,
            rate: 1_000_000,
            ..OutboundLimits::DEFAULT
        };
        let (_, summary) = judge_file(&tape.file(USUAL), Inside::private(), &limits);
        assert_eq!(summary.flows, 65_537);
        assert!(summary.forgotten > 0, "{summary:?}");
    }

    #[test]
    fn judging_a_damaged_capture_never_panics() {
        let mut tape = Tape::new();
        tape.open(OWN, "192.0.2.1:3333")
            .tcp(OWN, "192.0.2.1:3333", ACK, 101, SUBSCRIBE);
        tape.tcp("192.0.2.1:3333", OWN, ACK, 501, JOB);
        tape.udp(
            "[fd00::1]:9",
            "[2001:db8::1]:53",
            b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04pool\x07example\x03org\0",
        );
        tape.icmp("fd00::1", "2001:db8::1", 128);
        let files = [false, true].map(|pcapng| tape.file(Shape { pcapng, ..USUAL }));
        let words: [&[u8]; 6] = [
            b"\x45\0",
            b"\x60\0\0\0",
            b"\x2c",
            b"mining.notify",
            b"\xc0\x0c",
            b"\x16\x03\x01",
        ];
        throw(400, &Corpus::new(files, words).damaged(), |input| {
            judge_file(&input.0, Inside::All, &OutboundLimits::DEFAULT);
            Ok(())
        });
    }
}
