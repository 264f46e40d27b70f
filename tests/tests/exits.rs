//! Exit codes are what `hayward --help` says they are: one test for each.

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use hayward_tests::{Answer, Host, Start, copy_program};

    fn exits(answer: &Answer, code: i32) {
        assert_eq!(answer.code, code, "{answer:?}");
        // A failure is told on standard error, and by one who says its name.
        assert_eq!(answer.err.is_empty(), code == 0, "{answer:?}");
        if code > 2 {
            assert!(answer.err.starts_with("hayward: "), "{answer:?}");
        }
    }

    #[test]
    fn the_help_lists_the_codes_that_are_tested_here() {
        let help = Host::new().hayward(&["--help"]).ok().out;
        let (_, table) = help.split_once("Exit codes:").expect("a table");
        let words: Vec<_> = table.split_whitespace().collect();
        let codes: Vec<_> = words
            .iter()
            .filter_map(|word| word.parse::<i32>().ok())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn zero_is_done() {
        let host = Host::new().start(&Start::default());
        for arguments in [
            &["status"][..],
            &["events"],
            &["report"],
            &["drill"],
            &["reload"],
            &["reload", "--dry-run"],
            &["off", "--for", "1s"],
            &["on"],
            &["forget", "nobody-at-all"],
            &["support"],
            &["probe"],
            &["--version"],
            &["man"],
            &["completions", "bash"],
        ] {
            let answer = host.hayward(arguments);
            exits(&answer, 0);
        }
        exits(&host.configured(&["check"]), 0);
        exits(&host.configured(&["judge", "command", "x"]), 0);
        exits(&host.configured(&["rules", "list"]), 0);
    }

    #[test]
    fn one_is_failed() {
        let host = Host::new();
        let rules = host.path("cryptnono.json");
        fs::write(&rules, r#"{"bannedCommandStrings": ["x"]}"#).expect("rules");
        let (rules, output) = (rules.display().to_string(), host.path("out"));
        let output = output.display().to_string();
        let arguments = ["migrate", "cryptnono", &rules, "--output", &output];
        exits(&host.hayward(&arguments), 0);
        exits(&host.hayward(&arguments), 1);
    }

    #[test]
    fn two_is_a_wrong_command_line() {
        let host = Host::new();
        for arguments in [
            &["statuz"][..],
            &["status", "--wait", "bored"],
            &["events", "--since", "soon"],
            &["events", "--action", "thrown"],
            &["off", "--guard", "nothing"],
            &["off", "--for", "ever"],
            &["explain"],
            &[],
        ] {
            exits(&host.hayward(arguments), 2);
        }
    }

    #[test]
    fn three_is_no_agent() {
        let host = Host::new();
        for arguments in [
            &["status"][..],
            &["events"],
            &["events", "--follow"],
            &["explain", "x"],
            &["report"],
            &["drill"],
            &["reload"],
            &["forget", "0"],
        ] {
            exits(&host.hayward(arguments), 3);
        }
    }

    #[test]
    fn four_is_bad_settings_or_rules() {
        let host = Host::new().start(&Start::default());
        host.write_rules("rules: [{id: a, banned: ['']}]\n");
        exits(&host.hayward(&["reload"]), 4);
        exits(&host.hayward(&["reload", "--dry-run"]), 4);
        let rules = host.path("rules.yaml").display().to_string();
        exits(&host.hayward(&["rules", "test", &rules]), 4);
        for arguments in [
            &["check"][..],
            &["run"],
            &["judge", "command", "x"],
            &["rules", "list"],
        ] {
            exits(&host.configured(arguments), 4);
        }
        host.edit_settings("lease: 60s", "leese: 60s");
        for arguments in [&["check"][..], &["run"], &["uninstall"]] {
            exits(&host.configured(arguments), 4);
        }
    }

    #[test]
    fn five_is_the_kernel_missing_privileges_or_another_agent() {
        let host = Host::new().start(&Start::default());
        exits(&host.configured(&["run"]), 5);
        exits(&host.configured(&["uninstall"]), 5);
        let public = tempfile::tempdir_in("/tmp").expect("a folder");
        let open: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(public.path(), open.clone()).expect("ours");
        fs::set_permissions(host.folder.path(), open).expect("ours");
        let binary = public.path().join("hayward");
        copy_program(host.command(&["x"]).get_program(), &binary);
        for arguments in [&["status"][..], &["off"]] {
            let output = Command::new("setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&binary)
                .args(arguments)
                .env("HAYWARD_SOCKET", host.path("hayward.sock"))
                .output()
                .expect("setpriv");
            assert_eq!(output.status.code(), Some(5), "{output:?}");
        }
        // Nothing was ever pinned here, and no agent answers: nothing can be switched.
        exits(&Host::new().configured(&["off"]), 5);
    }

    #[test]
    fn six_is_not_so() {
        let host = Host::new().start(&Start::default());
        exits(&host.hayward(&["explain", "no-such-record"]), 6);
        let wait = ["status", "--wait", "observing", "--timeout", "10ms"];
        exits(&host.hayward(&wait), 6);
        host.configured(&["off"]).ok();
        exits(&host.hayward(&["drill"]), 6);
    }
}
