//! Who mines is recognised by what is said, on the real kernel: connections in a network that the test makes.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;
#[cfg(test)]
mod talk;

#[cfg(test)]
mod tests {
    use hayward_kernel::Cell;
    use hayward_model::{Mode, PoolDialect};

    use crate::{
        network::Workload,
        place::{Place, id_of},
        talk::{End, connect, counters, events, kernel, said, say, workload},
    };
    use End::{Other, Workload as Own};

    const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":["bfgminer/5.5.0"]}"#;
    const LOGIN: &str = r#"{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"44hayward","pass":"x","agent":"XMRig/6.21.0","algo":["cn/1","rx/0"]}}"#;

    /// What miners and pools say first, by dialect.
    const MINING: [(End, &str, PoolDialect); 18] = [
        (Own, SUBSCRIBE, PoolDialect::Stratum),
        (
            Own,
            r#"{"params": ["hayward.1", "x"], "id": 2, "method": "mining.authorize"}"#,
            PoolDialect::Stratum,
        ),
        (
            Own,
            r#"{"method":"mining.configure","id":3,"params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
            PoolDialect::Stratum,
        ),
        (
            Own,
            r#"{"id":4,"method":"mining.extranonce.subscribe","params":[]}"#,
            PoolDialect::Stratum,
        ),
        (
            Own,
            r#"{"id":5,"method":"mining.suggest_difficulty","params":[1024]}"#,
            PoolDialect::Stratum,
        ),
        (
            Other,
            r#"{"id":1,"result":[[["mining.set_difficulty","1"],["mining.notify","a"]],"f000000f",4],"error":null}"#,
            PoolDialect::Stratum,
        ),
        (
            Other,
            r#"{"id":null,"method":"mining.set_difficulty","params":[1024]}"#,
            PoolDialect::Stratum,
        ),
        (
            Other,
            r#"{"params":["1d","00","01","02",[],"20000000","170fffff","5f",true],"id":null,"method":"mining.notify"}"#,
            PoolDialect::Stratum,
        ),
        (Own, LOGIN, PoolDialect::Monero),
        (
            Own,
            "\r\n{ \"params\" : {\n \"pass\" : \"x\",\n \"agent\":\"a\", \"login\" : \"44hayward\" },\t\"method\"  :\"login\", \"id\" : \"1\" }\n",
            PoolDialect::Monero,
        ),
        (
            Other,
            r#"{"id":1,"jsonrpc":"2.0","error":null,"result":{"id":"7","job":{"blob":"0e0e","job_id":"a","target":"b88d0600","algo":"rx/0","height":3,"seed_hash":"5a"},"status":"OK"}}"#,
            PoolDialect::Monero,
        ),
        (
            Other,
            r#"{"jsonrpc":"2.0","method":"job","params":{"blob":"0e0e","job_id":"a","target":"b88d0600","seed_hash":"5a"}}"#,
            PoolDialect::Monero,
        ),
        (
            Own,
            r#"{"id":1,"jsonrpc":"2.0","method":"eth_submitLogin","params":["0xhayward"],"worker":"one"}"#,
            PoolDialect::EthereumWork,
        ),
        (
            Own,
            r#"{"worker":"","jsonrpc":"2.0","params":[],"id":3,"method":"eth_getWork"}"#,
            PoolDialect::EthereumWork,
        ),
        (
            Own,
            r#"{"id":1,"method":"mining.subscribe","params":["miner/1","EthereumStratum/1.0.0"]}"#,
            PoolDialect::EthereumStratum1,
        ),
        (
            Own,
            r#"{"id":0,"method":"mining.hello","params":{"agent":"miner-1","host":"pool.example","port":"d80","proto":"EthereumStratum/2.0.0"}}"#,
            PoolDialect::EthereumStratum2,
        ),
        (
            Other,
            r#"{"id":null,"method":"mining.set_target","params":["0007ffff"]}"#,
            PoolDialect::Zcash,
        ),
        (
            Own,
            r#"{"id":1,"method":"\u006dining.subscribe","params":[]}"#,
            PoolDialect::Stratum,
        ),
    ];

    /// What others say first, on connections on which nobody mines.
    const BENIGN: [(End, &[u8]); 21] = [
        (
            Own,
            b"GET /docs?q={\"method\":\"mining.subscribe\",\"params\":[]} HTTP/1.1\r\nHost: example.org\r\n\r\n",
        ),
        (
            Own,
            b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 64\r\n\r\n{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"bfgminer/5.5.0\"]}",
        ),
        (
            Other,
            b"HTTP/1.1 200 OK\r\n\r\n{\"id\":1,\"method\":\"mining.notify\",\"params\":[]}",
        ),
        (
            Own,
            br#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":83}"#,
        ),
        (Other, br#"{"jsonrpc":"2.0","id":83,"result":"0x4b7"}"#),
        (
            Own,
            br#"{"id":0,"method":"server.version","params":["electrum/4.5","1.4"]}"#,
        ),
        (
            Own,
            br#"{"jsonrpc":"2.0","id":1,"method":"blockchain.scripthash.subscribe","params":["8b01"]}"#,
        ),
        (
            Other,
            br#"{"jsonrpc":"2.0","id":1,"result":{"height":520481,"hex":"00000020"}}"#,
        ),
        (
            Own,
            b"Content-Length: 52\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\"}",
        ),
        (
            Own,
            br#"{"message":"he wrote {\"method\":\"mining.subscribe\",\"params\":[]} there","id":1}"#,
        ),
        (
            Own,
            br#"{"id":7,"method":"log","params":["mining.subscribe","mining.notify"]}"#,
        ),
        (
            Own,
            br#"{"id":7,"method":"search","params":{"method":"mining.subscribe","id":1}}"#,
        ),
        (
            Own,
            br#"{"id":1,"method":"login","params":{"user":"ada","password":"x"}}"#,
        ),
        (Own, br#"{"target":"x","blob":"y"}"#),
        (Own, br#"{"id":1,"method":"login","login":"ada","pass":"x"}"#),
        (Other, br#"{"id":1,"target":"x","blob":"y","job_id":"z"}"#),
        (Other, br#"{"method":"mining.notify","text":"what pools call"}"#),
        (Own, br#"[{"id":1},"method","mining.subscribe"]"#),
        (
            Own,
            b"\xf9\xbe\xb4\xd9version\0\0\0\0\0mining.subscribe",
        ),
        (
            Own,
            b"NICK ada\r\nPRIVMSG #mining :{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\r\n",
        ),
        (Other, b"220 mail.example ESMTP\r\n"),
    ];

    #[test]
    fn who_mines_is_recognised_in_every_dialect_and_told_once() {
        let place = Place::new("dialects");
        let kernel = kernel(&place, Mode::Observe);
        let mut workload = workload(&place);
        for version in [4, 6] {
            for (end, text, dialect) in MINING {
                connect(&mut workload, version);
                said(&mut workload, end, &[text.as_bytes()]);
                said(&mut workload, end, &[text.as_bytes()]);
                let told = events(&kernel);
                assert_eq!(told.len(), 1, "{text}");
                let event = &told[0];
                assert_eq!(
                    (event.dialect, event.sender.denied),
                    (dialect, false),
                    "{text}"
                );
                assert_eq!(event.sent, end == Own, "{text}");
                let address = if version == 4 { "10.1.0.1" } else { "fd01::1" };
                assert_eq!(event.sender.destination.to_string(), {
                    let address = address.parse::<std::net::IpAddr>().expect("an address");
                    format!("tcp {}", std::net::SocketAddr::from((address, 3333)))
                });
                assert_eq!(event.sender.comm, "python3");
                assert_eq!(event.sender.cgroup_id, id_of(&place.group("box")));
                let begins = |message: &str| message.starts_with('{') && message.len() <= 128;
                assert!(
                    begins(&String::from_utf8_lossy(&event.message)),
                    "{event:?}"
                );
            }
        }
        assert_eq!(counters(&kernel).pool_denied, 0);
    }

    #[test]
    fn who_does_not_mine_is_left_alone() {
        let place = Place::new("benign");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        for (end, text) in BENIGN {
            connect(&mut workload, 4);
            said(&mut workload, end, &[text]);
            let answers = if end == Own { Other } else { Own };
            said(&mut workload, answers, &[b"{\"id\":1}\n"]);
            // Whoever has begun with something else may say what miners say.
            if !text.starts_with(b"{") {
                said(&mut workload, end, &[SUBSCRIBE.as_bytes()]);
            }
            let text = String::from_utf8_lossy(text);
            assert_eq!(counters(&kernel).pool_events, 0, "{text}");
        }
    }

    #[test]
    fn a_socket_that_is_connected_again_is_read_again() {
        let place = Place::new("again");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        connect(&mut workload, 4);
        said(&mut workload, Own, &[b"GET / HTTP/1.1\r\n\r\n"]);
        said(&mut workload, Other, &[b"HTTP/1.1 200 OK\r\n\r\n"]);
        for expected in 1..=2 {
            workload.all(&[
                ("disconnect own", "ok"),
                ("connect own 10.1.0.1 3333", "ok"),
                ("accept v4 other", "ok"),
            ]);
            // What was not said to its end on the connection before is not gone on with.
            let (one, two) = SUBSCRIBE.as_bytes().split_at(30);
            say(&mut workload, Own, &[one, two]);
            assert_eq!(counters(&kernel).pool_events, expected);
        }
        workload.all(&[
            ("disconnect own", "ok"),
            ("connect own 10.1.0.1 3333", "ok"),
            ("accept v4 other", "ok"),
        ]);
        said(&mut workload, Own, &[b"hello\n"]);
        assert_eq!(counters(&kernel).pool_events, 2);
    }

    #[test]
    fn a_pool_that_bears_with_nonsense_tells_by_its_answers() {
        let place = Place::new("nonsense");
        let kernel = kernel(&place, Mode::Observe);
        let mut workload = workload(&place);
        connect(&mut workload, 4);
        said(&mut workload, Own, &[b"hello\n", SUBSCRIBE.as_bytes()]);
        let error = br#"{"id":0,"result":null,"error":[20,"Parse error",null]}"#;
        said(&mut workload, Other, &[error, b"\n"]);
        assert_eq!(counters(&kernel).pool_events, 0);
        said(&mut workload, Other, &[MINING[6].1.as_bytes()]);
        assert_eq!(counters(&kernel).pool_events, 1);
    }

    #[test]
    fn it_does_not_matter_where_segments_end() {
        let place = Place::new("segments");
        let kernel = kernel(&place, Mode::Observe);
        let mut workload = workload(&place);
        let mut expected = 0;
        for text in [SUBSCRIBE, LOGIN] {
            let bytes = text.as_bytes();
            for at in 1..bytes.len() {
                connect(&mut workload, 4);
                said(&mut workload, Own, &[&bytes[..at], &bytes[at..]]);
                expected += 1;
                assert_eq!(counters(&kernel).pool_observed, expected, "{text} at {at}");
            }
            connect(&mut workload, 4);
            let each: Vec<&[u8]> = bytes.chunks(1).collect();
            said(&mut workload, Own, &each);
            connect(&mut workload, 4);
            said(&mut workload, Other, &each);
            expected += 2;
            assert_eq!(
                counters(&kernel).pool_observed,
                expected,
                "{text} byte by byte"
            );
        }
    }

    #[test]
    fn what_is_said_late_in_a_connection_is_not_looked_into() {
        let place = Place::new("late");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        let other = format!("{{\"id\":1,\"text\":\"{}\"}}\n", "x".repeat(1000));
        connect(&mut workload, 4);
        said(
            &mut workload,
            Own,
            &[other.as_bytes(), &SUBSCRIBE.as_bytes()[..20]],
        );
        assert_eq!(counters(&kernel).pool_events, 0);
        connect(&mut workload, 4);
        for _ in 0..3 {
            said(&mut workload, Own, &[other.as_bytes()]);
        }
        let looked_into = counters(&kernel).pool_checked;
        for _ in 0..10 {
            said(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
        }
        assert_eq!(counters(&kernel).pool_events, 0);
        assert_eq!(counters(&kernel).pool_checked, looked_into);
    }

    #[test]
    fn what_is_recognised_is_cut_with_the_packet_that_told_it() {
        let place = Place::new("cut");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        for end in [Own, Other] {
            let before = counters(&kernel);
            connect(&mut workload, 4);
            let (one, two) = SUBSCRIBE.split_at(10);
            said(&mut workload, end, &[one.as_bytes()]);
            say(&mut workload, end, &[two.as_bytes()]);
            let (to, back) = if end == Own {
                ("other", "own")
            } else {
                ("own", "other")
            };
            workload.all(&[
                (&format!("hear {to} 1"), "TimeoutError"),
                (&format!("send {to} more"), "ok"),
                (&format!("hear {back} 1"), "TimeoutError"),
            ]);
            let after = counters(&kernel);
            assert_eq!(after.pool_events, before.pool_events + 1);
            assert!(after.pool_denied > before.pool_denied + 1, "{after:?}");
            assert_eq!(after.pool_observed, 0);
        }
        let denied: Vec<bool> = events(&kernel)
            .iter()
            .map(|event| event.sender.denied)
            .collect();
        assert_eq!(denied, [true, true]);
    }

    #[test]
    fn beside_the_workload_and_while_switched_off_nobody_looks() {
        let place = Place::new("beside");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        for cell in [Cell::OffAll, Cell::OffPool] {
            connect(&mut workload, 4);
            kernel.cells().set(cell, u64::MAX).expect("the cell");
            said(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
            kernel.cells().set(cell, 0).expect("the cell");
            // Nobody knows any more where its messages begin.
            said(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
            assert_eq!(counters(&kernel).pool_events, 0);
        }
        workload.all(&[(&format!("move {}", place.group("beside").display()), "ok")]);
        connect(&mut workload, 4);
        said(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
        assert_eq!(counters(&kernel).pool_events, 0);
        workload.all(&[(&format!("move {}", place.group("box").display()), "ok")]);
        connect(&mut workload, 4);
        say(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
        assert_eq!(counters(&kernel).pool_events, 1);
    }

    #[test]
    fn once_the_lease_has_run_out_it_is_only_observed_and_a_sign_of_life_cuts_it() {
        let place = Place::new("lease");
        let kernel = kernel(&place, Mode::Enforce);
        let mut workload = workload(&place);
        kernel.cells().set(Cell::Heartbeat, 1).expect("the cell");
        kernel.cells().set(Cell::Lease, 1).expect("the cell");
        connect(&mut workload, 4);
        said(&mut workload, Own, &[SUBSCRIBE.as_bytes()]);
        let expired = counters(&kernel);
        assert_eq!((expired.pool_observed, expired.pool_lease_expired), (1, 1));
        assert_eq!(expired.pool_denied, 0);
        kernel.cells().set(Cell::Lease, 0).expect("the cell");
        say(&mut workload, Own, &[b"{}"]);
        assert!(counters(&kernel).pool_denied > 0);
    }

    #[test]
    fn a_pool_in_the_workload_is_told_with_whoever_listens() {
        let place = Place::new("listener");
        let kernel = kernel(&place, Mode::Observe);
        let mut workload = Workload::new(&place.group("box"));
        workload.all(&[
            ("listen v4 SOCK_STREAM 10.1.0.1 3333", "ok"),
            (&format!("move {}", place.group("beside").display()), "ok"),
        ]);
        connect(&mut workload, 4);
        said(&mut workload, Own, &[LOGIN.as_bytes()]);
        let told = events(&kernel);
        assert_eq!(told.len(), 1);
        assert!(!told[0].sent && told[0].sender.pid != 0, "{told:?}");
    }
}
