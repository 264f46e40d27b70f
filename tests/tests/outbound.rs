//! Port scans that leave, by real tools through the built binary.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hayward_tests::{Host, NetworkWorkload};

    /// An agent with these settings of the guard.
    fn guarding(settings: &str) -> Host {
        Host::new().guarding("outbound", settings)
    }

    #[test]
    fn a_scan_is_stopped_and_recorded_and_an_operator_lets_it_go_on() {
        let host = guarding("{}");
        let status = host.status();
        assert_eq!(
            status["guards"]["outbound"]["status"], "enforcing",
            "{status}"
        );
        let cgroup = host
            .inside
            .join("docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
        std::fs::create_dir(&cgroup).expect("a cgroup");
        let mut workload = NetworkWorkload::new(&cgroup);
        // Nothing on this host routes these.
        assert_eq!(
            workload.does("scan 10.1.0.1 1 20"),
            "ECONNREFUSED:3,EPERM:17"
        );
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["guard"], "outbound", "{record}");
        assert_eq!(record["process"]["comm"], "python3");
        let scan = &record["evidence"]["scan"];
        assert_eq!(scan["limit"], "unanswered", "{record}");
        assert_eq!(
            (&scan["contacts"], &scan["refused"]),
            (&3.into(), &3.into())
        );
        let named = scan["destinations"].as_array().map(Vec::len);
        assert_eq!(named, Some(3), "{record}");
        assert_eq!(
            record["workload"]["container_id"].as_str().map(str::len),
            Some(64)
        );
        let said = host.hayward(&["release", "0123456789ab"]).ok();
        assert!(said.out.contains("in touch with others again"), "{said:?}");
        assert_eq!(workload.does("scan 10.1.0.1 31 32"), "ECONNREFUSED:2");
        let said = host.hayward(&["release", "0123456789ab"]).ok();
        assert!(said.out.contains("nothing to do"), "{said:?}");
    }

    #[test]
    fn what_was_decided_holds_while_the_agent_is_dead_and_after_it() {
        let mut host = guarding("{}");
        let mut workload = NetworkWorkload::new(&host.inside);
        assert_eq!(workload.does("scan fd01::1 1 9"), "ECONNREFUSED:3,EPERM:6");
        host.kill_agent();
        assert_eq!(workload.does("scan fd01::1 11 19"), "EPERM:9");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        assert_eq!(workload.does("scan fd01::1 21 29"), "EPERM:9");
        host.hayward(&["off", "--guard", "outbound"]).ok();
        assert_eq!(workload.does("scan fd01::1 31 39"), "ECONNREFUSED:9");
    }

    #[test]
    fn observing_stops_nothing_and_records() {
        let host = guarding("observe");
        let mut workload = NetworkWorkload::new(&host.inside);
        assert_eq!(workload.does("scan 10.1.0.1 1 20"), "ECONNREFUSED:20");
        let record = host.wait_for_records("observed", 1).remove(0);
        assert_eq!(record["guard"], "outbound", "{record}");
    }

    #[test]
    fn who_gets_in_touch_with_many_that_answer_is_left_alone() {
        let host = guarding("{}");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("own 10.4.0.1/16", "ok"),
            ("serve 80", "ok"),
            ("serve 443", "ok"),
            // A crawler, of whose hosts some are dead.
            ("sweep 10.4.1. 1 250 80", "ok:250"),
            ("scan 10.4.1.1 81 82", "ECONNREFUSED:2"),
            ("sweep 10.4.2. 1 250 443", "ok:250"),
            ("scan 10.4.1.1 83 84", "ECONNREFUSED:2"),
            // A network without IPv6.
            ("sweep 2a00:1450:4001:: 1 250 443", "ENETUNREACH:250"),
        ]);
        // Sixty at once, as package installers do, a hundred times one that is dead, and a name server.
        for round in 10..16 {
            workload.all(&[(&format!("sweep 10.4.{round}. 1 60 80"), "ok:60")]);
        }
        workload.all(&[("scan 10.4.1.1 85 85", "ECONNREFUSED:1"); 100]);
        workload.all(&[
            ("listen names SOCK_DGRAM 10.4.0.1 53", "ok"),
            ("make a 4 SOCK_DGRAM", "ok"),
        ]);
        for _ in 0..200 {
            workload.all(&[
                ("send_to a question 10.4.0.1 53", "ok"),
                ("receive names", "question"),
                ("answer names answer", "ok"),
                ("receive a", "answer"),
            ]);
        }
        let status = host.status();
        let counters = &status["guards"]["outbound"]["counters"];
        assert!(
            counters["outbound_contacts"].as_u64() > Some(800),
            "{counters}"
        );
        assert_eq!(counters["outbound_paced"], 0, "{counters}");
        // The agent's own canary.
        assert_eq!(counters["outbound_denied"], 1, "{counters}");
        assert!(host.records("denied").is_empty());
    }

    /// How many others a scan by a real tool reaches, of whom none answers.
    fn reached_by(command: &str) -> u32 {
        let host = guarding("{}");
        let mut workload = NetworkWorkload::new(&host.inside);
        assert_eq!(workload.does("silence"), "ok");
        let ended = workload.does(&format!("run {command}"));
        assert!(ended.parse::<i32>().is_ok(), "{ended}");
        let reached = workload.does("sent").parse().expect("a number");
        println!("{command}: {reached}");
        assert!(reached > 0, "{command} sends something");
        reached
    }

    const FAST: &str = "-n -Pn -T5 --max-retries 0 --host-timeout 4s";

    #[test]
    fn no_scan_of_nmap_reaches_more_than_64_that_are_silent() {
        for kind in ["-sT", "-sS", "-sU", "-sF", "-sX", "-sN", "-sS -f"] {
            let reached = reached_by(&format!("nmap {kind} {FAST} -p1-200 8.8.1.1"));
            assert!(reached <= 64, "{kind}: {reached}");
        }
    }

    #[test]
    fn a_scan_that_is_refused_ends_after_five_and_one_that_hears_nothing_of_it_after_64() {
        for (kind, most) in [("-sT", 5), ("-sS", 64), ("-sF", 64), ("-sU", 64)] {
            let host = guarding("{}");
            let mut workload = NetworkWorkload::new(&host.inside);
            assert_eq!(workload.does("own 11.4.0.1/16"), "ok");
            let ended = workload.does(&format!("run nmap {kind} {FAST} -p1-200 11.4.0.1"));
            assert!(ended.parse::<i32>().is_ok(), "{ended}");
            let status = host.status();
            let contacts = &status["guards"]["outbound"]["counters"]["outbound_contacts"];
            println!("nmap {kind}, refused: {contacts}");
            assert!(
                contacts
                    .as_u64()
                    .is_some_and(|made| made > 0 && made <= most)
            );
            if kind == "-sT" {
                let record = host.wait_for_records("denied", 1).remove(0);
                assert_eq!(record["process"]["comm"], "nmap", "{record}");
            }
        }
    }

    #[test]
    fn no_scan_of_many_hosts_reaches_more_than_64_that_are_silent() {
        for command in [
            format!("nmap -sS {FAST} -p443 8.8.0.0/24"),
            format!("nmap -6 -sS {FAST} -p1-200 2a00:1450::1"),
            "nmap -sn -PE -n -T5 --max-retries 0 --host-timeout 4s 8.8.0.0/24".to_owned(),
            "hping3 --faster -q -c 300 -S -p ++1 8.8.1.1".to_owned(),
        ] {
            let reached = reached_by(&command);
            assert!(reached <= 64, "{command}: {reached}");
        }
    }

    #[test]
    fn a_slow_scan_is_found_by_its_silence_and_its_process_named() {
        let host = guarding("{}");
        let mut workload = NetworkWorkload::new(&host.inside);
        assert_eq!(workload.does("silence"), "ok");
        // Two and a half probes a second, until it gives up by itself.
        let command = "nmap -sT -n -Pn -T2 --max-rtt-timeout 300ms --max-retries 0 --host-timeout 50s -p1-200 8.8.1.1";
        assert_eq!(workload.does(&format!("run {command}")), "0");
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["process"]["comm"], "nmap", "{record}");
        assert_eq!(
            record["evidence"]["scan"]["limit"], "unanswered",
            "{record}"
        );
        let reached: u32 = workload.does("sent").parse().expect("a number");
        println!("{command}: {reached}");
        assert!(reached > 30 && reached <= 100, "{reached}");
    }

    #[test]
    fn a_silent_scan_that_has_ended_is_found_and_its_process_named() {
        let host = guarding("{}");
        let mut workload = NetworkWorkload::new(&host.inside);
        assert_eq!(workload.does("silence"), "ok");
        workload.does(&format!("run nmap -sT {FAST} -p1-200 8.8.1.1"));
        host.wait_for(Duration::from_secs(60), "a record", || {
            !host.records("denied").is_empty()
        });
        let record = host.records("denied").remove(0);
        assert_eq!(record["process"]["comm"], "nmap", "{record}");
        let scan = &record["evidence"]["scan"];
        assert_eq!(scan["limit"], "unanswered", "{record}");
        // Those that were made when a span of time had just begun still wait when the rest is known to be silent.
        let (silent, waiting) = (scan["silent"].as_u64(), scan["waiting"].as_u64());
        assert!(silent.is_some_and(|it| it >= 30), "{record}");
        let unanswered = silent
            .zip(waiting)
            .map(|(silent, waiting)| silent + waiting);
        assert_eq!(unanswered, Some(64), "{record}");
        let matched = record["matched"].as_str();
        assert!(
            matched.is_some_and(|it| it.starts_with("tcp 8.8.1.1:")),
            "{record}"
        );
    }
}
