//! Names of pools are recognised wherever a connection says them first, on the real kernel.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;
#[cfg(test)]
#[allow(dead_code, reason = "the tests of what is said have this file too")]
mod talk;

#[cfg(test)]
mod tests {
    use hayward_kernel::{Kernel, Pins, PoolDomains};
    use hayward_model::{Mode, PoolDialect};

    use crate::{
        network::Workload,
        place::Place,
        talk::{End::Workload as Own, connect, counters, events, kernel, said, say, workload},
    };

    const POOL: &str = "pool.example.org";
    const NAMES: [&str; 3] = [
        POOL,
        "eu-1.Pool.EXAMPLE.org",
        "a.b.c.d.e.f.g.h.i.j.k.pool.example.org",
    ];
    const OTHER_NAMES: [&str; 6] = [
        "example.org",
        "xpool.example.org",
        "pool.example.org.evil.example",
        "pool.example.com",
        "pool-example.org",
        "org",
    ];

    fn knowing(place: &Place, mode: Mode) -> Kernel {
        let kernel = kernel(place, mode);
        let domains = PoolDomains::open(&Pins::new(&place.pins)).expect("a pinned map");
        domains.set([POOL, "miner.example"]).expect("room");
        kernel
    }

    fn vector(length_bytes: usize, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        [&length[length.len() - length_bytes..], content].concat()
    }

    /// The first message of TLS, in records of at most so many bytes.
    fn hello(name: &str, record: usize) -> Vec<u8> {
        let server_name = vector(2, &[&[0][..], &vector(2, name.as_bytes())].concat());
        let extensions = [
            &[0, 43][..],
            &vector(2, &vector(1, &[3, 4])),
            &[0, 23],
            &vector(2, &[]),
            &[0, 51],
            &vector(2, &[7; 300]),
            &[0, 0],
            &vector(2, &server_name),
            &[0, 16],
            &vector(2, &vector(2, &vector(1, b"h2"))),
        ]
        .concat();
        let body = [
            &[3, 3][..],
            &[9; 32],
            &vector(1, &[5; 32]),
            &vector(2, &[0x13, 1, 0x13, 2]),
            &vector(1, &[0]),
            &vector(2, &extensions),
        ]
        .concat();
        let message = [&[1][..], &vector(3, &body)].concat();
        let records = message.chunks(record);
        records
            .flat_map(|part| [&[22, 3, 1][..], &vector(2, part)].concat())
            .collect()
    }

    fn question(name: &str) -> Vec<u8> {
        let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.extend(vector(1, label.as_bytes()));
        }
        question.extend([0, 0, 1, 0, 1]);
        question
    }

    fn observed(kernel: &Kernel) -> u64 {
        counters(kernel).pool_observed
    }

    #[test]
    fn the_name_in_tls_is_found_wherever_segments_and_records_end() {
        let place = Place::new("tls");
        let kernel = knowing(&place, Mode::Observe);
        let mut workload = workload(&place);
        for name in NAMES {
            connect(&mut workload, 4);
            said(&mut workload, Own, &[&hello(name, 16_384)]);
            let told = events(&kernel);
            assert_eq!(told.len(), 1, "{name}");
            assert_eq!(told[0].dialect, PoolDialect::Tls);
            assert_eq!(told[0].message, name.as_bytes());
        }
        let mut expected = observed(&kernel);
        let whole = hello(POOL, 16_384);
        let record = |bytes| hello(POOL, bytes);
        for at in (1..whole.len())
            .step_by(7)
            .chain(whole.len() - 60..whole.len())
        {
            connect(&mut workload, 4);
            said(&mut workload, Own, &[&whole[..at], &whole[at..]]);
            expected += 1;
            assert_eq!(observed(&kernel), expected, "at {at}");
        }
        for bytes in [1, 2, 3, 50, 51, 100, 399, 420] {
            connect(&mut workload, 4);
            said(&mut workload, Own, &[&record(bytes)]);
            expected += 1;
            assert_eq!(observed(&kernel), expected, "records of {bytes}");
        }
        for name in OTHER_NAMES {
            connect(&mut workload, 4);
            said(&mut workload, Own, &[&hello(name, 16_384)]);
            assert_eq!(observed(&kernel), expected, "{name}");
        }
    }

    #[test]
    fn the_host_of_a_request_is_found_and_what_is_asked_for_is_not() {
        let place = Place::new("http");
        let kernel = knowing(&place, Mode::Observe);
        let mut workload = workload(&place);
        let mut expected = 0;
        for request in [
            "GET / HTTP/1.1\r\nHost: pool.example.org\r\n\r\n",
            "POST /json_rpc HTTP/1.1\r\nAccept: */*\r\nhOST:eu.POOL.example.org:3333\r\n\r\n",
            "CONNECT pool.example.org:443 HTTP/1.1\r\nHost: other.example\r\n\r\n",
        ] {
            for at in 1..request.len() {
                connect(&mut workload, 4);
                let (one, two) = request.as_bytes().split_at(at);
                said(&mut workload, Own, &[one, two]);
                expected += 1;
                assert_eq!(observed(&kernel), expected, "{request} at {at}");
            }
        }
        assert!(
            events(&kernel)
                .iter()
                .all(|event| event.dialect == PoolDialect::Http)
        );
        for request in [
            "GET /pool.example.org?Host:pool.example.org HTTP/1.1\r\nReferer: pool.example.org\r\nHost: example.org\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: example.org\r\n\r\nHost: pool.example.org\r\n",
            "POST / HTTP/1.1\r\nX-Host: pool.example.org\r\n\r\nHost: pool.example.org\r\n",
            "EHLO me\r\nHost: pool.example.org\r\n",
            "CONNECTED pool.example.org:443 HTTP/1.1\r\n\r\n",
        ] {
            connect(&mut workload, 4);
            said(&mut workload, Own, &[request.as_bytes()]);
            assert_eq!(observed(&kernel), expected, "{request}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn asks(workload: &mut Workload, question: &[u8]) -> String {
        workload.does(&format!("say_to resolver {} 10.2.0.1 53", hex(question)))
    }

    #[test]
    fn a_question_for_a_pool_is_refused_to_whoever_asks() {
        let place = Place::new("dns");
        let kernel = knowing(&place, Mode::Enforce);
        let mut workload = workload(&place);
        workload.all(&[("make resolver 4 SOCK_DGRAM", "ok")]);
        for name in NAMES {
            assert_eq!(asks(&mut workload, &question(name)), "EPERM", "{name}");
            let told = events(&kernel);
            assert_eq!(told.len(), 1, "{name}");
            assert_eq!(
                (told[0].dialect, told[0].sender.denied),
                (PoolDialect::Dns, true)
            );
            assert_eq!(told[0].message, name.as_bytes());
            assert_eq!(told[0].sender.destination.to_string(), "udp 10.2.0.1:53");
            assert_eq!(told[0].sender.comm, "python3");
        }
        for name in OTHER_NAMES {
            assert_eq!(asks(&mut workload, &question(name)), "ok", "{name}");
        }
        let mut answer = question(POOL);
        answer[2] |= 0x80;
        assert_eq!(asks(&mut workload, &answer), "ok");
        // What is cut off, or points back, is nobody's name.
        let whole = question(POOL);
        for length in 1..whole.len() - 5 {
            assert_eq!(asks(&mut workload, &whole[..length]), "ok", "{length}");
        }
        let pointing = [&whole[..12], &[4][..], b"pool", &[0xc0, 12]].concat();
        assert_eq!(asks(&mut workload, &pointing), "ok");
        let elsewhere = format!("say_to resolver {} 10.2.0.1 54", hex(&whole));
        workload.all(&[(&elsewhere, "ok")]);
    }

    #[test]
    fn a_question_over_tcp_is_found_too() {
        let place = Place::new("dns-tcp");
        let kernel = knowing(&place, Mode::Enforce);
        let mut workload = Workload::new(&place.group("beside"));
        workload.all(&[
            ("listen dns SOCK_STREAM 10.1.0.1 53", "ok"),
            (&format!("move {}", place.group("box").display()), "ok"),
        ]);
        for (name, denied) in [("example.org", 0), (POOL, 1)] {
            workload.all(&[
                ("make own 4 SOCK_STREAM", "ok"),
                ("connect own 10.1.0.1 53", "ok"),
            ]);
            let message = vector(2, &question(name));
            say(&mut workload, Own, &[&message[..20], &message[20..]]);
            let told = events(&kernel);
            assert_eq!(told.len(), denied, "{name}");
            assert!(
                told.iter().all(|event| event.message == name.as_bytes()),
                "{told:?}"
            );
        }
    }

    #[test]
    fn what_is_no_domain_any_more_is_reached_again() {
        let place = Place::new("domains");
        let kernel = knowing(&place, Mode::Enforce);
        let mut workload = workload(&place);
        workload.all(&[("make resolver 4 SOCK_DGRAM", "ok")]);
        assert_eq!(asks(&mut workload, &question(POOL)), "EPERM");
        let domains = PoolDomains::open(&Pins::new(&place.pins)).expect("a pinned map");
        domains.set(["miner.example"]).expect("room");
        assert_eq!(asks(&mut workload, &question(POOL)), "ok");
        assert_eq!(asks(&mut workload, &question("x.miner.example")), "EPERM");
        assert_eq!(counters(&kernel).pool_denied, 2);
    }
}
