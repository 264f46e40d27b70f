//! What no host sends, over a wire: the agent lives, the host serves others, and nobody is banned for what a host would drop.

#[cfg(test)]
mod tests {
    use hayward_tests::{FRONT, FRONT_6, Front, INTERFACE};
    use serde_json::Value;

    #[test]
    fn malformed_packets_harm_nobody_and_are_counted() {
        let front = Front::guarding("soft_ban: 1h");
        let server = front.serve(&[8080]);
        let hardware = front.must(&format!(
            "ip -o link show dev {INTERFACE} | sed 's/.*ether //; s/ .*//'"
        ));
        let before = front.counter("inbound_contacts");
        // Debian's own interpreter has Debian's scapy.
        let sent = front.there(&format!(
            "exec /usr/bin/python3 {}/front/malformed.py {FRONT} {FRONT_6} {} out0",
            env!("CARGO_MANIFEST_DIR"),
            hardware.trim()
        ));
        let said = String::from_utf8_lossy(&sent.stdout).into_owned();
        assert!(sent.status.success(), "python3-scapy: {sent:?}");
        assert_eq!(said.lines().count(), 18, "{said}");
        // Of each source three packets are too few for a ban, so one for them would be for what was misread.
        assert_eq!(front.bans(), Vec::<Value>::new());
        let seen = front.counter("inbound_contacts") - before;
        // Options, fragments of two kinds, two kinds of tags, extensions: each is a first contact with the port that is served.
        assert!((6..=18).contains(&seen), "{seen} contacts of {said}");
        assert_eq!(front.counter("inbound_lost"), 0);
        for from in ["203.0.113.1", "203.0.113.40", "2001:db8:9:1::1"] {
            assert!(front.reaches(from, 8080), "{from} is served");
        }
        front.host.wait_for_proof("inbound");
        drop(server);
    }

    /// Runs a program of `tests/front` on the internet, which gets these and the host's hardware address.
    fn play(front: &Front, program: &str, target: &str, which: &str) {
        let hardware = front.must(&format!(
            "ip -o link show dev {INTERFACE} | sed 's/.*ether //; s/ .*//'"
        ));
        let sent = front.there(&format!(
            "exec /usr/bin/python3 {}/front/{program}.py {target} {} out0 {which}",
            env!("CARGO_MANIFEST_DIR"),
            hardware.trim()
        ));
        assert!(sent.status.success(), "python3-scapy: {sent:?}");
    }

    #[test]
    fn a_scan_behind_long_chains_of_headers_is_found_and_one_behind_many_does_not_come_in() {
        let front = Front::guarding("soft_ban: 1h");
        front.must(&format!("ip link set dev {INTERFACE} mtu 9000"));
        let set = front.there("ip link set dev out0 mtu 9000");
        assert!(set.status.success(), "{set:?}");
        play(&front, "long_chain", FRONT_6, "many");
        front.host.wait_until("all of them are dropped", || {
            front.counter("inbound_dropped") >= 12
        });
        assert_eq!(front.bans(), Vec::<Value>::new());
        play(&front, "long_chain", FRONT_6, "long");
        let record = front.record_of("2001:db8:9:5::/64");
        assert_eq!(record["action"], "banned", "{record}");
    }

    #[test]
    fn a_scan_in_malformed_packets_is_one() {
        let front = Front::guarding("soft_ban: 1h");
        // Tags, options and fragments hide no scan.
        play(&front, "hidden_scan", FRONT, "");
        for last in 51..=53 {
            let record = front.record_of(&format!("203.0.113.{last}/32"));
            assert_eq!(record["action"], "banned", "{record}");
        }
    }
}
