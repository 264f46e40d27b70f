//! What is said offline is what the agent does: one policy, read in one place.

#[cfg(test)]
mod tests {
    use hayward_tests::{BANNED, Ended, Host, Launch, Start};

    fn verdict(host: &Host) -> String {
        let line = format!("/bin/true {BANNED}");
        let judged = host.configured(&["judge", "command", &line, "--json"]);
        let verdict = judged.ok().json()["verdict"].as_str().map(str::to_owned);
        verdict.expect("a verdict")
    }

    #[test]
    fn the_offline_verdict_is_the_agents_verdict_at_every_level_of_observe() {
        let rules = |file: &str, rule: &str| {
            format!("{file}rules:\n  - {{id: test/banned, banned: [{BANNED}]{rule}}}\n")
        };
        for (command, settings, rules, expected) in [
            ("scan: 0s", "", rules("", ""), "banned"),
            ("scan: 0s", "mode: observe\n", rules("", ""), "observed"),
            ("scan: 0s, mode: observe", "", rules("", ""), "observed"),
            ("scan: 0s, response: observe", "", rules("", ""), "observed"),
            (
                "scan: 0s, response: observe",
                "",
                rules("", ", response: kill"),
                "observed",
            ),
            ("scan: 0s", "", rules("mode: observe\n", ""), "observed"),
            ("scan: 0s", "", rules("", ", mode: observe"), "observed"),
            ("scan: 0s", "", rules("", ", response: observe"), "observed"),
            ("scan: 0s", "", rules("allow: ['.*']\n", ""), "spared"),
        ] {
            let what = format!("{command} {settings} {rules}");
            let mut host = Host::new();
            host.write_rules(&rules);
            host.write_settings(&Start {
                command: command.to_owned(),
                settings: settings.to_owned(),
            });
            assert_eq!(verdict(&host), expected, "{what}");
            host.spawn();
            host.wait_until("a socket", || host.hayward(&["status"]).code == 0);
            let ended = Launch::new("/bin/true", &[BANNED]).run(&host.inside);
            let (action, end) = match expected {
                "banned" => ("killed", Ended::Signal(9)),
                other => (other, Ended::Code(0)),
            };
            assert_eq!(ended, end, "{what}");
            let record = host.wait_for_records(action, 1).remove(0);
            assert_eq!(record["rule"], "test/banned", "{what}");
        }
    }

    #[test]
    fn a_guard_that_is_off_is_named_and_rules_of_the_settings_are_listed() {
        let host = Host::new();
        let listed = host.configured(&["rules", "list", "--json"]).ok().json();
        let listed = listed.as_array().expect("a list").clone();
        let mode_of = |id: &str| {
            let rule = listed.iter().find(|rule| rule["id"] == id);
            rule.unwrap_or_else(|| panic!("{id} is listed"))["mode"].clone()
        };
        assert_eq!(mode_of("test/banned"), "enforce");
        assert_eq!(mode_of("builtin/test"), "enforce");
        host.edit_settings("scan: 0s", "scan: 0s, response: observe");
        let observed = host.configured(&["rules", "list", "--json"]).ok().json();
        let rules = observed.as_array().expect("a list");
        assert!(rules.iter().all(|rule| rule["mode"] == "observe"));
        let table = host.configured(&["rules", "list"]).ok().out;
        assert!(table.contains("test/banned") && !table.contains("enforce"));

        host.edit_settings("guards:\n  command:", "guards: {}\n#");
        let line = format!("/bin/true {BANNED}");
        let judged = host.configured(&["judge", "command", &line]).ok().out;
        assert!(judged.contains("guard is off"), "{judged}");
    }
}
