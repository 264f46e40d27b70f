//! Many workloads and many policies: what the kernel side holds for them, and that each policy holds.

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        fmt::Write,
        fs,
        path::{Path, PathBuf},
    };

    use hayward_policy::Policy;
    use hayward_tests::{BANNED, Ended, Host, Launch, Start};

    const WORKLOADS: usize = 10_000;
    const POLICIES: usize = 1_000;
    /// Of all maps and programs together, for that many.
    const MOST_BYTES: u64 = 64 << 20;
    const MODES: [&str; 2] = ["observe", "enforce"];
    const RESPONSES: [&str; 4] = ["kill", "freeze", "throttle", "kill-workload"];

    /// Bytes of each map and program that an agent holds. Tables in maps are not among them.
    fn held(host: &Host) -> BTreeMap<String, u64> {
        let pid = host.agent.as_ref().expect("it runs").id();
        let mut held = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("it lives") {
            let text = fs::read_to_string(entry.expect("a file").path()).unwrap_or_default();
            let value = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key))?;
                line.trim().parse::<u64>().ok()
            };
            let map = value("map_id:").map(|id| format!("map {id}"));
            let program = value("prog_id:").map(|id| format!("program {id}"));
            if let (Some(name), Some(bytes)) = (map.or(program), value("memlock:")) {
                held.insert(name, bytes);
            }
        }
        assert!(programs(&held) > 0, "{held:?}");
        held
    }

    fn programs(held: &BTreeMap<String, u64>) -> usize {
        let names = held.keys();
        names.filter(|name| name.starts_with("program")).count()
    }

    fn cgroup(host: &Host, number: usize) -> PathBuf {
        let team = format!("team-{}", number % POLICIES);
        host.inside
            .join(team)
            .join(format!("docker-{number:064x}.scope"))
    }

    fn banned(cgroup: &Path) -> Ended {
        Launch::new("/bin/true", &[BANNED]).run(cgroup)
    }

    #[test]
    fn ten_thousand_workloads_with_a_thousand_policies_take_no_more_programs_and_little_memory() {
        let plain = Host::new().start(&Start::default());
        let before = held(&plain);
        drop(plain);
        let host = Host::new();
        let above = host.cgroup.file_name().expect("a name").to_string_lossy();
        let mut overrides = "overrides:\n".to_owned();
        for number in 0..POLICIES {
            let (mode, response) = (MODES[number % 2], RESPONSES[number / 2 % 4]);
            writeln!(
                overrides,
                "  - {{match: \"/{above}/inside/team-{number}/**\", guards: {{command: {{mode: {mode}, response: {response}}}}}}}"
            )
            .expect("text");
        }
        let policy = Policy::parse("a test", &overrides).expect("good settings");
        let tables = 4 * policy.scope_rules().table().words().len() as u64;
        let host = host.start(&Start {
            settings: overrides,
            ..Start::default()
        });
        for number in 0..WORKLOADS {
            fs::create_dir_all(cgroup(&host, number)).expect("a cgroup");
        }
        let after = held(&host);
        assert_eq!(programs(&after), programs(&before));
        // While one table takes the place of another there are two.
        let bytes = after.values().sum::<u64>() + 2 * tables;
        println!("{bytes} bytes, {tables} of them the table of the scope");
        assert!(bytes < MOST_BYTES, "{bytes}");

        // The policies of the first, the last, and of some in between: killed by the kernel, or not.
        for (number, ended) in [
            (0, Ended::Code(0)),
            (1, Ended::Signal(9)),
            (9_998, Ended::Code(0)),
            (9_999, Ended::Signal(9)),
        ] {
            assert_eq!(banned(&cgroup(&host, number)), ended, "{number}");
        }
        // One that its team's policy has frozen for that: before it has ended, or after.
        let freezes = cgroup(&host, 4_003);
        let launched = std::thread::spawn({
            let cgroup = freezes.clone();
            move || banned(&cgroup)
        });
        let frozen = freezes.join("cgroup.freeze");
        host.wait_until("a frozen workload", || {
            fs::read_to_string(&frozen).is_ok_and(|text| text == "1\n")
        });
        fs::write(&frozen, "0").expect("thawed");
        assert_eq!(launched.join().expect("no panic"), Ended::Code(0));
    }
}
