//! The guard `inbound` with what the packaged unit grants, and without what it cannot do without.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, chown},
    };

    use hayward_tests::{FRONT, Front, INTERFACE};

    const UNIT: &str = include_str!("../../packaging/hayward.service");
    const DOCUMENT: &str = include_str!("../../docs/inbound.md");

    /// What the unit grants, but for one.
    fn granted(but: &str) -> String {
        let line = UNIT
            .lines()
            .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let all = line.expect("a set").split_whitespace();
        let words = all.filter(|word| *word != but).map(|word| {
            let name = word.trim_start_matches("CAP_").to_lowercase();
            format!(",+{name}")
        });
        format!("--bounding-set=-all{}", words.collect::<String>())
    }

    fn front(but: &str) -> Front {
        let mut front = Front::new();
        let settings = format!("{{interfaces: [{INTERFACE}], soft_ban: 1h}}");
        front.host.list_guard("inbound", &settings);
        front.spawn_by(&["setpriv", "--no-new-privs", &granted(but)]);
        front
    }

    #[test]
    fn with_what_the_unit_grants_it_bans_and_records() {
        let front = front("");
        front.host.wait_for_proof("inbound");
        front.there(&format!(
            "exec nmap -n -Pn -T4 --max-retries 1 -sS -p1-100 -e out0 -S 203.0.113.10 {FRONT}"
        ));
        let record = front.record_of("203.0.113.10/32");
        assert_eq!(record["action"], "banned", "{record}");
        let add = ["bans", "add", "203.0.113.77", "--for", "1h"];
        front.host.hayward(&add).ok();
        assert!(!front.bans().is_empty());
    }

    #[test]
    fn without_net_admin_it_is_absent_and_names_the_unit() {
        let front = front("CAP_NET_ADMIN");
        let mut guard = serde_json::Value::Null;
        front.host.wait_until("a status", || {
            let status = front.host.hayward(&["status", "--json"]);
            if status.code == 0 {
                guard = status.json()["guards"]["inbound"].clone();
            }
            guard["status"] == "absent"
        });
        let reason = guard["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("packaging/hayward.service"), "{guard}");
    }

    #[test]
    fn the_documented_user_has_what_the_unit_grants() {
        let of = |text: &'static str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.expect("a set").to_owned()
        };
        let ambient = of(DOCUMENT, "AmbientCapabilities=");
        assert_eq!(ambient, of(UNIT, "CapabilityBoundingSet="));
    }

    /// What root prepares: folders for pins, for what is kept and for the socket. The cgroups stay root's.
    #[test]
    fn another_uid_than_roots_guards_bans_and_keeps_bans_with_the_same_capabilities() {
        const UID: u32 = 64_123;
        let mut front = Front::new();
        let outputs = "outputs: [{nftables: \"inet filter banned\"}]";
        let settings = format!("{{interfaces: [{INTERFACE}], soft_ban: 1h, {outputs}}}");
        front.host.list_guard("inbound", &settings);
        front.must("nft add table inet filter && nft add set inet filter banned '{ type ipv4_addr; flags interval, timeout; }'");
        fs::create_dir(&front.host.pins).expect("pins");
        for folder in [front.host.pins.as_path(), front.host.folder.path()] {
            chown(folder, Some(UID), Some(UID)).expect("folders of the test's own");
        }
        let capabilities = granted("");
        let set = capabilities.trim_start_matches("--bounding-set=");
        let (uid, gid) = (format!("--reuid={UID}"), format!("--regid={UID}"));
        let (inherited, ambient) = (format!("--inh-caps={set}"), format!("--ambient-caps={set}"));
        let as_other = [
            "setpriv",
            "--no-new-privs",
            "--clear-groups",
            &uid,
            &gid,
            &inherited,
            &ambient,
            &capabilities,
        ];
        front.spawn_by(&as_other);
        front.host.wait_for_proof("inbound");
        assert_eq!(
            front.host.status()["guards"]["inbound"]["status"],
            "enforcing"
        );
        front.there(&format!(
            "exec nmap -n -Pn -T4 --max-retries 1 -sS -p1-20 -e out0 -S 203.0.113.10 {FRONT}"
        ));
        assert_eq!(front.record_of("203.0.113.10/32")["action"], "banned");
        let server = front.serve(&[8080]);
        assert!(front.reaches("203.0.113.20", 8080));
        let add = ["bans", "add", "203.0.113.20", "--for", "1h"];
        front.host.hayward(&add).ok();
        assert!(!front.reaches("203.0.113.20", 8080));
        front.host.wait_until("it is in the set", || {
            front
                .must("nft list set inet filter banned")
                .contains("203.0.113.20")
        });
        front.host.kill_agent();
        front.spawn_by(&as_other);
        front.host.wait_for_proof("inbound");
        assert!(!front.reaches("203.0.113.20", 8080));
        let kept = fs::metadata(front.host.path("journal/bans.lines")).expect("a ledger");
        assert_eq!(kept.uid(), UID);
        // A canary needs a cgroup, and those are root's.
        let status = front.host.status();
        let command = &status["guards"]["command"];
        assert_eq!(command["status"], "degraded", "{command}");
        assert!(
            command["reason"]
                .as_str()
                .is_some_and(|it| it.contains("no cgroup for the canary")),
            "{command}"
        );
        drop(server);
    }
}
