//! Where the guard acts: overrides, what is excluded, users, deep cgroups, and reloads between two scopes.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::process::ExitStatusExt,
        path::{Path, PathBuf},
        process::Command,
        sync::atomic::{AtomicBool, Ordering},
    };

    use hayward_tests::{BANNED, Host, Start};
    use serde_json::Value;

    /// Starts a banned command in a cgroup, as this user, and says whether it died.
    fn dies(cgroup: &Path, user: u32) -> bool {
        let status = Command::new("/bin/sh")
            .arg("-c")
            .arg(r#"echo $$ > "$0/cgroup.procs" && exec setpriv --reuid="$1" --regid="$1" --clear-groups /bin/true "$2""#)
            .arg(cgroup)
            .arg(user.to_string())
            .arg(BANNED)
            .status()
            .expect("a shell");
        assert!(
            status.success() || status.signal() == Some(9),
            "{status} in {}",
            cgroup.display()
        );
        !status.success()
    }

    fn make(path: PathBuf) -> PathBuf {
        fs::create_dir_all(&path).expect("a cgroup of the test's own");
        path
    }

    fn name(host: &Host) -> String {
        let name = host.cgroup.file_name().expect("a name");
        name.to_string_lossy().into_owned()
    }

    /// Settings with this scope and these further lines; `NAME` stands for the cgroup of the test.
    fn write(host: &Host, command: &str, scope: &str, settings: &str) {
        host.write_settings(&Start {
            command: format!("scan: 0s{command}"),
            settings: settings.replace("NAME", &name(host)),
        });
        let file = host.path("hayward.yaml");
        let text = fs::read_to_string(&file).expect("settings");
        let lines = text.lines().map(|line| {
            if line.starts_with("scope:") && !scope.is_empty() {
                format!("scope: {}", scope.replace("NAME", &name(host)))
            } else {
                line.to_owned()
            }
        });
        fs::write(&file, lines.collect::<Vec<_>>().join("\n") + "\n").expect("settings");
    }

    fn start(command: &str, scope: &str, settings: &str) -> Host {
        let mut host = Host::new();
        write(&host, command, scope, settings);
        host.spawn();
        host.wait_until("a proven agent", || {
            let answer = host.hayward(&["status", "--json"]);
            answer.code == 0 && guard(&answer.json())["status"] != "degraded"
        });
        host
    }

    fn guard(status: &Value) -> &Value {
        &status["guards"]["command"]
    }

    #[test]
    fn an_override_takes_the_place_of_the_guards_settings_in_its_cgroups_and_the_status_says_so() {
        let general = "mode is observe";
        for (guard_settings, agent, of_override, dies_there, dies_elsewhere, status, reason) in [
            (
                "",
                "",
                "observe",
                false,
                true,
                "enforcing",
                "observing in 1 override",
            ),
            (
                "",
                "",
                "{mode: observe}",
                false,
                true,
                "enforcing",
                "observing in 1 override",
            ),
            (
                "",
                "",
                "{response: observe}",
                false,
                true,
                "enforcing",
                "observing in 1 override",
            ),
            ("", "", "{}", true, true, "enforcing", ""),
            (
                ", mode: observe",
                "",
                "{}",
                false,
                false,
                "observing",
                general,
            ),
            (
                ", mode: observe",
                "",
                "{response: kill}",
                false,
                false,
                "observing",
                general,
            ),
            (
                ", mode: observe",
                "",
                "enforce",
                true,
                false,
                "enforcing",
                "in 1 override only; it observes elsewhere",
            ),
            (
                ", response: observe",
                "",
                "{}",
                false,
                false,
                "observing",
                "response is observe",
            ),
            (
                ", response: observe",
                "",
                "{response: kill}",
                true,
                false,
                "enforcing",
                "in 1 override only; it observes elsewhere",
            ),
            (
                "",
                "mode: observe\n",
                "enforce",
                false,
                false,
                "observing",
                general,
            ),
        ] {
            let overrides = format!(
                "{agent}overrides:\n  - {{match: /NAME/inside/special, guards: {{command: {of_override}}}}}\n"
            );
            let host = start(guard_settings, "", &overrides);
            let case = format!("guard{guard_settings} {agent}override {of_override}");
            let special = make(host.inside.join("special"));
            assert_eq!(dies(&special, 0), dies_there, "{case}");
            assert_eq!(dies(&host.inside, 0), dies_elsewhere, "{case}");
            let all = host.status();
            assert_eq!(guard(&all)["status"], status, "{case}");
            assert_eq!(
                guard(&all)["reason"].as_str().unwrap_or_default(),
                reason,
                "{case}"
            );
        }
    }

    #[test]
    fn the_first_override_that_matches_counts_and_rules_that_observe_are_obeyed() {
        let overrides = "overrides:\n\
            \x20 - {match: /NAME/inside/a/b, guards: {command: enforce}}\n\
            \x20 - {match: /NAME/inside/a, guards: {command: observe}}\n\
            \x20 - {match: /NAME/inside/a/c, guards: {command: enforce}}\n";
        let host = start("", "", overrides);
        for (below, expected) in [("", true), ("a", false), ("a/b", true), ("a/c", false)] {
            let cgroup = make(host.inside.join(below));
            assert_eq!(dies(&cgroup, 0), expected, "{below}");
        }
        host.write_rules(&format!(
            "mode: observe\nrules:\n  - {{id: test/banned, banned: [{BANNED}]}}\n"
        ));
        host.hayward(&["reload"]).ok();
        assert!(!dies(&host.inside.join("a/b"), 0), "the rule file observes");
    }

    #[test]
    fn scopes_that_operators_write_are_judged_in_the_kernel() {
        let scope =
            "{include: [containers, \"/NAME/inside/**\"], exclude: [\"/NAME/inside/trusted\"]}";
        let host = start("", scope, "");
        host.configured(&["check"]).ok();
        for (below, expected) in [
            ("inside/a", true),
            ("inside/a/b", true),
            ("inside/trusted", false),
            ("inside/trusted/x", false),
            ("docker-0123abc.scope/x", true),
            ("outside/x", false),
        ] {
            let cgroup = make(host.cgroup.join(below));
            assert_eq!(dies(&cgroup, 0), expected, "{below}");
        }
    }

    #[test]
    fn what_is_excluded_is_excluded_for_users_too_and_only_the_systems_runtimes_are() {
        let host = start("", "{include: [users], exclude: [/NAME/inside]}", "");
        let excluded = make(host.inside.join("x"));
        let runtime = make(host.cgroup.join("system.slice/docker.service"));
        let made_by_users = make(host.outside.join("system.slice/docker.service"));
        for (cgroup, user, expected) in [
            (&host.outside, 1000, true),
            (&host.outside, 0, false),
            (&host.inside, 1000, false),
            (&excluded, 1000, false),
            (&runtime, 1000, false),
            (&made_by_users, 1000, true),
        ] {
            assert_eq!(
                dies(cgroup, user),
                expected,
                "{user} in {}",
                cgroup.display()
            );
        }
    }

    #[test]
    fn cgroups_two_hundred_levels_deep_are_in_scope_made_before_and_after_the_start() {
        let mut host = Host::new();
        let deep = |top: &str| {
            let mut path = host.inside.join(top);
            path.extend(std::iter::repeat_n("x", 200));
            make(path)
        };
        let before = deep("before");
        write(
            &host,
            "",
            "{include: [/NAME/inside, users], exclude: [/NAME/inside/not]}",
            "",
        );
        let spawned = &mut host;
        spawned.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let deep = |top: &str| {
            let mut path = host.inside.join(top);
            path.extend(std::iter::repeat_n("x", 200));
            make(path)
        };
        assert!(dies(&before, 0));
        assert!(dies(&deep("after"), 0));
        assert!(!dies(&deep("not"), 1000));
        let mut outside = host.outside.clone();
        outside.extend(std::iter::repeat_n("x", 200));
        assert!(dies(&make(outside), 1000), "a user");
    }

    #[test]
    fn ids_that_the_agent_uses_itself_are_refused_with_their_line() {
        let host = Host::new();
        for id in ["hayward/canary", "hayward/mine", "fileless", "unscanned"] {
            host.write_rules(&format!(
                "rules:\n  - {{id: ok, banned: [x1]}}\n  - {{id: {id}, banned: [{BANNED}]}}\n"
            ));
            let answer = host.configured(&["check"]);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert!(
                answer.err.contains("rules.yaml:3: the id "),
                "{}",
                answer.err
            );
            assert!(answer.err.contains("rename"), "{}", answer.err);
        }
    }

    #[test]
    fn nothing_is_killed_by_a_reload_between_two_settings_that_both_spare_it() {
        let host = start(
            "",
            "{include: [/NAME/inside], exclude: [/NAME/inside/spared]}",
            "",
        );
        let spared = make(host.inside.join("spared"));
        let done = AtomicBool::new(false);
        let killed = std::thread::scope(|scope| {
            let starter = scope.spawn(|| {
                let mut killed = 0;
                while !done.load(Ordering::Relaxed) {
                    let status = Command::new("/bin/sh")
                        .arg("-c")
                        .arg(
                            r#"echo $$ > "$0/cgroup.procs"; i=0; n=0
                            while [ $i -lt 200 ]; do /bin/true "$1" || n=$((n + 1)); i=$((i + 1)); done; exit $n"#,
                        )
                        .arg(&spared)
                        .arg(BANNED)
                        .stderr(std::process::Stdio::null())
                        .status()
                        .expect("a shell");
                    killed += status.code().unwrap_or(1);
                }
                killed
            });
            for _ in 0..60 {
                let overrides =
                    "overrides:\n  - {match: /NAME/inside/spared, guards: {command: observe}}\n";
                write(&host, "", "{include: [/NAME/inside]}", overrides);
                host.hayward(&["reload"]).ok();
                write(
                    &host,
                    "",
                    "{include: [/NAME/inside], exclude: [/NAME/inside/spared]}",
                    "",
                );
                host.hayward(&["reload"]).ok();
            }
            done.store(true, Ordering::Relaxed);
            starter.join().expect("the starter")
        });
        assert_eq!(killed, 0);
        assert!(dies(&host.inside, 0));
    }
}
