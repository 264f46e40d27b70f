//! cryptnono's limit on different destinations, as a profile of the guard `outbound`.

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hayward_tests::{Host, NetworkWorkload};

    /// An agent with these settings of the guard, and a workload among many hosts that answer.
    fn guarding(settings: &str) -> (Host, NetworkWorkload) {
        let host = Host::new().guarding("outbound", settings);
        let workload = workload(&host);
        (host, workload)
    }

    fn workload(host: &Host) -> NetworkWorkload {
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("own 11.4.0.1/16", "ok"),
            ("own 10.4.0.1/16", "ok"),
            ("serve 80", "ok"),
        ]);
        workload
    }

    /// A program that connects to all of these, once each.
    fn connects(to: &str) -> String {
        format!("run nmap -sT -Pn -n --max-retries 0 -p80 {to}")
    }

    #[test]
    fn who_connects_to_more_than_fifteen_is_killed() {
        let (host, mut workload) = guarding("{profile: flowkiller}");
        workload.all(&[
            (&connects("11.4.0.1-15"), "0"),
            // Each process counts for itself, and private addresses do not.
            (&connects("11.4.0.1-15"), "0"),
            (&connects("10.4.0.1-40"), "0"),
        ]);
        assert!(host.records("killed").is_empty());
        workload.does("sweep 11.4.0. 1 16 80");
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["guard"], "outbound", "{record}");
        assert_eq!(record["process"]["comm"], "python3", "{record}");
        let scan = &record["evidence"]["scan"];
        assert_eq!(scan["limit"], "unique-destinations", "{record}");
        assert_eq!(
            (&scan["by_process"], &scan["contacts"]),
            (&true.into(), &16.into())
        );
        assert!(
            record["reason"]
                .as_str()
                .is_some_and(|text| text.contains("than settings allow"))
        );
        // Another process of its cgroup, to whose contacts nothing is new.
        let mut again = self::workload(&host);
        again.does("sweep 11.4.0. 1 16 80");
        host.wait_for_records("killed", 2);
    }

    #[test]
    fn what_is_longer_ago_than_the_lookback_does_not_count() {
        let lookback = Duration::from_secs(4);
        let settings =
            "{profile: flowkiller, response: deny, unique_destinations: 10, lookback: 4s}";
        let (host, mut workload) = guarding(settings);
        let began = Instant::now();
        assert_eq!(workload.does("sweep 11.4.0. 1 10 80"), "ok:10");
        assert_eq!(workload.does("sweep 11.4.0. 9 12 80"), "EPERM:2,ok:2");
        assert!(
            began.elapsed() < lookback,
            "this machine is too slow to tell"
        );
        let began = Instant::now();
        host.wait_until("a later time", || began.elapsed() > lookback);
        assert_eq!(workload.does("sweep 11.4.0. 21 31 80"), "EPERM:1,ok:10");
        // Another port is another destination, and so is one of IPv6, which leads nowhere here.
        assert_eq!(workload.does("scan 11.4.0.21 80 81"), "EPERM:1,ok:1");
        assert_eq!(workload.does("sweep 2a00:1450:4001:: 1 2 443"), "EPERM:2");
        let records = host.wait_for_records("denied", 2);
        assert_eq!(records[0]["response"], "deny", "{records:?}");
    }

    #[test]
    fn observing_kills_nobody_and_records() {
        let (host, mut workload) = guarding("{mode: observe, profile: flowkiller}");
        assert_eq!(workload.does(&connects("11.4.0.1-40")), "0");
        let records = host.wait_for_records("observed", 1);
        assert_eq!(
            records[0]["evidence"]["scan"]["limit"], "unique-destinations",
            "{records:?}"
        );
        assert!(host.records("killed").is_empty());
    }
}
