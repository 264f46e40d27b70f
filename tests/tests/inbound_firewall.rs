//! Bans in firewalls: in sets of nftables and ipset that an operator has made, and in a table of the agent's own. All in a network
//! of the test's own.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hayward_tests::{FRONT, Front, INTERFACE};

    const SET: &str = "nft add table inet filter && nft add set inet filter banned '{ type ipv4_addr; flags interval, timeout; }'";
    const SETS: [&str; 2] = ["nft list set inet filter banned", "ipset save banned"];
    const NMAP: &str = "exec nmap -n -Pn -T4 --max-retries 1 --host-timeout 20s";
    const OUTPUTS: &str = "outputs: [{nftables: \"inet filter banned\"}, {ipset: banned}]";

    fn hayward(front: &Front, arguments: &[&str]) {
        front.host.hayward(arguments).ok();
    }

    /// Whether each of the sets names this.
    fn are_in_sets(front: &Front, text: &str) -> bool {
        SETS.iter().all(|list| front.must(list).contains(text))
    }

    fn is_in_a_set(front: &Front, text: &str) -> bool {
        SETS.iter().any(|list| front.must(list).contains(text))
    }

    fn start(front: &mut Front, settings: &str) {
        let settings = format!("{{interfaces: [{INTERFACE}], {settings}}}");
        front.host.list_guard("inbound", &settings);
        front.spawn();
    }

    /// A kernel without ipset cannot show what becomes of it: this one has it or the test fails, rather than pass and say nothing.
    fn with_sets() -> Front {
        let front = Front::new();
        front.must(SET);
        front.must("ipset create banned hash:net timeout 0 comment");
        front
    }

    #[test]
    fn bans_are_entered_in_the_operators_sets_with_their_times_and_taken_out() {
        let mut front = with_sets();
        front.must("nft add element inet filter banned '{ 192.0.2.99 }'");
        front.must("ipset add banned 192.0.2.99");
        start(&mut front, OUTPUTS);
        front.host.wait_for_proof("inbound");
        // Of who scans, for the time of a soft ban, since its address may be made up.
        front.there(&format!(
            "{NMAP} -sS -p1-200 -e out0 -S 203.0.113.10 {FRONT}"
        ));
        front.record_of("203.0.113.10/32");
        front.host.wait_until("the scanner is in both", || {
            are_in_sets(&front, "203.0.113.10")
        });
        hayward(&front, &["bans", "add", "203.0.113.20", "--for", "2h"]);
        hayward(&front, &["bans", "add", "198.51.100.64/28"]);
        front.host.wait_until("they are in both", || {
            are_in_sets(&front, "203.0.113.20") && are_in_sets(&front, "198.51.100.64/28")
        });
        let nft = front.must(SETS[0]);
        assert!(
            nft.contains("203.0.113.20 timeout 2h expires 1h59m5"),
            "{nft}"
        );
        let ipset = front.must(SETS[1]);
        assert!(
            ipset.contains("add banned 203.0.113.20 timeout 719"),
            "{ipset}"
        );
        assert!(
            ipset.contains("add banned 198.51.100.64/28 timeout 0"),
            "{ipset}"
        );
        // The same with another time.
        hayward(&front, &["bans", "add", "203.0.113.20", "--for", "3h"]);
        front.host.wait_until("it has the new time", || {
            front.must(SETS[0]).contains("203.0.113.20 timeout 3h")
        });
        hayward(&front, &["bans", "remove", "203.0.113.20"]);
        front
            .host
            .wait_until("it is in none", || !is_in_a_set(&front, "203.0.113.20"));
        // Where nothing is in force, nothing is entered; what others have put there stays.
        hayward(&front, &["off", "--guard", "inbound"]);
        front
            .host
            .wait_until("all of ours is gone", || !is_in_a_set(&front, "hayward"));
        assert!(are_in_sets(&front, "192.0.2.99"));
        hayward(&front, &["on", "--guard", "inbound"]);
        front.host.wait_until("it is there again", || {
            are_in_sets(&front, "198.51.100.64/28")
        });
    }

    #[test]
    fn after_a_kill_and_a_restart_sets_and_ledger_agree() {
        let mut front = with_sets();
        start(&mut front, OUTPUTS);
        front.host.wait_for_proof("inbound");
        hayward(
            &front,
            &["bans", "add", "203.0.113.20", "203.0.113.21", "--for", "2h"],
        );
        front.host.wait_until("they are in both", || {
            are_in_sets(&front, "203.0.113.20") && are_in_sets(&front, "203.0.113.21")
        });
        front.host.kill_agent();
        assert!(
            are_in_sets(&front, "203.0.113.20"),
            "they outlive the agent"
        );
        // Meanwhile one is lost, and one is there that nobody has banned.
        let lost = "nft delete element inet filter banned '{ 203.0.113.20 }'; ipset del banned 203.0.113.20";
        front.must(lost);
        let mark = front.must(SETS[1]);
        let mark = mark.split('"').nth(1).expect("a comment").to_owned();
        front.must(&format!(
            "nft add element inet filter banned '{{ 192.0.2.1 timeout 1h comment \"{mark}\" }}'; ipset add banned 192.0.2.1 comment {mark}"
        ));
        front.spawn();
        front.host.wait_for_proof("inbound");
        front.host.wait_until("they agree", || {
            are_in_sets(&front, "203.0.113.20")
                && are_in_sets(&front, "203.0.113.21")
                && !is_in_a_set(&front, "192.0.2.1 ")
        });
    }

    #[test]
    fn of_a_set_that_is_not_there_the_status_says_what_to_run_and_all_else_goes_on() {
        let mut front = Front::new();
        start(&mut front, OUTPUTS);
        front.host.wait_for_proof("inbound");
        let problems = |front: &Front| front.host.status()["problems"].to_string();
        front.host.wait_until("it is said", || {
            let problems = problems(&front);
            problems.contains(
                "nft add set inet filter banned '{ type ipv4_addr; flags interval, timeout; }'",
            ) && problems.contains("ipset create banned hash:net timeout 0 comment")
        });
        hayward(&front, &["bans", "add", "203.0.113.20"]);
        assert_eq!(front.bans().len(), 1);
        front.must(SET);
        front.must("ipset create banned hash:net timeout 0 comment");
        let patience = Duration::from_secs(30);
        front.host.wait_for(patience, "it is found", || {
            are_in_sets(&front, "203.0.113.20") && !problems(&front).contains("nft add set")
        });
    }

    /// Failures of an output, by the agent's metrics.
    fn failures(front: &Front, output: &str, cause: &str) -> u64 {
        front.series(&format!(
            "hayward_firewall_failures_total{{output=\"{output}\",cause=\"{cause}\"}}"
        ))
    }

    #[test]
    fn a_set_that_others_remove_is_counted_and_told_until_it_is_there_again() {
        let mut front = with_sets();
        start(&mut front, OUTPUTS);
        front.host.wait_for_proof("inbound");
        hayward(&front, &["bans", "add", "203.0.113.20", "--for", "2h"]);
        front
            .host
            .wait_until("it is in both", || are_in_sets(&front, "203.0.113.20"));
        let problems = |front: &Front| front.host.status()["problems"].to_string();
        assert!(!problems(&front).contains("not in step"));
        let outputs = ["nftables inet filter banned", "ipset banned"];
        for output in outputs {
            assert_eq!(failures(&front, output, "absent"), 0);
        }
        front.must("nft delete set inet filter banned; ipset destroy banned");
        hayward(&front, &["bans", "add", "203.0.113.21", "--for", "2h"]);
        front.host.wait_until("it is counted", || {
            outputs
                .iter()
                .all(|output| failures(&front, output, "absent") > 0)
        });
        let since = "(not in step with the bans since 20";
        front.host.wait_until("it is told", || {
            let problems = problems(&front);
            problems.contains("there is no set `inet filter banned`: run `nft add table")
                && problems.contains("there is no set `banned`: run `ipset create banned")
                && problems.matches(since).count() == 2
        });
        front.must(SET);
        front.must("ipset create banned hash:net timeout 0 comment");
        let patience = Duration::from_secs(30);
        front.host.wait_for(patience, "both are in step", || {
            are_in_sets(&front, "203.0.113.20")
                && are_in_sets(&front, "203.0.113.21")
                && !problems(&front).contains("in step")
        });
    }

    #[test]
    fn a_table_of_its_own_drops_who_is_banned_and_outlives_the_agent() {
        let mut front = Front::new();
        front.must("iptables -I INPUT -j ACCEPT");
        start(&mut front, "attach: nftables");
        let server = front.serve(&[8080]);
        let mut reason = String::new();
        front.host.wait_until("it says what it does", || {
            let status = front.host.hayward(&["status", "--json"]);
            let is_up = status.code == 0;
            let guard = is_up.then(|| status.json()["guards"]["inbound"].clone());
            let guard = guard.unwrap_or_default();
            reason = guard["reason"].as_str().unwrap_or_default().to_owned();
            guard["status"] == "degraded" && reason.contains("sees no scans")
        });
        assert!(
            reason.starts_with("blocks by nftables at front0"),
            "{reason}"
        );
        assert!(front.reaches("203.0.113.5", 8080));
        hayward(
            &front,
            &[
                "bans",
                "add",
                "203.0.113.5",
                "2001:db8:9:2::/64",
                "--for",
                "1h",
            ],
        );
        front
            .host
            .wait_until("it is dropped", || !front.reaches("203.0.113.5", 8080));
        assert!(!front.reaches("2001:db8:9:2::1", 8080));
        assert!(front.reaches("203.0.113.6", 8080));
        // What the host opens is answered.
        let listener = front.there_meanwhile(&format!(
            "exec python3 {}/front/serve.py 9090",
            env!("CARGO_MANIFEST_DIR")
        ));
        front.host.wait_until("an answer", || {
            let out = front.here(&format!(
                "exec python3 {}/front/reach.py {FRONT} 203.0.113.5 9090",
                env!("CARGO_MANIFEST_DIR")
            ));
            out.status.success()
        });
        front.host.kill_agent();
        assert!(!front.reaches("203.0.113.5", 8080), "the table stays");
        front.spawn();
        front.host.wait_until("it is lifted", || {
            let removed = front.host.hayward(&["bans", "remove", "203.0.113.5"]);
            removed.code == 0
        });
        front
            .host
            .wait_until("it comes in", || front.reaches("203.0.113.5", 8080));
        assert!(!front.reaches("2001:db8:9:2::1", 8080));
        // With other settings there is a program, and no table.
        front.host.edit_settings("attach: nftables", "attach: tc");
        hayward(&front, &["reload"]);
        front.host.wait_until("the table is gone", || {
            !front.must("nft list tables").contains("hayward")
        });
        drop((server, listener));
    }

    /// Before Linux 6.6 an interface has no places that can be taken.
    #[test]
    fn where_no_program_can_be_attached_a_table_drops_until_one_can() {
        let mut front = Front::new();
        let crowd = front.crowd();
        start(&mut front, "soft_ban: 1h");
        let guard = |front: &Front| {
            let status = front.host.hayward(&["status", "--json"]);
            if status.code == 0 {
                status.json()["guards"]["inbound"].clone()
            } else {
                serde_json::Value::Null
            }
        };
        let mut seen = String::new();
        front.host.wait_until("it says what it does", || {
            seen = guard(&front).to_string();
            seen.contains("\"degraded\"") && seen.contains("blocks by nftables at front0 and sees no scans: no program can be attached at front0: ")
        });
        assert!(seen.contains("\"hook\":\"nftables\""), "{seen}");
        let drill = front.host.hayward(&["drill"]);
        assert_eq!(drill.code, 6, "{drill:?}");
        assert!(
            drill
                .err
                .contains("nothing is proven at front0: no program"),
            "{drill:?}"
        );
        let server = front.serve(&[8080]);
        assert!(front.reaches("203.0.113.5", 8080));
        hayward(&front, &["bans", "add", "203.0.113.5", "--for", "1h"]);
        front
            .host
            .wait_until("it is dropped", || !front.reaches("203.0.113.5", 8080));
        // As soon as there is a place, scans are seen, and whoever was banned stays so.
        drop(crowd);
        front
            .host
            .wait_for(Duration::from_secs(30), "a program takes over", || {
                guard(&front)["status"] == "enforcing"
                    && !front.must("nft list tables").contains("hayward")
            });
        assert!(!front.reaches("203.0.113.5", 8080));
        front.there(&format!(
            "{NMAP} -sS -p1-20 -e out0 -S 203.0.113.10 {FRONT}"
        ));
        assert_eq!(front.record_of("203.0.113.10/32")["action"], "banned");
        drop(server);
    }

    #[test]
    fn uninstalling_removes_the_table_and_what_was_entered() {
        let mut front = with_sets();
        start(&mut front, &format!("attach: nftables, {OUTPUTS}"));
        front.host.wait_until("it listens", || {
            front.host.hayward(&["bans", "add", "203.0.113.5"]).code == 0
        });
        front.host.wait_until("it is entered", || {
            are_in_sets(&front, "203.0.113.5")
                && front
                    .must("nft list ruleset")
                    .matches("203.0.113.5")
                    .count()
                    == 2
        });
        front.host.kill_agent();
        let binary = hayward_tests::binary();
        let settings = front.host.path("hayward.yaml");
        front.must(&format!(
            "HAYWARD_TEST=1 {} uninstall --config {}",
            binary.display(),
            settings.display()
        ));
        assert!(!front.must("nft list tables").contains("hayward"));
        assert!(!is_in_a_set(&front, "203.0.113.5"));
    }
}
