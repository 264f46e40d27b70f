//! What a host in the internet lives with and what is no scan: nobody is banned for it.

#[cfg(test)]
mod tests {
    use hayward_tests::{FRONT, Front};
    use serde_json::Value;

    /// Clients that do no harm, in the internet: how much of what they wanted they got.
    fn clients(front: &Front, line: &str) -> u32 {
        let folder = env!("CARGO_MANIFEST_DIR");
        let out = front.there(&format!("exec python3 {folder}/front/clients.py {line}"));
        let said = String::from_utf8_lossy(&out.stdout);
        said.trim().parse().unwrap_or_else(|_| panic!("{out:?}"))
    }

    fn nobody_is_banned(front: &Front) {
        assert_eq!(front.bans(), Vec::<Value>::new());
        assert!(front.counter("inbound_contacts") > 0);
    }

    #[test]
    fn ten_thousand_connections_of_one_address_are_a_web_front_end() {
        let front = Front::guarding("ban: 1h");
        let server = front.serve(&[8080]);
        let made = clients(&front, &format!("web {FRONT} 8080 10000"));
        assert!(made >= 9_900, "{made} connections were made");
        nobody_is_banned(&front);
        assert!(front.reaches("203.0.113.1", 8080));
        drop(server);
    }

    #[test]
    fn who_guesses_at_one_port_and_who_checks_many_that_are_served_scan_not() {
        let ports: Vec<u16> = (9_001..=9_020).collect();
        let front = Front::guarding("ban: 1h");
        let server = front.serve(&[&[2_222], ports.as_slice()].concat());
        assert_eq!(clients(&front, &format!("login {FRONT} 2222 500")), 500);
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        let checked = clients(&front, &format!("check {FRONT} 10 {}", list.join(" ")));
        assert_eq!(checked, 200);
        nobody_is_banned(&front);
        drop(server);
    }

    #[test]
    fn many_high_ports_that_answer_are_passive_ftp() {
        let ports: Vec<u16> = (0..200).map(|number| 50_000 + number * 7).collect();
        let front = Front::guarding("ban: 1h");
        let server = front.serve(&ports);
        let list: Vec<String> = ports.iter().map(u16::to_string).collect();
        let reached = clients(&front, &format!("check {FRONT} 1 {}", list.join(" ")));
        assert_eq!(reached, 200);
        nobody_is_banned(&front);
        drop(server);
    }

    #[test]
    fn backscatter_peers_and_pings_are_no_scans() {
        let front = Front::guarding("soft_ban: 1h");
        // Somebody attacks others in this host's name, and they answer: from one port to many of this host.
        for last in 41..=45 {
            for flags in ["-S -A", "-R", "-R -A"] {
                front.there(&format!(
                    "exec hping3 -q {flags} -a 203.0.113.{last} -s 80 -k -p ++1024 -i u200 -c 100 {FRONT}"
                ));
            }
        }
        assert_eq!(front.bans(), Vec::<Value>::new());
        assert_eq!(clients(&front, &format!("datagrams {FRONT} 6881 500")), 500);
        let before = front.counter("inbound_contacts");
        for last in 1..=20 {
            front.there(&format!(
                "exec hping3 -q -1 -a 203.0.113.{last} -c 3 -i u10000 {FRONT}"
            ));
        }
        // Its echoes reach who has the address, which is not where hping3 listens: that they came is seen here.
        let pinged = front.counter("inbound_contacts") - before;
        assert!(pinged >= 20, "{pinged} were counted");
        nobody_is_banned(&front);
    }

    #[test]
    fn a_flood_of_made_up_sources_at_a_port_that_is_served_bans_nobody() {
        let front = Front::guarding("soft_ban: 1h");
        let server = front.serve(&[8080]);
        front.there(&format!(
            "exec hping3 -q -S --rand-source -p 8080 -i u50 -c 100000 {FRONT}"
        ));
        nobody_is_banned(&front);
        assert!(front.counter("inbound_contacts") > 50_000);
        assert!(front.reaches("203.0.113.40", 8080));
        drop(server);
    }
}
