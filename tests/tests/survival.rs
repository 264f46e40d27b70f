//! Enforcement does not hang on the agent, and switching off does not either.

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicBool, AtomicU32, Ordering},
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start, Way};

    fn banned(cgroup: &Path) -> Ended {
        Launch::new("/bin/true", &[BANNED]).run(cgroup)
    }

    #[test]
    fn banned_commands_die_without_the_agent_and_the_next_one_tells_of_them() {
        let mut host = Host::new().start(&Start::default());
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        host.wait_for_records("killed", 1);
        host.kill_agent();
        let beneath = host.inside.join("made-while-no-agent-ran");
        std::fs::create_dir(&beneath).expect("a cgroup");
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        assert_eq!(banned(&beneath), Ended::Signal(9));
        assert_eq!(host.hayward(&["status"]).code, 3, "no agent answers");

        let host = host.start(&Start::default());
        let status = host.status();
        assert_eq!(status["adopted"], true);
        let notices = status["notices"].to_string();
        assert!(notices.contains("taken over"), "{notices}");
        let records = host.wait_for_records("killed", 3);
        let meanwhile = records
            .iter()
            .filter(|record| record["process"]["comm"] == "true");
        assert_eq!(meanwhile.count(), 3);
        assert_eq!(banned(&host.inside), Ended::Signal(9));
    }

    #[test]
    fn a_stopped_agent_leaves_its_guard_in_force_and_uninstall_removes_it() {
        let mut host = Host::new().start(&Start::default());
        let refused = host.configured(&["uninstall"]);
        assert_eq!(refused.code, 5);
        assert!(refused.err.contains("stop it first"), "{}", refused.err);
        host.stop_agent();
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        host.configured(&["uninstall"]).ok();
        assert!(!host.pins.exists(), "no pin is left");
        assert_eq!(banned(&host.inside), Ended::Code(0));
        host.configured(&["uninstall"]).ok();
    }

    #[test]
    fn no_banned_command_slips_through_while_one_agent_follows_another() {
        let mut host = Host::new().start(&Start::default());
        let (stop, tried, lived) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
        let inside = host.inside.clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    tried.fetch_add(1, Ordering::Relaxed);
                    if banned(&inside) != Ended::Signal(9) {
                        lived.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            for round in 0..4 {
                if round % 2 == 0 {
                    host.kill_agent();
                } else {
                    host.stop_agent();
                }
                host.spawn();
                let wait = ["status", "--wait", "enforcing", "--timeout", "20s"];
                let started = host.hayward(&wait);
                if started.code != 0 || round == 3 {
                    stop.store(true, Ordering::Relaxed);
                }
                started.ok();
            }
        });
        assert_eq!(lived.load(Ordering::Relaxed), 0);
        assert!(tried.load(Ordering::Relaxed) > 4);
    }

    #[test]
    fn off_and_on_work_with_the_agent_and_without() {
        let mut host = Host::new().start(&Start::default());
        let act = |host: &Host, arguments: &[&str]| {
            host.configured(arguments).ok();
        };
        act(&host, &["off"]);
        assert_eq!(host.status()["guards"]["command"]["status"], "off");
        assert_eq!(banned(&host.inside), Ended::Code(0));
        act(&host, &["on"]);
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        let record = host.wait_for_records("switched-off", 1).remove(0);
        assert_eq!(record["actor"]["uid"], 0, "who did it is recorded");
        act(&host, &["off", "--guard", "command", "--for", "1h"]);
        assert_eq!(banned(&host.inside), Ended::Code(0));
        host.kill_agent();
        assert_eq!(
            banned(&host.inside),
            Ended::Code(0),
            "off outlives the agent"
        );
        act(&host, &["on"]);
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        act(&host, &["off"]);
        assert_eq!(banned(&host.inside), Ended::Code(0));
        act(&host, &["off", "--for", "1s"]);
        host.wait_until("the end of `off --for 1s`", || {
            banned(&host.inside) == Ended::Signal(9)
        });
    }

    #[test]
    fn without_an_agent_for_longer_than_the_lease_banned_commands_are_only_observed() {
        let mut host = Host::new().start(&Start::default());
        host.kill_agent();
        // The same pins, and an agent that promises a sign of life every second.
        host.write_settings(&Start::default());
        let settings = host.path("hayward.yaml");
        let text = std::fs::read_to_string(&settings).expect("settings");
        std::fs::write(&settings, text.replace("lease: 60s", "lease: 1s")).expect("settings");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        assert_eq!(banned(&host.inside), Ended::Signal(9));
        let agent = host.agent.as_ref().map(std::process::Child::id);
        host.kill_agent();
        host.wait_until("the end of the lease", || {
            banned(&host.inside) == Ended::Code(0)
        });
        assert!(agent.is_some());
        let host = host.start(&Start::default());
        assert!(host.counter("lease_expired") >= 1);
        assert_eq!(
            banned(&host.inside),
            Ended::Signal(9),
            "the next agent renews it"
        );
    }

    #[test]
    fn hayward_itself_is_never_killed() {
        let host = Host::new().start(&Start::default());
        let binary = std::env::var_os("HAYWARD_BINARY").map_or_else(
            || {
                let test = std::env::current_exe().expect("this test");
                test.ancestors().nth(2).expect("target").join("hayward")
            },
            Into::into,
        );
        let launch = Launch::new(&binary, &["judge", "command", BANNED]);
        for way in [Way::Execve, Way::Fexecve, Way::PosixSpawn] {
            let ended = launch.clone().by(way).run(&host.inside);
            assert!(matches!(ended, Ended::Code(_)), "{way:?}: {ended:?}");
        }
        host.wait_for_records("observed", 3);
    }
}
