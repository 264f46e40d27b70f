//! Processes that were there before their rule, or that rewrote their command line since.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{ffi::OsStrExt, process::ExitStatusExt},
        process::{Child, Command},
    };

    use hayward_tests::{BANNED, Host, Start, copy_program};

    fn scanning() -> Start {
        Start {
            command: "scan: 100ms".to_owned(),
            ..Start::default()
        }
    }

    /// A process in `procs` that ends when it is killed, and after a minute.
    fn start(host: &Host, program: &str) -> Child {
        Command::new("/bin/sh")
            .args(["-c", r#"echo $$ > "$PROCS"; eval "exec $PROGRAM""#])
            .env("PROCS", host.inside.join("cgroup.procs"))
            .env("PROGRAM", program)
            .env("WORD", BANNED)
            .env("FOLDER", host.folder.path())
            .spawn()
            .expect("a shell")
    }

    #[test]
    fn a_process_that_ran_before_the_agent_is_found() {
        let host = Host::new();
        let mut running = start(&host, r#"/usr/bin/perl -e 'sleep 60' "$WORD""#);
        let host = host.start(&scanning());
        let status = running.wait().expect("a child");
        assert_eq!(status.signal(), Some(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["evidence"]["judged_at"], "scan");
        assert_eq!(record["rule"], "test/banned");
        // It is known when the scan is over, in which the record was written.
        host.wait_until("the scan's cost", || {
            let scan = &host.status()["guards"]["command"]["scan"];
            scan["milliseconds"].as_f64().expect("a time") > 0.0
        });
    }

    #[test]
    fn a_process_that_rewrites_its_command_line_is_found() {
        let host = Host::new().start(&scanning());
        // perl writes its own arguments when $0 changes; a long argument makes room.
        let program = format!(
            r#"/usr/bin/perl -e '$0 = $ENV{{WORD}}; sleep 60' {}"#,
            "x".repeat(60)
        );
        let mut running = start(&host, &program);
        assert_eq!(running.wait().expect("a child").signal(), Some(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["evidence"]["judged_at"], "scan");
    }

    #[test]
    fn a_process_whose_name_is_no_utf8_is_found() {
        let host = Host::new();
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        let program = host.folder.path().join(name);
        std::os::unix::fs::symlink("/usr/bin/perl", program).expect("a link");
        let program = r#""$FOLDER/$(printf '\377')" -e 'sleep 60' "$WORD""#;
        let mut running = start(&host, program);
        let host = host.start(&scanning());
        assert_eq!(running.wait().expect("a child").signal(), Some(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["process"]["comm"], "\u{fffd}");
    }

    #[test]
    fn what_is_out_of_scope_is_not_scanned() {
        let host = Host::new();
        let mut outside = Command::new("/usr/bin/perl")
            .args(["-e", "sleep 60", BANNED])
            .spawn()
            .expect("perl");
        let mut inside = start(&host, r#"/usr/bin/perl -e 'sleep 60' "$WORD""#);
        let host = host.start(&scanning());
        assert_eq!(inside.wait().expect("a child").signal(), Some(9));
        host.wait_for_records("killed", 1);
        assert!(outside.try_wait().expect("a child").is_none(), "it lives");
        outside.kill().expect("our own child");
        outside.wait().expect("our own child");
    }

    /// Scans go on, and so does the count of processes that they have read.
    fn wait_for_scans(host: &Host) {
        let metric =
            "cryptnono_execwhacker_processes_checked_total{source=\"psutil.process_iter\"}";
        let read = || -> u64 {
            let listen = host.status()["metrics"]["cryptnono"][0].clone();
            let page = hayward_tests::get(listen.as_str().expect("an address"), "/");
            let line = page.lines().find_map(|line| line.strip_prefix(metric));
            line.and_then(|number| number.trim().parse().ok())
                .unwrap_or(0)
        };
        let before = read();
        host.wait_until("five more scans", || read() >= before + 5);
    }

    fn scanning_and_counting(host: &Host, command: &str) {
        host.write_settings(&Start {
            command: command.to_owned(),
            settings: "compat: [cryptnono]\n".to_owned(),
        });
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        let text = text.replace(
            "metrics: {listen: \"127.0.0.1:0\"}",
            "metrics: {listen: \"127.0.0.1:0\", cryptnono: [\"127.0.0.1:0\", \"127.0.0.1:0\"]}",
        );
        fs::write(&settings, text).expect("settings");
    }

    #[test]
    fn what_goes_on_running_is_recorded_once_and_again_when_it_turns_into_something_else() {
        let mut host = Host::new();
        host.write_rules(
            "allow: ['.* --help']\nrules:\n  - {id: test/two, banned: [hayward-one, hayward-two], mode: observe}\n",
        );
        // Room for the other name; perl writes its own arguments when $0 changes.
        let turning = r#"/usr/bin/perl -e '$SIG{USR1} = sub { $0 = "hayward-" . "two" }; sleep 60 while 1' hayward-one xxxxxxxxxxxx"#;
        let mut turning = start(&host, turning);
        let mut spared = start(&host, "/usr/bin/perl -e 'sleep 60' hayward-one x --help");
        scanning_and_counting(&host, "scan: 100ms");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        host.wait_for_records("observed", 1);
        host.wait_for_records("spared", 1);
        wait_for_scans(&host);
        assert_eq!(host.records("observed").len(), 1, "once");
        assert_eq!(host.records("spared").len(), 1, "once");
        let pid = i32::try_from(turning.id()).ok();
        let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).expect("our own child");
        let observed = host.wait_for_records("observed", 2);
        wait_for_scans(&host);
        assert_eq!(host.records("observed").len(), 2, "{observed:?}");
        assert_eq!(observed[0]["matched"], "hayward-one");
        assert_eq!(observed[1]["matched"], "hayward-two");
        // Recorded at its start by the kernel, and not again by a scan.
        let mut started = start(&host, r#"/usr/bin/perl -e 'sleep 60' hayward-two"#);
        host.wait_for_records("observed", 3);
        wait_for_scans(&host);
        assert_eq!(host.records("observed").len(), 3);
        for child in [&mut turning, &mut spared, &mut started] {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
    }

    /// A copy of a program in the folder of the test.
    fn copy(host: &Host, program: &str, name: &str) -> std::path::PathBuf {
        let path = host.path(name);
        copy_program(program, &path);
        path
    }

    #[test]
    fn an_executable_whose_file_is_gone_is_found_and_one_that_is_named_so_is_not() {
        let host = Host::new();
        host.write_rules("rules:\n  - {id: test/name, executable: [hayward-evil]}\n");
        let evil = copy(&host, "/usr/bin/sleep", "hayward-evil");
        let named = copy(&host, "/usr/bin/sleep", "hayward-evil (deleted)");
        let harmless = copy(&host, "/usr/bin/sleep", "hayward-good");
        let mut running: Vec<Child> = [&evil, &named, &harmless]
            .into_iter()
            .map(|path| start(&host, &format!("'{}' 60", path.display())))
            .collect();
        for (child, path) in running.iter().zip([&evil, &named, &harmless]) {
            host.wait_until("the program itself", || {
                fs::read_link(format!("/proc/{}/exe", child.id())).is_ok_and(|exe| exe == *path)
            });
        }
        fs::remove_file(&evil).expect("our own file");
        fs::remove_file(&harmless).expect("our own file");
        let host = host.start(&scanning());
        assert_eq!(running[0].wait().expect("a child").signal(), Some(9));
        let record = host.wait_for_records("killed", 1).remove(0);
        let executable = record["process"]["executable"].as_str().expect("a path");
        assert!(executable.ends_with("/hayward-evil"), "{executable}");
        for child in &mut running[1..] {
            assert!(child.try_wait().expect("a child").is_none(), "it lives");
            child.kill().expect("our own child");
            child.wait().expect("our own child");
        }
        assert_eq!(host.records("killed").len(), 1);
    }

    #[test]
    fn haywards_own_binary_is_left_alone_in_scope_and_a_copy_of_it_is_not() {
        let host = Host::new();
        let binary = hayward_tests::binary();
        let link = host.path("hayward-other-name");
        std::os::unix::fs::symlink(&binary, &link).expect("a link");
        let copied = copy(&host, binary.to_str().expect("a path"), "hayward-copy");
        // It waits for an agent whose socket is not there.
        let arguments = r#"status --socket "/$WORD" --wait enforcing --timeout 1m"#;
        let mut own = start(&host, &format!("'{}' {arguments}", link.display()));
        let mut other = start(&host, &format!("'{}' {arguments}", copied.display()));
        host.wait_until("both commands", || {
            [&own, &other].iter().all(|child| {
                fs::read_to_string(format!("/proc/{}/cmdline", child.id()))
                    .is_ok_and(|line| line.contains(BANNED))
            })
        });
        let host = host.start(&scanning());
        assert_eq!(other.wait().expect("a child").signal(), Some(9), "control");
        let killed = host.wait_for_records("killed", 1);
        assert_eq!(killed.len(), 1, "{killed:?}");
        assert!(own.try_wait().expect("a child").is_none(), "it lives");
        assert!(host.records("missed").is_empty());
        own.kill().expect("our own child");
        own.wait().expect("our own child");
    }
}
