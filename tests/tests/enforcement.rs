//! A banned command never runs its first instruction, whatever its length and however it is started.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use hayward_tests::{
        BANNED, Ended, Host, Launch, Start, Way, copy_program, creator32, creator64, write_program,
    };

    fn program(host: &Host, name: &str, bytes: &[u8]) -> PathBuf {
        let path = host.path(name);
        write_program(bytes, &path);
        path
    }

    fn text(path: &Path) -> &str {
        path.to_str().expect("a path")
    }

    #[test]
    fn a_path_too_long_for_an_event_is_recorded_without_its_front_and_says_so() {
        let host = Host::new().start(&Start::default());
        let folder = host.path(&["a-long-name-of-a-folder"; 30].join("/"));
        fs::create_dir_all(&folder).expect("ours");
        let program = folder.join("program");
        copy_program("/usr/bin/touch", &program);
        let launch = Launch::new(&program, &[BANNED]);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        let recorded = record["process"]["executable"].as_str().expect("a path");
        let end = recorded.strip_prefix("\u{2026}/").expect(recorded);
        assert!(
            end.len() > 400 && text(&program).ends_with(end),
            "{recorded}"
        );
    }

    #[test]
    fn a_banned_command_dies_unrun_and_shows_in_records_log_and_metrics() {
        let host = Host::new().start(&Start::default());
        let marker = host.marker();
        let launch = Launch::new("/usr/bin/touch", &[text(&marker), BANNED]);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
        assert!(!marker.exists(), "not one instruction ran");

        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["rule"], "test/banned");
        assert_eq!(record["reason"], "a test");
        assert_eq!(record["process"]["comm"], "touch");
        assert_eq!(record["process"]["executable"], "/usr/bin/touch");
        let line = record["process"]["command_line"].as_str().expect("a line");
        assert!(line.ends_with(BANNED), "{line}");
        let cgroup = record["workload"]["cgroup"].as_str().expect("a cgroup");
        assert!(cgroup.ends_with("/inside"), "{cgroup}");
        let id = record["id"].as_str().expect("an id");
        let explained = host.hayward(&["explain", id]).ok().out;
        assert!(explained.contains("judged_at: exec"), "{explained}");
        assert!(host.log().contains(id), "{}", host.log());
        let metrics = host.metrics();
        let killed = "hayward_verdicts_total{guard=\"command\",action=\"killed\"} 1";
        assert!(metrics.contains(killed), "{metrics}");
        let report = host.hayward(&["report", "--json"]).ok().json();
        assert_eq!(report["rules"][0]["name"], "test/banned");
        assert_eq!(report["rules"][0]["killed"], 1);
    }

    #[test]
    fn what_is_harmless_allowed_or_out_of_scope_lives() {
        let host = Host::new().start(&Start::default());
        for (cgroup, arguments) in [
            (&host.inside, vec!["hayward-banned-sentinels"]),
            (&host.inside, vec![BANNED, "--help"]),
            (&host.outside, vec![BANNED]),
            (&host.cgroup, vec![BANNED]),
        ] {
            let ended = Launch::new("/bin/echo", &arguments).run(cgroup);
            assert_eq!(ended, Ended::Code(0), "{arguments:?} in {cgroup:?}");
        }
        let spared = host.wait_for_records("spared", 1);
        assert_eq!(spared[0]["rule"], "test/banned");
        assert!(host.records("killed").is_empty());
        assert!(host.counter("out_of_scope") >= 2);
    }

    #[test]
    fn a_container_made_a_moment_ago_is_covered() {
        // A new rule that acts in so many containers would only observe, by the breaker.
        let host = Host::new().start(&Start {
            settings: "breaker: {young: 0s}\n".to_owned(),
            ..Start::default()
        });
        for number in 0..20 {
            let pod = host.cgroup.join(format!("kubepods-pod{number}.slice"));
            let container = pod.join(format!("cri-containerd-{number:064x}.scope"));
            fs::create_dir_all(&container).expect("a cgroup");
            let ended = Launch::new("/bin/true", &[BANNED]).run(&container);
            assert_eq!(ended, Ended::Signal(9), "container {number}");
        }
        let records = host.wait_for_records("killed", 20);
        assert_eq!(records[0]["workload"]["kind"], "container");
    }

    #[test]
    fn every_way_to_start_a_program_is_covered() {
        let host = Host::new().start(&Start::default());
        let wide = program(&host, "wide", &creator64());
        let narrow = program(&host, "narrow", &creator32());
        let mut expected = 0;
        for (program, name) in [(&wide, "64 bits"), (&narrow, "32 bits")] {
            for way in Way::ALL {
                let harmless = host.marker();
                let launch = Launch::new(program, &[text(&harmless)]).by(way);
                assert_eq!(launch.run(&host.inside), Ended::Code(0), "{way:?}, {name}");
                assert!(harmless.exists(), "{way:?} runs the program, {name}");
                let marker = host.marker();
                let launch = Launch::new(program, &[text(&marker), BANNED]).by(way);
                assert_eq!(
                    launch.run(&host.inside),
                    Ended::Signal(9),
                    "{way:?}, {name}"
                );
                assert!(!marker.exists(), "{way:?}: not one instruction ran, {name}");
                expected += 1;
            }
        }
        let script = program(&host, "script", format!("#!{}\n", text(&wide)).as_bytes());
        let launch = Launch::new(&script, &[BANNED]);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9), "shebang");
        assert!(!host.path("script.ran").exists());
        let records = host.wait_for_records("killed", expected + 1);
        let fileless = records
            .iter()
            .filter(|record| record["evidence"]["fileless"] == true);
        assert_eq!(fileless.count(), 4, "memfd and deleted, in both widths");
    }

    #[test]
    fn programs_in_memory_are_killed_where_settings_say_so() {
        let start = Start {
            command: "scan: 0s, fileless: kill".to_owned(),
            ..Start::default()
        };
        let host = Host::new().start(&start);
        let marker = host.marker();
        let launch = Launch::new("/usr/bin/touch", &[text(&marker)]);
        let in_memory = launch.clone().by(Way::Memfd);
        assert_eq!(
            in_memory.clone().with_own_mounts().run(&host.inside),
            Ended::Signal(9)
        );
        assert!(!marker.exists());
        assert_eq!(launch.run(&host.inside), Ended::Code(0));
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["evidence"]["fileless"], true);
        assert_eq!(record["rule"], "fileless");
        // As container runtimes start their first stage: root, among the host's own mounts.
        assert_eq!(in_memory.run(&host.inside), Ended::Code(0));
    }

    #[test]
    fn programs_in_memory_are_recorded() {
        let host = Host::new().start(&Start::default());
        let marker = host.marker();
        let launch = Launch::new("/usr/bin/touch", &[text(&marker)]).by(Way::Memfd);
        assert_eq!(launch.with_own_mounts().run(&host.inside), Ended::Code(0));
        let record = host.wait_for_records("observed", 1).remove(0);
        assert_eq!(record["rule"], "fileless");
        assert_eq!(record["mode"], "observe");
    }

    #[test]
    fn length_and_number_of_arguments_hide_nothing() {
        let host = Host::new().start(&Start::default());
        let mut expected = 0;
        // An argument can have 131,071 bytes, so the padding takes several where it must.
        for offset in [255_usize, 256, 4095, 4096, 8191, 131_000, 200_000, 262_000] {
            let mut launch = Launch::new("/bin/true", &[]);
            let mut left = offset - "/bin/true\0".len();
            while left > 0 {
                let taken = left.min(100_000);
                launch.arguments.push(vec![b'x'; taken - 1]);
                left -= taken;
            }
            let at: usize = launch.arguments.iter().map(|a| a.len() + 1).sum();
            assert_eq!(at, offset);
            let harmless = launch.run(&host.inside);
            assert_eq!(harmless, Ended::Code(0), "padding alone, {offset}");
            launch.arguments.push(BANNED.as_bytes().to_vec());
            assert_eq!(launch.run(&host.inside), Ended::Signal(9), "at {offset}");
            expected += 1;
        }
        let mut first = Launch::new("/bin/true", &["x"]);
        first.arguments[0] = BANNED.as_bytes().to_vec();
        assert_eq!(first.run(&host.inside), Ended::Signal(9), "at 0");
        for count in [30, 3000] {
            let mut launch = Launch::new("/bin/true", &[]);
            launch.arguments.extend(vec![b"argument".to_vec(); count]);
            launch.arguments.push(BANNED.as_bytes().to_vec());
            assert_eq!(
                launch.run(&host.inside),
                Ended::Signal(9),
                "{count} of them"
            );
        }
        let records = host.wait_for_records("killed", expected + 3);
        let offsets: Vec<u64> = records
            .iter()
            .filter_map(|record| record["evidence"]["match_end"].as_u64())
            .collect();
        assert!(
            offsets.contains(&(262_000 + BANNED.len() as u64)),
            "{offsets:?}"
        );
    }

    #[test]
    fn past_the_kernels_bound_the_agent_judges_at_once() {
        let host = Host::new().start(&Start::default());
        let mut launch = Launch::new("/bin/sleep", &["100"]);
        launch.program = "/usr/bin/perl".into();
        launch.arguments = vec![b"perl".to_vec(), b"-e".to_vec(), b"sleep 100".to_vec()];
        launch.arguments.extend(vec![vec![b'x'; 100_000]; 3]);
        launch.arguments.push(BANNED.as_bytes().to_vec());
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["evidence"]["unscanned"], "too-long");
        assert_eq!(record["rule"], "test/banned");

        launch.arguments.pop();
        launch.arguments[2] = b"select undef, undef, undef, 0.5".to_vec();
        assert_eq!(launch.run(&host.inside), Ended::Code(0));
        let record = host.wait_for_records("cleared", 1).remove(0);
        assert_eq!(record["evidence"]["unscanned"], "too-long");
        assert_eq!(host.counter("unscanned_long"), 2);
    }

    #[test]
    fn unjudged_programs_are_killed_where_settings_say_so() {
        let start = Start {
            command: "scan: 0s, unscanned: kill".to_owned(),
            ..Start::default()
        };
        let host = Host::new().start(&start);
        let marker = host.marker();
        let mut launch = Launch::new("/usr/bin/touch", &[text(&marker)]);
        launch.arguments.extend(vec![vec![b'x'; 100_000]; 3]);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
        assert!(!marker.exists());
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["rule"], "unscanned", "no rule is to blame");
    }

    #[test]
    fn observe_at_any_level_spares_and_records() {
        let rules = |file: &str, rule: &str| {
            format!("{file}rules:\n  - {{id: test/banned, banned: [{BANNED}]{rule}}}\n")
        };
        let enforcing = Start::default();
        let whole = Start {
            settings: "mode: observe\n".to_owned(),
            ..Start::default()
        };
        let guard = Start {
            command: "scan: 0s, mode: observe".to_owned(),
            ..Start::default()
        };
        let response = Start {
            command: "scan: 0s, response: observe".to_owned(),
            ..Start::default()
        };
        for (what, start, rules) in [
            ("whole agent", &whole, rules("", "")),
            ("guard", &guard, rules("", "")),
            ("response", &response, rules("", "")),
            ("file", &enforcing, rules("mode: observe\n", "")),
            ("rule", &enforcing, rules("", ", mode: observe")),
            (
                "rule's response",
                &enforcing,
                rules("", ", response: observe"),
            ),
        ] {
            let mut host = Host::new();
            host.write_rules(&rules);
            host.write_settings(start);
            host.spawn();
            host.wait_until("a socket", || host.hayward(&["status"]).code == 0);
            let ended = Launch::new("/bin/true", &[BANNED]).run(&host.inside);
            assert_eq!(ended, Ended::Code(0), "{what}");
            let record = host.wait_for_records("observed", 1).remove(0);
            assert_eq!(record["rule"], "test/banned", "{what}");
        }
    }
}
