//! Processes that were there before their rule, or that rewrote their command line since.

#[cfg(test)]
mod tests {
    use std::{
        os::unix::{ffi::OsStrExt, process::ExitStatusExt},
        process::{Child, Command},
    };

    use hayward_tests::{BANNED, Host, Start};

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
        let scan = &host.status()["guards"]["command"]["scan"];
        assert!(scan["milliseconds"].as_f64().expect("a time") > 0.0);
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
}
