//! What operators ask afterwards: reports, single records, bundles; to people and to programs.

#[cfg(test)]
mod tests {
    use std::fs;

    use age::secrecy::ExposeSecret;
    use hayward_tests::{BANNED, Ended, Host, Launch, Start};
    use serde_json::Value;

    const SECRET: &str = "hayward-secret-sentinel";
    const PASSWORD: &str = "--password=hunter2hunter2";

    fn killed(host: &Host, arguments: &[&str]) {
        let launch = Launch::new("/bin/true", arguments);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
    }

    #[test]
    fn a_report_counts_what_happened_since_then() {
        let host = Host::new().start(&Start::default());
        killed(&host, &[BANNED]);
        killed(&host, &[BANNED]);
        let spared = Launch::new("/bin/true", &[BANNED, "--help"]).run(&host.inside);
        assert_eq!(spared, Ended::Code(0));
        host.wait_for_records("killed", 2);
        host.wait_for_records("spared", 1);
        let later = jiff::Timestamp::now().to_string();
        let rule = |since: &str| {
            let report = host
                .hayward(&["report", "--json", "--since", since])
                .ok()
                .json();
            report["rules"].as_array().expect("a list").first().cloned()
        };
        for since in ["1h", "7d"] {
            let rule = rule(since).expect("a rule");
            assert_eq!(rule["name"], "test/banned");
            assert_eq!((&rule["killed"], &rule["spared"]), (&2.into(), &1.into()));
        }
        assert_eq!(rule(&later), None, "nothing since then");
        killed(&host, &[BANNED]);
        host.wait_for_records("killed", 3);
        assert_eq!(rule(&later).expect("a rule")["killed"], 1);

        let shown = host.hayward(&["report", "--since", "1h"]).ok().out;
        let row = shown.lines().find(|line| line.starts_with("test/banned"));
        let cells: Vec<_> = row.expect("a row").split_whitespace().collect();
        assert_eq!(cells[1..5], ["3", "0", "1", "0"], "{shown}");
        for title in ["RULE", "IMAGE", "LAST SEEN"] {
            assert!(shown.contains(title), "{shown}");
        }
    }

    #[test]
    fn a_record_is_explained_with_its_evidence() {
        let host = Host::new().start(&Start::default());
        killed(&host, &[BANNED]);
        let record = host.wait_for_records("killed", 1).remove(0);
        let id = record["id"].as_str().expect("an id");
        // The case of letters does not count: ids are read aloud, too.
        let explained = host.hayward(&["explain", &id.to_lowercase(), "--json"]);
        assert_eq!(explained.ok().json(), record);
        let shown = host.hayward(&["explain", id]).ok().out;
        for text in [
            id,
            "rule: test/banned",
            "reason: a test",
            "action: killed",
            "executable: /usr/bin/true",
            "judged_at: exec",
            BANNED,
        ] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
    }

    #[test]
    fn a_user_and_a_workload_are_forgotten_and_nobody_else() {
        let host = Host::new().start(&Start::default());
        let other = host.inside.join("other");
        fs::create_dir(&other).expect("a cgroup");
        killed(&host, &[BANNED]);
        let ended = Launch::new("/bin/true", &[BANNED]).run(&other);
        assert_eq!(ended, Ended::Signal(9));
        let records = host.wait_for_records("killed", 2);
        let name = |record: &Value| record["workload"]["name"].as_str().map(str::to_owned);
        let of_other = records.iter().filter_map(name);
        let of_other = of_other.into_iter().find(|name| name.ends_with("/other"));
        let forgotten = host.hayward(&["forget", &of_other.expect("a name"), "--json"]);
        assert_eq!(forgotten.ok().json()["removed"], 1);
        let left = host.records("killed");
        assert_eq!(left.len(), 1);
        assert!(name(&left[0]).is_some_and(|name| name.ends_with("/inside")));
        assert_eq!(
            host.hayward(&["forget", "4242", "--json"]).ok().json()["removed"],
            0
        );
        let shown = host.hayward(&["forget", "0"]).ok().out;
        assert!(shown.contains("1 record removed"), "{shown}");
        let mut journal = String::new();
        for entry in fs::read_dir(host.path("journal")).expect("a journal") {
            let path = entry.expect("a file").path();
            journal += &fs::read_to_string(path).expect("text");
        }
        assert!(!journal.contains(BANNED), "{journal}");
        assert_eq!(host.records("forgot").len(), 3);
    }

    #[test]
    fn a_dry_run_shows_what_would_change_and_changes_nothing() {
        let host = Host::new().start(&Start::default());
        let before = host.status()["guards"]["command"]["generation"].clone();
        host.edit_settings("scan: 0s", "scan: 0s, mode: observe");
        host.edit_settings("lease: 60s", "lease: 59s\nmode: enforce");
        host.edit_settings("/journal}", "/elsewhere}");
        host.write_rules("rules: [{id: test/new, banned: [hayward-new-sentinel]}]\n");
        let report = host.hayward(&["reload", "--dry-run", "--json"]).ok().json();
        assert_eq!(report["added"], serde_json::json!(["test/new"]));
        assert_eq!(report["removed"], serde_json::json!(["test/banned"]));
        assert_eq!(report["needs_restart"], serde_json::json!(["journal"]));
        let shown = host.hayward(&["reload", "--dry-run"]).ok().out;
        for text in [
            "would be in force",
            "+ test/new",
            "- test/banned",
            "`journal` has changed and needs a restart",
        ] {
            assert!(shown.contains(text), "{text} in {shown}");
        }
        assert!(host.records("reload-refused").is_empty());
        // The agent itself notices changed files before long; until it does, all is as it was.
        if host.records("reloaded").is_empty() {
            assert_eq!(host.status()["guards"]["command"]["generation"], before);
        }
    }

    #[test]
    fn a_bundle_holds_no_secret_rule_and_no_command_line() {
        let host = Host::new();
        let identity = host.path("identity");
        let made = age::x25519::Identity::generate();
        fs::write(&identity, made.to_string().expose_secret()).expect("an identity");
        let plain = host.path("secret.yaml");
        fs::write(
            &plain,
            format!(
                "allow: ['unspeakable-pattern']\nrules:\n  - {{id: test/secret, banned: [{SECRET}], reason: unspeakable, expires: 2001-01-01}}\n  - {{id: test/secret-too, banned: [{SECRET}]}}\n"
            ),
        )
        .expect("rules");
        let recipient = made.to_public().to_string();
        let plain_text = plain.to_str().expect("text");
        let arguments = ["rules", "encrypt", plain_text, "--recipient", &recipient];
        let encrypted = host.hayward(&arguments).ok().out;
        fs::write(host.path("secret.age"), encrypted).expect("rules");
        fs::remove_file(&plain).expect("our own file");
        let folder = host.folder.path().display().to_string();
        host.edit_settings(
            &format!("{folder}/rules.yaml]"),
            &format!("{folder}/rules.yaml, {folder}/secret.age]"),
        );
        host.edit_settings(
            "lease: 60s",
            &format!("lease: 60s\nidentity: {folder}/identity"),
        );
        host.edit_settings("/journal}", "/journal, command_lines: full}");
        let host = host.running();
        killed(&host, &[SECRET, PASSWORD]);
        killed(&host, &[BANNED, PASSWORD]);
        host.wait_for_records("killed", 2);
        let bundle = host.hayward(&["support"]).ok();
        assert_eq!(
            host.hayward(&["support", "--json"]).ok().json()["version"],
            bundle.json()["version"]
        );
        for key in ["version", "kernel", "architecture", "features", "status"] {
            assert!(!bundle.json()[key].is_null(), "{key}");
        }
        assert_eq!(
            bundle.json()["status"]["guards"]["command"]["status"],
            "enforcing"
        );
        for word in [SECRET, "unspeakable", "hunter2", "AGE-SECRET-KEY"] {
            assert!(!bundle.out.contains(word), "{word} in {}", bundle.out);
        }
        drop(host);
        // Without an agent it says why there is no status.
        let bundle = Host::new().hayward(&["support"]).ok().json();
        assert!(
            bundle["status"]
                .as_str()
                .is_some_and(|text| text.contains("no agent"))
        );
    }
}
