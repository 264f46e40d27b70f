//! Scans against a host, by real tools, and what becomes of their sources: in two networks that the test makes.

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hayward_tests::{FRONT, FRONT_6, Front, Host, INTERFACE};
    use serde_json::Value;

    /// What nmap is told always: quick, and no more than is asked for.
    const NMAP: &str = "exec nmap -n -Pn -T5 --max-retries 0 --host-timeout 10s";

    /// KiB of memory that the agent has.
    fn resident(front: &Front) -> u64 {
        let agent = front.host.agent.as_ref().expect("an agent").id();
        let status = std::fs::read_to_string(format!("/proc/{agent}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a number").parse().expect("a number")
    }

    fn kinds(record: &Value) -> Vec<String> {
        let kinds = record["evidence"]["inbound"]["kinds"].as_array();
        let kinds = kinds.expect("kinds").iter();
        kinds
            .map(|kind| kind.as_str().expect("a word").to_owned())
            .collect()
    }

    #[test]
    fn every_kind_of_scan_is_found_and_its_source_is_stopped() {
        let front = Front::guarding("soft_ban: 1h");
        let scans = [
            ("203.0.113.10", "-sS", "syn"),
            ("203.0.113.11", "-sF", "fin"),
            ("203.0.113.12", "-sN", "null"),
            ("203.0.113.13", "-sX", "xmas"),
            ("203.0.113.14", "-sA", "ack"),
            ("203.0.113.15", "-sM", "ack"),
            ("203.0.113.16", "-sU", "udp"),
            ("203.0.113.17", "-sS -f", "fragment"),
            ("203.0.113.18", "-sS --scanflags SYNECECWR", "syn"),
        ];
        let running = scans.map(|(from, scan, _)| {
            front.there_meanwhile(&format!("{NMAP} {scan} -p1-100 -e out0 -S {from} {FRONT}"))
        });
        let six = front.there_meanwhile(&format!(
            "{NMAP} -6 -sS -p1-100 -e out0 -S 2001:db8:9:2::1 {FRONT_6}"
        ));
        // By sockets of its own.
        let connects = front.there_meanwhile(&format!("{NMAP} -sT -p1-100 {FRONT}"));
        for ((from, _, kind), scan) in scans.into_iter().zip(running) {
            let record = front.record_of(&format!("{from}/32"));
            assert_eq!(kinds(&record), [kind], "{record}");
            assert_eq!(record["action"], "banned", "{record}");
            let failed = record["evidence"]["inbound"]["failed"].as_u64();
            assert!(failed.is_some_and(|failed| failed <= 5), "{record}");
            let out = scan.finish();
            if kind == "syn" {
                // What was refused is told as closed, and nothing came of the rest.
                let closed = out.matches("/tcp closed").count();
                assert!(closed <= 4, "{out}");
            }
        }
        assert_eq!(kinds(&front.record_of("2001:db8:9:2::/64")), ["syn"]);
        assert_eq!(kinds(&front.record_of("203.0.113.1/32")), ["syn"]);
        drop((six, connects));
    }

    #[test]
    fn fast_scanners_are_stopped_where_they_begin() {
        let front = Front::guarding("soft_ban: 1h");
        let mac = front.mac();
        for (from, line) in [
            (
                "203.0.113.20",
                format!(
                    "exec masscan {FRONT} -p1-2000 --rate 20000 --wait 0 --source-ip 203.0.113.20 --interface out0 --router-mac {}",
                    mac.replace(':', "-")
                ),
            ),
            (
                "203.0.113.21",
                format!("exec hping3 -q -S -a 203.0.113.21 -p ++1 -i u100 -c 2000 {FRONT}"),
            ),
            (
                "203.0.113.22",
                format!("exec hping3 -q --udp -a 203.0.113.22 -p ++1 -i u100 -c 2000 {FRONT}"),
            ),
        ] {
            front.there(&line);
            let record = front.record_of(&format!("{from}/32"));
            assert_eq!(record["action"], "banned", "{line} {record}");
        }
        // One port of many addresses: the host answers for all of a range.
        front.must("ip route add local 198.51.100.128/25 dev lo");
        front.there(&format!(
            "exec zmap -q -e 1 -i out0 -G {mac} -S 203.0.113.23 -p 443 -c 0 -r 5000 -o /dev/null -b /dev/null 198.51.100.128/25"
        ));
        let record = front.record_of("203.0.113.23/32");
        assert_eq!(record["evidence"]["inbound"]["shape"], "horizontal");
        front.there(
            "exec nmap -n -sn -PE --disable-arp-ping -e out0 -S 203.0.113.24 198.51.100.128/25",
        );
    }

    #[test]
    fn whoever_connects_is_known_to_exist_and_banned_and_what_was_opened_here_goes_on() {
        let front = Front::guarding("ban: 1h");
        let server = front.serve(&[8080]);
        assert!(front.reaches("203.0.113.1", 8080));
        let listener = front.there_meanwhile(&format!(
            "exec python3 {}/front/serve.py 9090",
            env!("CARGO_MANIFEST_DIR")
        ));
        front.there(&format!("{NMAP} -sT -p8000-8070 {FRONT}"));
        let record = front.record_of("203.0.113.1/32");
        assert_eq!(record["evidence"]["inbound"]["proven"], true, "{record}");
        assert!(!front.reaches("203.0.113.1", 8080), "it is banned");
        assert!(front.reaches("203.0.113.2", 8080), "another is not");
        let ban = &front.bans()[0];
        assert_eq!(ban["strength"], "full", "{ban}");
        // The host opens a connection to who is banned.
        front.host.wait_until("an answer", || {
            let out = front.here(&format!(
                "exec python3 {}/front/reach.py {FRONT} 203.0.113.1 9090",
                env!("CARGO_MANIFEST_DIR")
            ));
            out.status.success()
        });
        drop((server, listener));
    }

    #[test]
    fn decoys_are_not_banned_and_who_connects_among_them_is() {
        let front = Front::guarding("soft_ban: 1h");
        let server = front.serve(&[8080, 8081]);
        let decoys = "203.0.113.30,203.0.113.31,192.0.2.77";
        front.there(&format!(
            "{NMAP} -sS -sV --version-light -p1-100,8080,8081 -e out0 -S 203.0.113.1 -D {decoys},ME {FRONT}"
        ));
        let record = front.record_of("203.0.113.30/32");
        assert_eq!(record["evidence"]["inbound"]["decoys"], true, "{record}");
        let banned: Vec<String> = front
            .bans()
            .iter()
            .map(|ban| ban["net"].as_str().unwrap_or_default().to_owned())
            .collect();
        for decoy in decoys.split(',') {
            let net = format!("{decoy}/32");
            assert!(!banned.contains(&net), "{banned:?}");
        }
        assert!(front.reaches("203.0.113.30", 8080), "a decoy is served");
        drop(server);
    }

    #[test]
    fn a_flood_of_made_up_sources_bans_nobody_and_the_web_goes_on() {
        let front = Front::guarding("failures: 20");
        let server = front.serve(&[8080]);
        let before = resident(&front);
        let flood = "exec hping3 -q -S --rand-source -i u50 -c 200000 -p 8080";
        let flood = front.there_meanwhile(&format!("{flood} {FRONT}"));
        front
            .host
            .wait_until("a flood", || front.counter("inbound_contacts") > 5_000);
        assert!(front.reaches("203.0.113.40", 8080));
        assert_eq!(front.bans(), Vec::<Value>::new());
        // And a scan in the midst of it is found.
        front.there(&format!(
            "{NMAP} -sS -p1-100 -e out0 -S 203.0.113.41 {FRONT}"
        ));
        front.record_of("203.0.113.41/32");
        assert!(front.reaches("203.0.113.40", 8080));
        let banned = front.bans();
        assert_eq!(banned.len(), 1, "{banned:?}");
        flood.finish();
        // Whatever their number, they are the kernel's, in a table of a fixed size.
        let growth = resident(&front).saturating_sub(before);
        assert!(growth < 5 << 10, "{growth} KiB");
        drop(server);
    }

    #[test]
    fn bans_by_hand_hold_at_once_and_beat_a_firewall_and_end() {
        let mut front = Front::guarding("ban: 1h");
        let server = front.serve(&[8080]);
        front.must("iptables -I INPUT -s 203.0.113.0/24 -j ACCEPT");
        let hayward = |front: &Front, arguments: &[&str]| front.host.hayward(arguments).ok();
        assert!(front.reaches("203.0.113.5", 8080));
        let begun = Instant::now();
        hayward(&front, &["bans", "add", "203.0.113.4/31", "--for", "1h"]);
        let took = begun.elapsed();
        assert!(!front.reaches("203.0.113.5", 8080));
        assert!(front.reaches("203.0.113.6", 8080));
        assert!(took < Duration::from_secs(1), "{took:?}");
        let why = hayward(&front, &["bans", "why", "203.0.113.5", "--json"]).out;
        assert!(why.contains("203.0.113.4/31"), "{why}");
        // An own address is none to ban.
        let own = front.host.hayward(&["bans", "add", FRONT]);
        assert!(own.code != 0 && own.err.contains("own address"), "{own:?}");
        // It holds while there is no agent, and with the next one.
        front.host.kill_agent();
        assert!(!front.reaches("203.0.113.5", 8080));
        front.spawn();
        front.host.wait_for_proof("inbound");
        assert!(!front.reaches("203.0.113.5", 8080));
        assert_eq!(front.bans().len(), 1);
        hayward(&front, &["bans", "remove", "203.0.113.4/31"]);
        assert!(front.reaches("203.0.113.5", 8080));
        // To the second.
        hayward(&front, &["bans", "add", "203.0.113.5", "--for", "2s"]);
        let begun = Instant::now();
        assert!(!front.reaches("203.0.113.5", 8080));
        front.host.wait_until("it ends", || front.bans().is_empty());
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert!(front.reaches("203.0.113.5", 8080));
        front.host.wait_until("the log says so", || {
            front
                .host
                .log()
                .contains("banned no more, since the time is over: 203.0.113.5")
        });
        drop(server);
    }

    #[test]
    fn xdp_of_others_is_not_replaced_and_interfaces_may_come_later() {
        let mut front = Front::new();
        front.host.list_guard(
            "inbound",
            &format!("{{interfaces: [{INTERFACE}, later0], attach: generic}}"),
        );
        front.spawn();
        let status = |front: &Front| {
            let status = front.host.hayward(&["status", "--json"]);
            (status.code == 0).then(|| status.json()["guards"]["inbound"].clone())
        };
        front.host.wait_until("it waits for one", || {
            status(&front).is_some_and(|guard| {
                guard["status"] == "degraded" && guard.to_string().contains("later0")
            })
        });
        front.must("ip link add later0 type veth peer name later1 && ip link set later0 up");
        front.host.wait_until("both are looked at", || {
            status(&front).is_some_and(|guard| guard["status"] == "enforcing")
        });
        let links = front.must("ip -d link show");
        assert_eq!(links.matches("xdpgeneric").count(), 2, "{links}");
        front.there(&format!(
            "{NMAP} -sS -p1-200 -e out0 -S 203.0.113.50 {FRONT}"
        ));
        front.record_of("203.0.113.50/32");
    }

    #[test]
    fn a_program_of_somebody_elses_is_not_replaced() {
        // Of a test's own too: another agent's, with other pins.
        let mut front = Front::new();
        let generic = format!("{{interfaces: [{INTERFACE}], attach: generic}}");
        front.host.list_guard("inbound", &generic);
        front.spawn();
        front.host.wait_for_proof("inbound");
        let mut second = Host::new();
        second.list_guard("inbound", &generic);
        front.spawn_another(&mut second);
        second.wait_until("it finds it taken", || {
            let status = second.hayward(&["status", "--json"]);
            status.code == 0 && {
                let guard = status.json()["guards"]["inbound"].to_string();
                guard.contains("not replaced") && guard.contains("attach: tc")
            }
        });
        // The first one's still works.
        front.there(&format!(
            "{NMAP} -sS -p1-100 -e out0 -S 203.0.113.51 {FRONT}"
        ));
        front.record_of("203.0.113.51/32");
    }
}
