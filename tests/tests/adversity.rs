//! Signals, and what goes wrong around an agent: enforcement goes on, what is lost is counted, and all is well again when
//! the cause has gone.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        net::TcpListener,
        path::{Path, PathBuf},
        process::Child,
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Siege, Start, get};
    use rustix::process::{Pid, Signal, kill_process};

    fn banned(host: &Host) -> Ended {
        Launch::new("/bin/true", &[BANNED]).run(&host.inside)
    }

    fn signal(agent: &Child, signal: Signal) {
        let pid = i32::try_from(agent.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("our own agent");
    }

    fn problems(host: &Host) -> String {
        host.status()["problems"].to_string()
    }

    fn lost(host: &Host, cause: &str) -> u64 {
        host.status()["records_lost"][cause].as_u64().unwrap_or(0)
    }

    #[test]
    fn terminate_leaves_the_guard_in_force_and_hangup_reads_the_rules_again() {
        const OTHER: &str = "hayward-other-sentinel";
        let mut host = Host::new().start(&Start::default());
        let other = Launch::new("/bin/true", &[OTHER]);
        assert_eq!(other.run(&host.inside), Ended::Code(0));
        // Nothing has changed, so nothing but the signal makes it read.
        signal(host.agent.as_ref().expect("an agent"), Signal::HUP);
        host.wait_for_records("reloaded", 1);
        host.write_rules(&format!(
            "rules: [{{id: test/both, banned: [{OTHER}, {BANNED}]}}]\n"
        ));
        signal(host.agent.as_ref().expect("an agent"), Signal::HUP);
        host.wait_for_records("reloaded", 2);
        assert_eq!(other.run(&host.inside), Ended::Signal(9));
        host.write_rules("rules: [{\n");
        signal(host.agent.as_ref().expect("an agent"), Signal::HUP);
        host.wait_for_records("reload-refused", 1);
        assert_eq!(other.run(&host.inside), Ended::Signal(9));

        let siege = Siege::begin(&host, OTHER);
        let mut agent = host.agent.take().expect("an agent");
        signal(&agent, Signal::TERM);
        signal(&agent, Signal::TERM);
        let status = agent.wait().expect("our own agent");
        assert_eq!(status.code(), Some(0), "{status:?}");
        assert!(!host.path("hayward.sock").exists(), "the socket is removed");
        let tried = siege.tried();
        host.wait_until("attempts without an agent", || siege.tried() > tried + 5);
        let (tried, lived) = siege.end();
        assert_eq!(lived, 0, "of {tried}");
        host.write_rules(&format!("rules: [{{id: test/both, banned: [{OTHER}]}}]\n"));
        let host = host.running();
        assert_eq!(host.records("stopped").len(), 1);
    }

    #[test]
    fn an_agent_that_starts_while_it_is_off_is_proven_when_it_is_switched_on() {
        let mut host = Host::new().start(&Start::default());
        host.configured(&["off"]).ok();
        host.stop_agent();
        host.spawn();
        host.wait_until("a socket", || host.hayward(&["status"]).code == 0);
        let guard = host.status()["guards"]["command"].clone();
        assert_eq!(guard["status"], "off", "{guard}");
        assert_eq!(banned(&host), Ended::Code(0));
        host.configured(&["on"]).ok();
        let guard = host.status()["guards"]["command"].clone();
        assert_eq!(guard["status"], "enforcing", "{guard}");
        assert_eq!(banned(&host), Ended::Signal(9));
    }

    #[test]
    fn a_metrics_port_that_is_taken_is_told_and_taken_when_it_is_free() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let host = Host::new();
        host.edit_settings("127.0.0.1:0", &address);
        let host = host.running();
        assert_eq!(banned(&host), Ended::Signal(9));
        let problem = problems(&host);
        for text in [&address, "metrics.listen", "in use"] {
            assert!(problem.contains(text), "{text} in {problem}");
            assert!(host.log().contains(text), "{text}");
        }
        assert!(host.status()["metrics"]["listen"].is_null());
        let shown = host.hayward(&["status"]).ok().out;
        assert!(shown.contains("problem: no metrics at"), "{shown}");
        drop(taken);
        host.wait_until("metrics", || !host.status()["metrics"]["listen"].is_null());
        assert_eq!(problems(&host), "[]");
        assert!(get(&address, "/metrics").contains("hayward_build_info"));
    }

    #[test]
    fn a_journal_that_cannot_be_written_yet_keeps_no_agent_from_enforcing() {
        let host = Host::new();
        let journal = host.path("journal");
        fs::write(&journal, "a file, no folder").expect("a file");
        let host = host.running();
        assert_eq!(banned(&host), Ended::Signal(9));
        host.wait_until("a lost record", || lost(&host, "unwritable") > 0);
        let problem = problems(&host);
        assert!(
            problem.contains(journal.to_str().expect("text")),
            "{problem}"
        );
        assert!(host.log().contains("records go to the log alone"));
        host.wait_until("the kill in the log", || host.log().contains("killed true"));
        fs::remove_file(&journal).expect("our own file");
        host.wait_until("a record in the journal", || {
            banned(&host) == Ended::Signal(9)
                && host
                    .hayward(&["events", "--action", "killed"])
                    .out
                    .contains("killed")
        });
        assert_eq!(problems(&host), "[]");
        assert!(host.log().contains("the journal can be written again"));
    }

    #[test]
    fn a_journal_that_goes_while_it_is_written_is_begun_anew() {
        let host = Host::new().start(&Start::default());
        let journal = host.path("journal");
        fs::remove_dir_all(&journal).expect("our own journal");
        fs::write(&journal, "a file, no folder").expect("a file");
        assert_eq!(banned(&host), Ended::Signal(9));
        host.wait_until("a lost record", || lost(&host, "unwritable") > 0);
        assert!(!host.hayward(&["events"]).err.is_empty());
        fs::remove_file(&journal).expect("our own file");
        assert_eq!(banned(&host), Ended::Signal(9));
        host.wait_for_records("killed", 1);
        assert_eq!(problems(&host), "[]");
    }

    /// Takes all the space there is.
    fn fill(path: &Path) {
        let mut file = fs::File::create(path).expect("a file");
        for size in [64 << 10, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    #[test]
    fn on_a_full_disk_records_are_counted_as_lost_until_there_is_space_again() {
        let mut host = Host::new();
        let journal = host.path("journal");
        fs::create_dir(&journal).expect("a folder");
        // Mounted where the agent alone sees it, so that it goes with the agent.
        let mount = format!(
            "mount -t tmpfs -o size=1m tmpfs {} && exec \"$@\"",
            journal.display()
        );
        host.spawn_by(&["unshare", "--mount", "/bin/sh", "-c", &mount, "sh"]);
        let wait = ["status", "--wait", "enforcing", "--timeout", "20s"];
        host.hayward(&wait).ok();
        let pid = host.agent.as_ref().expect("an agent").id();
        let seen = PathBuf::from(format!("/proc/{pid}/root{}", journal.display()));
        assert_eq!(banned(&host), Ended::Signal(9));
        host.wait_for_records("killed", 1);

        fill(&seen.join("filler"));
        host.wait_until("records that are lost", || {
            assert_eq!(banned(&host), Ended::Signal(9));
            lost(&host, "no-space") >= 3
        });
        let problem = problems(&host);
        assert!(problem.to_lowercase().contains("space"), "{problem}");
        let shown = host.hayward(&["status"]).ok().out;
        assert!(shown.contains("lost: no-space"), "{shown}");
        let log = host.log();
        let told = log.matches("records are being lost from the journal (no-space)");
        assert_eq!(told.count(), 1, "once, and not for each record");
        let metrics = host.metrics();
        let line = format!(
            "hayward_journal_errors_total{{cause=\"no-space\"}} {}",
            lost(&host, "no-space")
        );
        assert!(metrics.contains(&line), "{line} in {metrics}");
        let kept = host.records("killed").len();

        fs::remove_file(seen.join("filler")).expect("our own file");
        assert_eq!(banned(&host), Ended::Signal(9));
        let records = host.wait_for_records("killed", kept + 1);
        assert_eq!(records.len(), kept + 1);
        assert_eq!(problems(&host), "[]");
        assert!(host.log().contains("the journal can be written again"));
        assert!(lost(&host, "no-space") >= 3, "what was lost stays counted");
    }
}
