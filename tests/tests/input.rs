//! Whatever is wrong is said with its place and what to do, by an exit code that programs can tell apart.

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use hayward_tests::{Answer, Host, Start, copy_program};

    fn run(host: &Host) -> Answer {
        host.configured(&["run"])
    }

    fn refused(settings: &str, command: &str, code: i32, texts: &[&str]) {
        let host = Host::new();
        host.write_settings(&Start {
            command: command.to_owned(),
            settings: settings.to_owned(),
        });
        let answer = run(&host);
        assert_eq!(answer.code, code, "{answer:?}");
        for text in texts {
            assert!(answer.err.contains(text), "{text} in {}", answer.err);
        }
        assert!(!host.pins.exists(), "nothing is left in the kernel");
    }

    #[test]
    fn bad_settings_are_refused_with_their_line() {
        refused("leese: 1h\n", "scan: 0s", 4, &["hayward.yaml:11", "lease"]);
        refused("compat: 7\n", "scan: 0s", 4, &["hayward.yaml:11"]);
        refused(
            "",
            "scan: soon",
            4,
            &["hayward.yaml:6", "`soon` is no duration"],
        );
    }

    #[test]
    fn bad_rules_are_refused_with_their_line() {
        for (rules, texts) in [
            (
                "rules:\n  - {id: a, banned: ['']}\n",
                ["rules.yaml:2", "empty"],
            ),
            (
                "rules:\n  - {id: a, banned: [x]}\n  - {id: a, banned: [y]}\n",
                ["rules.yaml:3", "taken already"],
            ),
            (
                "rules:\n  - {id: a, banned: [x], allow: ['(']}\n",
                ["rules.yaml:2", "unclosed group"],
            ),
        ] {
            let host = Host::new();
            host.write_rules(rules);
            let answer = run(&host);
            assert_eq!(answer.code, 4, "{answer:?}");
            for text in texts {
                assert!(answer.err.contains(text), "{text} in {}", answer.err);
            }
        }
        let host = Host::new();
        fs::remove_file(host.path("rules.yaml")).expect("our own file");
        let answer = run(&host);
        assert_eq!(answer.code, 4);
        assert!(
            answer.err.contains("rules.yaml: cannot be read"),
            "{}",
            answer.err
        );
    }

    #[test]
    fn a_second_agent_is_refused_and_the_first_goes_on() {
        let host = Host::new().start(&Start::default());
        let answer = run(&host);
        assert_eq!(answer.code, 5, "{answer:?}");
        assert!(
            answer.err.contains("stop the other agent"),
            "{}",
            answer.err
        );
        assert_eq!(host.status()["guards"]["command"]["status"], "enforcing");
    }

    #[test]
    fn without_privileges_it_says_which_are_missing() {
        let host = Host::new();
        let public = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .tempdir()
            .expect("a folder");
        let binary = public.path().join("hayward");
        let built = host.command(&["run"]).get_program().to_owned();
        copy_program(built, &binary);
        let text = fs::read_to_string(host.path("hayward.yaml")).expect("settings");
        let here = public.path().display().to_string();
        let text = text.replace(&host.folder.path().display().to_string(), &here);
        fs::write(public.path().join("hayward.yaml"), text).expect("settings");
        fs::copy(host.path("rules.yaml"), public.path().join("rules.yaml")).expect("rules");
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args(["run", "--config"])
            .arg(public.path().join("hayward.yaml"))
            .env("HAYWARD_TEST", "1")
            .output()
            .expect("setpriv");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{err}");
        assert!(err.contains("run as root, or with CAP_BPF"), "{err}");
    }

    #[test]
    fn the_harness_refuses_reach() {
        let host = Host::new();
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        for (from, to) in [
            ("lease: 60s", "lease: 24h"),
            ("cgroup_root: /hay", "cgroup_root: /\n# "),
        ] {
            fs::write(&settings, text.replace(from, to)).expect("settings");
            let answer = run(&host);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert!(answer.err.contains("HAYWARD_TEST"), "{}", answer.err);
        }
    }

    #[test]
    fn the_harness_refuses_to_look_at_the_machines_own_interfaces() {
        let host = Host::new();
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        // Of a name that no interface can have by chance, should it be refused no more.
        let listed = "guards:\n  inbound: {mode: observe, interfaces: [hay-nowhere]}\n";
        fs::write(&settings, text.replace("guards:\n", listed)).expect("settings");
        let answer = run(&host);
        assert_eq!(answer.code, 4, "{answer:?}");
        assert!(answer.err.contains("network namespace"), "{}", answer.err);
    }
}
