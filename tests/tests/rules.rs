//! Rules change while the agent runs, and secret ones stay secret.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use age::secrecy::ExposeSecret;
    use hayward_tests::{BANNED, Ended, Host, Launch, Start, copy_program};

    const OTHER: &str = "hayward-other-sentinel";
    const SECRET: &str = "hayward-secret-sentinel";

    fn run(cgroup: &Path, word: &str) -> Ended {
        Launch::new("/bin/true", &[word]).run(cgroup)
    }

    fn rules(word: &str) -> String {
        format!("rules:\n  - {{id: test/{word}, banned: [{word}]}}\n")
    }

    #[test]
    fn reload_replaces_the_rules_and_a_bad_file_leaves_the_old_ones_in_force() {
        // Nothing but `hayward reload` shall reload here: the files are made to look unchanged to the watch.
        let host = Host::new().start(&Start::default());
        assert_eq!(run(&host.inside, OTHER), Ended::Code(0));
        host.write_rules(&rules(OTHER));
        let report = host.hayward(&["reload", "--json"]).ok().json();
        assert_eq!(report["added"][0], format!("test/{OTHER}"));
        assert_eq!(report["removed"][0], "test/banned");
        assert_eq!(run(&host.inside, OTHER), Ended::Signal(9));
        assert_eq!(run(&host.inside, BANNED), Ended::Code(0));
        let killed = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(killed["rule"], format!("test/{OTHER}"));

        host.write_rules("rules:\n  - {id: broken, banned: ['']}\n");
        let refused = host.hayward(&["reload"]);
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(refused.err.contains("rules.yaml:2"), "{}", refused.err);
        assert_eq!(run(&host.inside, OTHER), Ended::Signal(9));
        let record = host.wait_for_records("reload-refused", 1).remove(0);
        let detail = record["detail"].as_str().expect("a reason");
        assert!(detail.contains("rules.yaml:2"), "{detail}");
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let host = Host::new().start(&Start::default());
        host.write_rules(&rules(OTHER));
        host.wait_until("the new rule in force", || {
            run(&host.inside, OTHER) == Ended::Signal(9)
        });
        host.write_rules("rules: [{");
        host.wait_for_records("reload-refused", 1);
        assert_eq!(run(&host.inside, OTHER), Ended::Signal(9));
        host.write_rules(&rules(BANNED));
        host.wait_until("the third rule in force", || {
            run(&host.inside, BANNED) == Ended::Signal(9)
        });
        assert_eq!(host.records("reload-refused").len(), 1, "told once");
    }

    #[test]
    fn a_dry_run_tells_whom_new_rules_would_have_stopped_and_changes_nothing() {
        let host = Host::new().start(&Start::default());
        host.write_rules(&format!(
            "rules:\n  - {{id: test/other, banned: [{OTHER}], mode: observe}}\n"
        ));
        host.hayward(&["reload"]).ok();
        assert_eq!(run(&host.inside, OTHER), Ended::Code(0));
        let observed = host.wait_for_records("observed", 1).remove(0);
        // What the dry run is about to read must not be put in force by the watch.
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        host.write_rules(&rules(OTHER));
        let report = host.hayward(&["reload", "--dry-run", "--json"]).ok().json();
        assert_eq!(report["dry_run"], true);
        assert_eq!(report["would_stop"][0][0], observed["id"]);
        assert_eq!(report["would_stop"][0][1], format!("test/{OTHER}"));
        assert_eq!(fs::read_to_string(&settings).expect("settings"), text);
    }

    #[test]
    fn an_expired_rule_stops_nobody() {
        // On a busy machine a rule may have expired before the agent has started.
        for seconds in [3, 8, 15] {
            let soon = jiff::Timestamp::now()
                .checked_add(std::time::Duration::from_secs(seconds))
                .expect("a time");
            let host = Host::new();
            host.write_rules(&format!(
                "rules:\n  - {{id: test/soon, banned: [{BANNED}], expires: \"{soon}\"}}\n"
            ));
            let host = host.start(&Start::default());
            let ended = run(&host.inside, BANNED);
            if ended != Ended::Signal(9) && jiff::Timestamp::now() >= soon {
                continue;
            }
            assert_eq!(ended, Ended::Signal(9));
            host.wait_until("the end of the rule", || {
                run(&host.inside, BANNED) == Ended::Code(0)
            });
            return;
        }
        panic!("the agent takes too long to start");
    }

    /// The host with a secret file beside its own rules, running under `compat: [cryptnono]`.
    fn with_secret(name: &str, secret_rules: &str) -> Host {
        let mut host = Host::new();
        let identity = host.path("identity");
        let made = age::x25519::Identity::generate();
        fs::write(&identity, made.to_string().expose_secret()).expect("an identity");
        let recipient = made.to_public().to_string();
        let plain = host.path(name);
        fs::write(&plain, secret_rules).expect("rules");
        let path = plain.to_str().expect("a path");
        let encrypted = host.hayward(&["rules", "encrypt", path, "--recipient", &recipient]);
        fs::write(host.path(&format!("{name}.age")), encrypted.ok().out).expect("rules");
        fs::remove_file(&plain).expect("our own file");
        let folder = host.folder.path().display().to_string();
        host.write_settings(&Start {
            command: "scan: 100ms".to_owned(),
            settings: format!("identity: {folder}/identity\ncompat: [cryptnono]\n"),
        });
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        let text = text
            .replace(
                &format!("{folder}/rules.yaml]"),
                &format!("{folder}/rules.yaml, {folder}/{name}.age]"),
            )
            .replace(
                "metrics: {listen: \"127.0.0.1:0\"}",
                "metrics: {listen: \"127.0.0.1:0\", cryptnono: [\"127.0.0.1:0\", \"127.0.0.1:0\"]}",
            );
        fs::write(&settings, text).expect("settings");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        host
    }

    /// All that the agent has written, and all that it answers.
    fn everything(host: &Host) -> String {
        let mut all = host.log() + &host.output() + &host.metrics();
        for arguments in [
            ["events", "--json"].as_slice(),
            &["events"],
            &["report"],
            &["status", "--json"],
            &["support"],
            &["reload", "--dry-run", "--json"],
        ] {
            let answer = host.hayward(arguments).ok();
            all += &(answer.out + &answer.err);
        }
        for action in ["killed", "observed", "spared"] {
            for record in host.records(action) {
                let id = record["id"].as_str().expect("an id");
                all += &host.hayward(&["explain", id]).ok().out;
            }
        }
        for entry in fs::read_dir(host.path("journal")).expect("a journal") {
            let path = entry.expect("a file").path();
            all += &String::from_utf8_lossy(&fs::read(path).unwrap_or_default());
        }
        all.to_lowercase()
    }

    #[test]
    fn a_secret_rule_shows_its_id_and_nothing_else_anywhere() {
        let host = with_secret(
            "secret.yaml",
            &format!("rules:\n  - {{id: test/secret, banned: [{SECRET}], reason: unspeakable}}\n"),
        );
        assert_eq!(run(&host.inside, SECRET), Ended::Signal(9));
        // Also where it lies past what an event carries.
        let mut long = Launch::new("/bin/true", &[&"x".repeat(10_000)]);
        long.arguments.push(SECRET.as_bytes().to_vec());
        assert_eq!(long.run(&host.inside), Ended::Signal(9));
        let records = host.wait_for_records("killed", 2);
        assert!(records.iter().all(|record| record["rule"] == "test/secret"));
        host.wait_until("two lines", || host.output().lines().count() >= 2);
        for line in host.output().lines() {
            assert!(line.contains("\"action\": \"killed\""), "{line}");
            assert!(line.contains("\"matched\": \"test/secret\""), "{line}");
        }
        let everything = everything(&host);
        assert!(everything.contains("test/secret"));
        for word in [SECRET, "unspeakable"] {
            assert!(!everything.contains(word), "{everything}");
        }
    }

    #[test]
    fn records_of_other_rules_do_not_show_secrets_either() {
        let host = with_secret(
            "secret.yaml",
            &format!(
                "rules:\n  - {{id: test/secret, banned: [{SECRET}], executable: [nothing-so-named]}}\n"
            ),
        );
        let upper = SECRET.to_uppercase();
        let before = format!("{SECRET} {BANNED} x{upper}");
        // In the line, in the window behind it, and across the end of what an event keeps of the line.
        let lines = [0, 4_096 - SECRET.len() / 2 - "/bin/true  ".len(), 10_000]
            .map(|padding| (padding > 0).then(|| "x".repeat(padding)));
        for padding in &lines {
            let mut launch = Launch::new("/bin/true", &[]);
            let arguments = padding.iter().map(String::as_str).chain(before.split(' '));
            launch
                .arguments
                .extend(arguments.map(|text| text.as_bytes().to_vec()));
            assert_eq!(launch.run(&host.inside), Ended::Signal(9));
        }
        // Its name is the secret, and another rule decides.
        let named = host.path(SECRET);
        copy_program("/bin/true", &named);
        assert_eq!(
            Launch::new(&named, &[BANNED]).run(&host.inside),
            Ended::Signal(9)
        );
        let killed = host.wait_for_records("killed", 4);
        assert!(killed.iter().all(|record| record["rule"] == "test/banned"));
        let window = killed[2]["evidence"]["match_window"]
            .as_str()
            .expect("a window");
        assert!(
            window.contains(BANNED) && window.contains("•••"),
            "{window}"
        );
        let everything = everything(&host);
        assert!(!everything.contains(SECRET), "{everything}");
        let line = killed[1]["process"]["command_line"]
            .as_str()
            .expect("a line");
        assert!(
            line.ends_with("•••") && !line.contains("hayward-"),
            "{line}"
        );
    }

    #[test]
    fn ids_of_an_encrypted_cryptnono_file_are_places() {
        let host = with_secret(
            "hidden.json",
            &format!("{{\"bannedCommandStrings\": [\"hayward-first\", \"{SECRET}\"]}}"),
        );
        assert_eq!(run(&host.inside, SECRET), Ended::Signal(9));
        assert_eq!(host.wait_for_records("killed", 1)[0]["rule"], "hidden/2");
        assert!(!everything(&host).contains(SECRET));
    }

    #[test]
    fn under_compat_cryptnonos_lines_stand_by_themselves_as_python_writes_them() {
        let host = with_secret("secret.yaml", "rules: []\n");
        assert_eq!(run(&host.inside, BANNED), Ended::Signal(9));
        let spared = Launch::new("/bin/true", &[BANNED, "é", "--help"]);
        assert_eq!(spared.run(&host.inside), Ended::Code(0));
        host.wait_until("two lines", || host.output().lines().count() >= 2);
        let output = host.output();
        let lines: Vec<&str> = output.lines().collect();
        for (line, parts) in lines.iter().zip([
            [
                "\"action\": \"killed\", \"event\": \"Killed process\", \"level\": \"info\", \"timestamp\": \"",
                &format!("\"cmdline\": \"/bin/true {BANNED}\", \"matched\": \"{BANNED}\", \"source\": \"execwhacker.bpf\""),
            ],
            ["\"action\": \"spared\", \"allowedby\": \"allowed-pattern", "\\u00e9 --help"],
        ]) {
            let parsed: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(parsed["pid"].is_u64());
            for part in parts {
                assert!(line.contains(part), "{part} in {line}");
            }
        }
        let log = host.log();
        assert!(!log.contains("execwhacker"), "{log}");
    }
}
