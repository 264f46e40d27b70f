//! What findings lead to beyond the one process: responses of guards and rules, and strikes.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        os::unix::fs::MetadataExt,
        path::{Path, PathBuf},
        process::{Child, Command, Stdio},
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start};
    use serde_json::Value;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A cgroup of a container in scope.
    fn container(host: &Host) -> PathBuf {
        let cgroup = host.inside.join(format!("docker-{ID}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup of our own");
        cgroup
    }

    /// A process that does nothing, in a cgroup.
    fn sleeper(cgroup: &Path) -> Child {
        let child = Command::new("sleep")
            .arg("600")
            .stdout(Stdio::null())
            .spawn()
            .expect("a child");
        fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).expect("a cgroup");
        child
    }

    /// A program that would sleep, with an argument, started in a cgroup.
    fn launched(cgroup: &Path, argument: &str) -> Child {
        let join = r#"echo $$ > "$0/cgroup.procs" && exec sh -c "exec sleep 600" "$1""#;
        let child = Command::new("sh")
            .args(["-c", join])
            .arg(cgroup)
            .arg(argument)
            .spawn();
        child.expect("a shell")
    }

    fn start(command: &str, settings: &str) -> Host {
        Host::new().start(&Start {
            command: format!("scan: 0s, {command}"),
            settings: settings.to_owned(),
        })
    }

    fn end(mut child: Child) {
        let _ = child.kill();
        child.wait().expect("our own child");
    }

    fn is_frozen(cgroup: &Path) -> bool {
        let events = fs::read_to_string(cgroup.join("cgroup.events")).expect("a cgroup");
        events.contains("frozen 1")
    }

    fn banned(cgroup: &Path) -> Ended {
        Launch::new("/bin/true", &[BANNED]).run(cgroup)
    }

    fn id(cgroup: &Path) -> u64 {
        fs::metadata(cgroup).expect("a cgroup").ino()
    }

    /// The only record with this action.
    fn only(host: &Host, action: &str) -> Value {
        let mut records = host.wait_for_records(action, 1);
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    #[test]
    fn a_guard_that_freezes_stops_the_whole_workload_and_ends_nobody() {
        let host = start("response: freeze", "");
        let cgroup = container(&host);
        let other = sleeper(&cgroup);
        let mut child = launched(&cgroup, BANNED);
        host.wait_until("a frozen workload", || is_frozen(&cgroup));
        let answered = only(&host, "answered");
        let frozen = only(&host, "frozen");
        assert_eq!(frozen["cause"], answered["id"]);
        assert_eq!(frozen["rule"], "test/banned");
        assert_eq!(frozen["response"], "freeze");
        assert_eq!(frozen["workload"]["cgroup_id"], id(&cgroup));
        assert_eq!(frozen["workload"]["container_id"], ID);
        assert!(child.try_wait().expect("a child").is_none(), "it lives");
        host.hayward(&["thaw", &ID[..12]]).ok();
        assert!(!is_frozen(&cgroup));
        end(child);
        end(other);
    }

    #[test]
    fn a_rule_that_kills_the_workload_ends_all_of_it_and_nothing_beside_it() {
        let host = Host::new();
        host.write_rules(&format!(
            "rules:\n  - {{id: test/all, banned: [{BANNED}], response: kill-workload}}\n"
        ));
        let host = host.start(&Start::default());
        let cgroup = container(&host);
        let mut within = sleeper(&cgroup);
        let mut beside = sleeper(&host.inside);
        assert_eq!(
            banned(&cgroup),
            Ended::Signal(9),
            "before its first instruction"
        );
        within.wait().expect("it was ended");
        let killed = only(&host, "killed");
        let workload = only(&host, "workload-killed");
        assert_eq!(workload["cause"], killed["id"]);
        assert_eq!(killed["response"], "kill-workload");
        assert!(beside.try_wait().expect("a child").is_none(), "it lives");
        end(beside);
    }

    #[test]
    fn a_rule_may_be_milder_than_its_guard_and_an_override_too() {
        let host = Host::new();
        host.write_rules(&format!(
            "rules:\n  - {{id: test/mild, banned: [mild-{BANNED}], response: freeze}}\n  - {{id: test/hard, banned: [hard-{BANNED}]}}\n"
        ));
        let name = host
            .cgroup
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let host = host.start(&Start {
            settings: format!(
                "overrides: [{{match: \"/{name}/inside/docker-{ID}.scope\", guards: {{command: {{response: freeze}}}}}}]\n"
            ),
            ..Start::default()
        });
        // Where the guard kills, the one rule freezes what it is found in.
        let box_ = host.inside.join("box");
        fs::create_dir(&box_).expect("a cgroup");
        assert_eq!(
            Launch::new("/bin/true", &[&format!("hard-{BANNED}")]).run(&box_),
            Ended::Signal(9)
        );
        let child = launched(&box_, &format!("mild-{BANNED}"));
        host.wait_until("a frozen cgroup", || is_frozen(&box_));
        host.hayward(&["thaw", &id(&box_).to_string()]).ok();
        end(child);
        // Where an override freezes, no rule without a response of its own kills.
        let cgroup = container(&host);
        let child = launched(&cgroup, &format!("hard-{BANNED}"));
        host.wait_until("a frozen workload", || is_frozen(&cgroup));
        host.hayward(&["thaw", &ID[..12]]).ok();
        end(child);
    }

    #[test]
    fn strikes_climb_the_ladder_survive_the_agent_and_can_be_forgiven() {
        let mut host = start(
            "response: kill",
            "strikes: {window: 10m, then: [{after: 3, response: freeze}, {after: 5, response: kill-workload}]}\n",
        );
        let cgroup = container(&host);
        let mut within = sleeper(&cgroup);
        for _ in 0..2 {
            assert_eq!(banned(&cgroup), Ended::Signal(9));
        }
        host.wait_for_records("killed", 2);
        assert!(!is_frozen(&cgroup));
        // Killed without a word, as power goes out.
        host.kill_agent();
        let mut host = host.running();
        let strikes = host.hayward(&["strikes", "--json"]).ok().json();
        assert_eq!(strikes[0]["strikes"], 2, "{strikes}");
        assert_eq!(strikes[0]["next"]["after"], 3);
        assert_eq!(strikes[0]["workload"]["container_id"], ID);
        assert_eq!(banned(&cgroup), Ended::Signal(9));
        host.wait_until("a frozen workload", || is_frozen(&cgroup));
        let frozen = only(&host, "frozen");
        assert_eq!(
            frozen["detail"]
                .as_str()
                .map(|text| text.starts_with("3 strikes; ")),
            Some(true)
        );
        host.hayward(&["thaw", &ID[..12]]).ok();
        let forgiven = host.hayward(&["forgive", &ID[..12]]).ok();
        assert_eq!(forgiven.out, "3 strikes forgiven\n");
        host.kill_agent();
        let host = host.running();
        assert_eq!(
            host.hayward(&["strikes", "--json"]).ok().json(),
            serde_json::json!([])
        );
        for _ in 0..2 {
            assert_eq!(banned(&cgroup), Ended::Signal(9));
        }
        host.wait_for_records("killed", 5);
        assert!(!is_frozen(&cgroup));
        for _ in 0..2 {
            assert_eq!(banned(&cgroup), Ended::Signal(9));
            host.wait_until("a frozen workload", || is_frozen(&cgroup));
            host.hayward(&["thaw", &ID[..12]]).ok();
        }
        assert_eq!(banned(&cgroup), Ended::Signal(9));
        within.wait().expect("all of it was ended");
        let all = only(&host, "workload-killed");
        assert!(
            all["detail"]
                .as_str()
                .is_some_and(|text| text.starts_with("5 strikes; ")),
            "{all}"
        );
    }

    #[test]
    fn who_starts_a_banned_program_from_a_terminal_reads_why_it_ended() {
        let host = start("response: kill", "notice: \"Not here (reference {id}).\"\n");
        // Neither Python's own command line nor the shell's is banned.
        let (begin, rest) = BANNED.split_at(BANNED.len() / 2);
        let script = format!("b={begin}; /bin/true \"${{b}}{rest}\"; read line");
        let python = format!("import pty; pty.spawn(['/bin/sh', '-c', '''{script}'''])");
        let join = r#"echo $$ > "$0/cgroup.procs" && exec python3 -c "$1""#;
        let mut child = Command::new("sh")
            .args(["-c", join])
            .arg(&host.inside)
            .arg(python)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut lines = lines.map_while(Result::ok);
        let line = lines.find(|line| line.contains("Not here"));
        let record = only(&host, "killed");
        let id = record["id"].as_str().expect("an id");
        assert_eq!(
            line.as_deref().map(str::trim),
            Some(&*format!("Not here (reference {id})."))
        );
        drop(child.stdin.take());
        end(child);
    }

    #[test]
    fn a_new_rule_that_acts_on_many_workloads_only_observes_and_no_other_does() {
        let host = Host::new();
        host.write_rules(&format!(
            "rules:\n  - {{id: test/wide, banned: [{BANNED}]}}\n  - {{id: test/other, banned: [other-sentinel]}}\n"
        ));
        let mut host = host.start(&Start {
            settings: "breaker: {workloads: 3, share: 1%}\n".to_owned(),
            ..Start::default()
        });
        let boxes: Vec<PathBuf> = (0..6)
            .map(|number| host.inside.join(format!("box{number}")))
            .collect();
        for path in &boxes {
            fs::create_dir(path).expect("a cgroup");
        }
        // One abuser spends nothing by repeating.
        for _ in 0..20 {
            assert_eq!(banned(&boxes[0]), Ended::Signal(9));
        }
        for path in &boxes[1..4] {
            assert_eq!(banned(path), Ended::Signal(9));
        }
        let tripped = only(&host, "tripped");
        assert_eq!(tripped["rule"], "test/wide");
        for path in &boxes {
            assert_eq!(banned(path), Ended::Code(0));
        }
        let other = Launch::new("/bin/true", &["other-sentinel"]);
        assert_eq!(other.run(&boxes[5]), Ended::Signal(9));
        let status = host.hayward(&["status"]).ok();
        assert!(
            status
                .out
                .contains("problem: the rule test/wide only observes"),
            "{}",
            status.out
        );
        // The kernel obeys without an agent, and the next agent too.
        host.kill_agent();
        assert_eq!(banned(&boxes[4]), Ended::Code(0));
        let host = host.running();
        assert_eq!(banned(&boxes[4]), Ended::Code(0));
        let trips = host.hayward(&["breaker", "--json"]).ok().json();
        assert_eq!(trips[0]["rule"], "test/wide");
        assert_eq!(host.hayward(&["breaker", "reset", "test/other"]).code, 6);
        host.hayward(&["breaker", "reset", "test/wide"]).ok();
        for path in &boxes {
            assert_eq!(banned(path), Ended::Signal(9));
        }
        only(&host, "alarmed");
    }

    #[test]
    fn observing_leads_to_no_strikes_and_answers_nobody() {
        let mut host = Host::new();
        host.write_settings(&Start {
            command: "scan: 0s, mode: observe, response: kill-workload".to_owned(),
            settings: "strikes: {then: [{after: 1, response: kill-workload}]}\n".to_owned(),
        });
        host.spawn();
        host.hayward(&["status", "--wait", "observing", "--timeout", "20s"])
            .ok();
        let cgroup = container(&host);
        let mut within = sleeper(&cgroup);
        assert_eq!(banned(&cgroup), Ended::Code(0));
        host.wait_for_records("observed", 1);
        assert_eq!(
            host.hayward(&["strikes", "--json"]).ok().json(),
            serde_json::json!([])
        );
        assert!(within.try_wait().expect("a child").is_none(), "it lives");
        end(within);
    }
}
