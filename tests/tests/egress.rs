//! What workloads may reach, by settings.

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use hayward_tests::{BANNED, Ended, Host, Launch, NetworkWorkload, Start};
    use serde_json::Value;

    /// An agent with these settings of the guard.
    fn guarding(settings: &str) -> Host {
        Host::new().guarding("egress", settings)
    }

    #[test]
    fn what_is_not_allowed_is_refused_and_recorded() {
        let host = guarding("{policy: allow, allow: [\"10.1.0.0/16 80\", \"fd01::/16 80/tcp\"]}");
        let status = host.hayward(&["status", "--json"]).ok().json();
        assert_eq!(
            status["guards"]["egress"]["status"], "enforcing",
            "{status}"
        );
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 443", "EPERM"),
            ("make c 6 SOCK_DGRAM", "ok"),
            ("send_to c x fd02::1 53", "EPERM"),
        ]);
        let records = host.wait_for_records("denied", 2);
        let destination = |at: usize| records[at]["evidence"]["destination"].clone();
        assert_eq!(
            destination(0),
            serde_json::json!({"address": "10.2.0.1", "port": 443, "protocol": "tcp"})
        );
        assert_eq!(destination(1)["address"], "fd02::1");
        for record in &records {
            assert_eq!(record["guard"], "egress");
            assert_eq!(record["rule"], "egress");
            assert_eq!(record["process"]["comm"], "python3");
            let line = record["process"]["command_line"].as_str();
            assert!(
                line.is_some_and(|line| line.contains("python3")),
                "{record}"
            );
        }
    }

    #[test]
    fn a_reload_changes_what_is_reached_and_an_agent_that_was_killed_changes_nothing() {
        let mut host = guarding("{policy: deny}");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "EPERM"),
        ]);
        host.edit_settings("{policy: deny}", "{policy: allow, allow: [10.1.0.0/16]}");
        host.hayward(&["reload"]).ok();
        workload.all(&[
            ("connect a 10.1.0.1 80", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "EPERM"),
        ]);
        host.kill_agent();
        workload.all(&[
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.1.0.1 80", "ok"),
            ("make d 4 SOCK_STREAM", "ok"),
            ("connect d 10.2.0.1 80", "EPERM"),
        ]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        workload.all(&[
            ("make e 4 SOCK_STREAM", "ok"),
            ("connect e 10.1.0.1 80", "ok"),
            ("make f 4 SOCK_STREAM", "ok"),
            ("connect f 10.2.0.1 80", "EPERM"),
        ]);
    }

    #[test]
    fn observing_refuses_nothing_and_records() {
        let host = guarding("{mode: observe, policy: deny}");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "ok"),
        ]);
        let record = host.wait_for_records("observed", 1).remove(0);
        assert_eq!(record["evidence"]["destination"]["address"], "10.1.0.1");
    }

    #[test]
    fn a_grant_opens_a_running_workload_for_its_time_and_a_quarantine_closes_it() {
        let mut host = guarding("{policy: allow, allow: [10.1.0.0/16]}");
        let cgroup = host
            .inside
            .join("docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
        std::fs::create_dir(&cgroup).expect("a cgroup");
        let mut workload = NetworkWorkload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "EPERM"),
        ]);
        let said = host
            .hayward(&["grants", "add", "0123456789ab", "--for", "1h"])
            .ok();
        assert!(
            said.out.starts_with("granted: 0123456789ab: until 2"),
            "{said:?}"
        );
        workload.all(&[("connect a 10.2.0.1 80", "ok"), ("accept far served", "ok")]);
        // It is the kernel that grants.
        host.kill_agent();
        workload.all(&[
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "ok"),
        ]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let grants = host.hayward(&["grants", "list", "--json"]).ok().json();
        assert_eq!(grants[0]["holds"], "granted", "{grants}");
        assert!(grants[0]["until"].is_string());
        assert_eq!(grants.as_array().map(Vec::len), Some(1));

        host.hayward(&["grants", "revoke", "0123456789ab"]).ok();
        // What was open is cut.
        workload.all(&[("send a late", "ok"), ("receive served", "TimeoutError")]);
        workload.all(&[
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.2.0.1 80", "EPERM"),
        ]);

        host.hayward(&["quarantine", "0123456789ab"]).ok();
        workload.all(&[
            ("make d 4 SOCK_STREAM", "ok"),
            ("connect d 10.1.0.1 80", "EPERM"),
        ]);
        host.hayward(&["grants", "revoke", "0123456789ab"]).ok();
        workload.all(&[("connect d 10.1.0.1 80", "ok")]);
        for action in ["granted", "revoked", "quarantined", "released"] {
            let record = host.wait_for_records(action, 1).remove(0);
            assert_eq!(record["guard"], "egress");
            assert!(record["actor"].is_object(), "{record}");
        }
        // A second is over soon.
        host.hayward(&["grants", "add", "0123456789ab", "--for", "1s"])
            .ok();
        host.wait_until("the end of the grant", || {
            workload.does("make e 4 SOCK_STREAM") == "ok"
                && workload.does("connect e 10.2.0.1 80") == "EPERM"
        });
        let grants = host.hayward(&["grants", "list", "--json"]).ok().json();
        assert_eq!(grants, serde_json::json!([]));
    }

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A cgroup of a container in scope, and a program in it that listens and is connected to itself.
    fn connected(host: &Host) -> (PathBuf, NetworkWorkload) {
        let cgroup = host.inside.join(format!("docker-{ID}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut workload = NetworkWorkload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "ok"),
            ("accept web served", "ok"),
            ("send a first", "ok"),
            ("receive served", "first"),
            ("make b 4 SOCK_STREAM", "ok"),
        ]);
        (cgroup, workload)
    }

    fn state(host: &Host) -> Value {
        let workloads = host.hayward(&["workloads", "--json"]).ok().json();
        let workloads = workloads.as_array().cloned().unwrap_or_default();
        let mut workloads = workloads.into_iter();
        let found = workloads.find(|one| one["workload"]["container_id"] == ID);
        found.expect("the workload")["restriction"].clone()
    }

    #[test]
    fn some_destinations_can_be_granted_and_stay_so_through_reloads_and_restarts() {
        let mut host = guarding("{policy: allow, allow: [\"10.2.0.0/16 80\"], never: []}");
        let (cgroup, mut workload) = connected(&host);
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 443", "ok"),
            ("connect b 10.1.0.1 443", "EPERM"),
        ]);
        let refused = host.hayward(&["grants", "add", &ID[..12], "--to", "10.1.0.1 x"]);
        assert!(refused.err.contains("is no port"), "{refused:?}");
        let to = "10.1.0.0/16 443/tcp";
        let said = host
            .hayward(&[
                "grants",
                "add",
                &ID[..12],
                "--for",
                "1h",
                "--to",
                to,
                "--to",
                "fd02::1",
            ])
            .ok();
        assert!(said.out.contains(to), "{said:?}");
        workload.all(&[
            ("connect b 10.1.0.1 444", "EPERM"),
            ("connect b 10.1.0.1 443", "ok"),
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.2.0.1 80", "ok"),
        ]);
        let until = || {
            let grants = host.hayward(&["grants", "list", "--json"]).ok().json();
            assert_eq!(grants[0]["holds"], "granted", "{grants}");
            assert_eq!(grants[0]["to"], serde_json::json!([to, "fd02::1"]));
            grants[0]["until"]
                .as_str()
                .map(|time| time[..19].to_owned())
        };
        let first = until();
        host.edit_settings("never: []", "never: [10.9.0.0/16]");
        host.hayward(&["reload"]).ok();
        assert_eq!(until(), first);
        host.kill_agent();
        workload.all(&[
            ("make d 4 SOCK_STREAM", "ok"),
            ("connect d 10.1.0.1 443", "ok"),
        ]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let grants = host.hayward(&["grants", "list"]).ok();
        assert!(grants.out.contains(to), "{grants:?}");
        let below = cgroup.join("below");
        fs::create_dir(&below).expect("a cgroup");
        NetworkWorkload::new(&below).all(&[
            ("listen near SOCK_STREAM 10.1.0.1 443", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 443", "ok"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.1.0.1 80", "EPERM"),
        ]);
        host.hayward(&["grants", "revoke", &ID[..12]]).ok();
        workload.all(&[
            ("make e 4 SOCK_STREAM", "ok"),
            ("connect e 10.1.0.1 443", "EPERM"),
        ]);
        // Nobody is there to end it.
        host.hayward(&["grants", "add", &ID[..12], "--for", "2s", "--to", to])
            .ok();
        workload.all(&[("connect e 10.1.0.1 443", "ok")]);
        host.kill_agent();
        host.wait_until("the end of the grant", || {
            workload.does("make f 4 SOCK_STREAM") == "ok"
                && workload.does("connect f 10.1.0.1 443") == "EPERM"
        });
    }

    #[test]
    fn a_guard_that_quarantines_cuts_a_workload_off_where_egress_is_not_listed() {
        let mut host = Host::new().start(&Start {
            command: "scan: 0s, response: quarantine".to_owned(),
            ..Start::default()
        });
        let (cgroup, mut workload) = connected(&host);
        assert_eq!(
            Launch::new("/bin/true", &[BANNED]).run(&cgroup),
            Ended::Code(0),
            "nobody is killed"
        );
        let record = host.wait_for_records("quarantined", 1).remove(0);
        assert_eq!(record["cause"], host.records("answered")[0]["id"]);
        assert_eq!(record["response"], "quarantine");
        assert_eq!(record["workload"]["container_id"], ID);
        let until = state(&host)["quarantined"]["until"].clone();
        assert!(until.is_string(), "an hour: {until}");
        workload.all(&[
            ("connect b 10.1.0.1 80", "EPERM"),
            // What was open is cut too.
            ("send a late", "ok"),
            ("receive served", "TimeoutError"),
        ]);
        // What it goes on trying is told, and is no further strike.
        let denied = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(denied["evidence"]["quarantined"], true, "{denied}");
        assert_eq!(denied["strike"], Value::Null);
        // Without the agent, and after it has come again.
        host.kill_agent();
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
        assert_eq!(state(&host)["quarantined"]["until"], until);
        let said = host.hayward(&["release", &ID[..12]]).ok();
        assert!(said.out.contains("quarantined no more"), "{said:?}");
        workload.all(&[("connect b 10.2.0.1 80", "ok")]);
        assert_eq!(state(&host), Value::Null);
    }

    #[test]
    fn a_rule_that_quarantines_freezes_until_the_agent_has_been_restarted() {
        let mut host = Host::new().start(&Start::default());
        let (cgroup, mut workload) = connected(&host);
        host.write_rules(&format!(
            "rules: [{{id: test/cut, banned: [{BANNED}], response: quarantine}}]\n"
        ));
        let report = host.hayward(&["reload", "--json"]).ok().json();
        let restart = serde_json::json!(["response: quarantine"]);
        assert_eq!(report["needs_restart"], restart, "{report}");
        let banned = |cgroup: &PathBuf| {
            let cgroup = cgroup.clone();
            std::thread::spawn(move || Launch::new("/bin/true", &[BANNED]).run(&cgroup))
        };
        let launched = banned(&cgroup);
        let record = host.wait_for_records("frozen", 1).remove(0);
        let detail = record["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("tried before: cannot quarantine"),
            "{record}"
        );
        host.hayward(&["thaw", &ID[..12]]).ok();
        launched.join().expect("it runs on");
        host.stop_agent();
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let launched = banned(&cgroup);
        host.wait_for_records("quarantined", 1);
        launched.join().expect("nobody ends it");
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
    }

    #[test]
    fn strikes_lead_to_a_quarantine_that_ends_by_itself() {
        let host = Host::new().start(&Start {
            settings: "quarantine: 5s\nstrikes: {then: [{after: 2, response: quarantine}]}\n"
                .to_owned(),
            ..Start::default()
        });
        let (cgroup, mut workload) = connected(&host);
        let banned = || Launch::new("/bin/true", &[BANNED]).run(&cgroup);
        assert_eq!(banned(), Ended::Signal(9));
        host.wait_for_records("killed", 1);
        workload.all(&[
            ("make c 4 SOCK_STREAM", "ok"),
            ("connect c 10.2.0.1 80", "ok"),
        ]);
        assert_eq!(banned(), Ended::Signal(9));
        let record = host.wait_for_records("quarantined", 1).remove(0);
        let detail = record["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with("2 strikes; until 2"), "{record}");
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
        host.wait_until("the end of the quarantine", || {
            workload.does("make d 4 SOCK_STREAM") == "ok"
                && workload.does("connect d 10.2.0.1 80") == "ok"
        });
        host.wait_until("nothing to be shown", || state(&host).is_null());
    }

    #[test]
    fn where_nothing_judges_packets_a_quarantine_by_hand_says_what_to_do() {
        let host = Host::new().start(&Start::default());
        connected(&host);
        let refused = host.hayward(&["quarantine", &ID[..12]]);
        assert_ne!(refused.code, 0);
        assert!(refused.err.contains("under `guards`"), "{refused:?}");
    }

    #[test]
    fn overrides_say_what_their_workloads_may_reach() {
        let mut host = Host::new();
        let name = host
            .cgroup
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        host.write_settings(&Start {
            settings: format!(
                "overrides: [{{match: \"/{name}/inside/build/**\", guards: {{egress: {{policy: allow, allow: [10.2.0.0/16]}}}}}}]\n"
            ),
            ..Start::default()
        });
        host.edit_settings("guards:\n", "guards:\n  egress: {policy: deny}\n");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        for (folder, near, far) in [("build", "EPERM", "ok"), ("test", "EPERM", "EPERM")] {
            let cgroup = host.inside.join(folder).join("job");
            std::fs::create_dir_all(&cgroup).expect("a cgroup");
            NetworkWorkload::new(&cgroup).all(&[
                ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
                ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
                ("make a 4 SOCK_STREAM", "ok"),
                ("connect a 10.1.0.1 80", near),
                ("make b 4 SOCK_STREAM", "ok"),
                ("connect b 10.2.0.1 80", far),
            ]);
        }
    }

    #[test]
    fn bad_settings_say_what_to_write() {
        let host = Host::new();
        for (settings, part) in [
            ("{policy: closed}", "known are open, deny, allow"),
            ("{policy: allow, allow: [10.0.0.1/8]}", "write 10.0.0.0/8"),
            ("{policy: allow, allow: [\"exa mple\"]}", "is no address"),
            ("{policy: allow, allow: [example]}", "is no address"),
            ("{always: [example]}", "or a name such as example.org"),
            ("{never: [example.org]}", "is no address"),
            ("{resolvers: [dns.example]}", "no address of a name server"),
            ("{allows: []}", "allow"),
        ] {
            host.write_settings(&Start::default());
            host.edit_settings("guards:\n", &format!("guards:\n  egress: {settings}\n"));
            let answer = host.configured(&["check"]);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert!(answer.err.contains(part), "{settings}: {answer:?}");
        }
    }
}
