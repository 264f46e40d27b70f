//! The guard `inbound` with what the packaged unit grants, and without what it cannot do without.

#[cfg(test)]
mod tests {
    use hayward_tests::{FRONT, Front, INTERFACE};

    const UNIT: &str = include_str!("../../packaging/hayward.service");

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
}
