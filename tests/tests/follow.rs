//! `events --follow`: new records as they come, until somebody has had enough.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader, Read},
        os::unix::{net::UnixStream, process::ExitStatusExt},
        process::{Child, ChildStdout, Command, Stdio},
        sync::mpsc::{Receiver, RecvTimeoutError, channel},
        time::{Duration, Instant},
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start};
    use rustix::process::{Pid, Signal, kill_process};
    use serde_json::Value;

    /// A record may take so long from the moment it is in the journal to the reader: less than polling would take.
    const SOON: Duration = Duration::from_millis(100);
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Follower {
        child: Child,
        lines: Receiver<(Instant, String)>,
    }

    impl Follower {
        fn start(host: &Host, arguments: &[&str]) -> Self {
            let (child, output) = spawn(host, arguments);
            let (sender, lines) = channel();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send((Instant::now(), line)).is_err() {
                        return;
                    }
                }
            });
            Self { child, lines }
        }

        fn next(&self) -> (Instant, String) {
            self.lines.recv_timeout(PATIENCE).expect("a line in time")
        }

        fn signal(&self, signal: Signal) {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a pid"), signal).expect("our own child");
        }
    }

    impl Drop for Follower {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn spawn(host: &Host, arguments: &[&str]) -> (Child, ChildStdout) {
        let mut child = host
            .command(&["events", "--follow"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the built binary");
        let output = child.stdout.take().expect("a pipe");
        (child, output)
    }

    fn banned(host: &Host) {
        let launch = Launch::new("/bin/true", &[BANNED]);
        assert_eq!(launch.run(&host.inside), Ended::Signal(9));
    }

    #[test]
    fn a_new_record_arrives_at_once_as_a_line_or_as_json() {
        let host = Host::new().start(&Start::default());
        let people = Follower::start(&host, &[]);
        let programs = Follower::start(&host, &["--json"]);
        // What was there already comes first, so both are known to be listening.
        assert!(people.next().1.contains("started"));
        let started: Value = serde_json::from_str(&programs.next().1).expect("JSON");
        assert_eq!(started["action"], "started");
        let mut delays = Vec::new();
        for _ in 0..9 {
            host.configured(&["off", "--for", "1s"]).ok();
            // The agent has answered, so the record is in the journal.
            let written = Instant::now();
            let (seen, line) = people.next();
            assert!(line.contains("switched-off"), "{line}");
            delays.push(seen.saturating_duration_since(written));
            let (seen, line) = programs.next();
            delays.push(seen.saturating_duration_since(written));
            let record: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(record["action"], "switched-off");
        }
        // A busy machine may delay any one of them.
        delays.sort_unstable();
        assert!(delays[delays.len() / 2] < SOON, "{delays:?}");
    }

    #[test]
    fn only_what_is_asked_for_comes() {
        let host = Host::new().start(&Start::default());
        banned(&host);
        let first = host.wait_for_records("killed", 1).remove(0);
        let first_id = first["id"].as_str().expect("an id").to_owned();
        let soon = jiff::Timestamp::now().to_string();
        let of_id = Follower::start(&host, &["--json", "--id", &first_id]);
        assert!(of_id.next().1.contains(&first_id));
        let filters = [
            &["--guard", "command", "--action", "killed"][..],
            &["--workload", "/inside"],
            &["--rule", "test/banned"],
            &["--user", "0"],
        ];
        let followers = filters.map(|filter| {
            let arguments = [filter, &["--json"]].concat();
            let follower = Follower::start(&host, &arguments);
            assert!(follower.next().1.contains(&first_id), "{filter:?}");
            follower
        });
        let since = Follower::start(&host, &["--json", "--since", &soon]);
        let elsewhere = Follower::start(&host, &["--json", "--workload", "/nowhere"]);
        let marked = |follower: &Follower| {
            let (_, line) = follower.next();
            let record: Value = serde_json::from_str(&line).expect("JSON");
            assert_ne!(record["id"], first_id.as_str(), "{line}");
            record["action"].as_str().expect("an action").to_owned()
        };
        // An act is of no workload and of no user, and comes between two that are.
        host.configured(&["off"]).ok();
        host.configured(&["on"]).ok();
        assert_eq!(marked(&since), "switched-off");
        assert_eq!(marked(&since), "switched-on");
        banned(&host);
        assert_eq!(marked(&since), "killed");
        for follower in &followers {
            assert_eq!(marked(follower), "killed");
        }
        for silent in [&elsewhere, &of_id] {
            let none = silent.lines.recv_timeout(Duration::from_millis(100));
            assert_eq!(none, Err(RecvTimeoutError::Timeout));
        }
    }

    #[test]
    fn nothing_is_missed_or_doubled_while_the_journal_begins_new_files() {
        let host = Host::new();
        host.edit_settings("/journal}", "/journal, max: 16MiB}");
        let host = host.running();
        let follower = Follower::start(&host, &["--json", "--action", "forgot"]);
        // Forgetting closes the file that is written to; whose records nobody has are forgotten quickly.
        const ROUNDS: usize = 30;
        for round in 0..ROUNDS {
            host.hayward(&["forget", &format!("nobody-{round}")]).ok();
        }
        let files = fs::read_dir(host.path("journal")).expect("a journal");
        assert!(files.count() > ROUNDS / 2, "the journal was rotated");
        let expected: Vec<_> = host
            .records("forgot")
            .iter()
            .map(|record| record["id"].clone())
            .collect();
        assert_eq!(expected.len(), ROUNDS);
        let seen: Vec<Value> = (0..ROUNDS)
            .map(|_| serde_json::from_str::<Value>(&follower.next().1).expect("JSON"))
            .map(|record| record["id"].clone())
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn signals_and_readers_that_go_end_it_quietly() {
        let host = Host::new().start(&Start::default());
        for signal in [Signal::INT, Signal::TERM] {
            let mut follower = Follower::start(&host, &[]);
            follower.next();
            follower.signal(signal);
            let status = follower.child.wait().expect("a child");
            assert_eq!(status.code(), Some(0), "{signal:?}: {:?}", status.signal());
            let mut err = String::new();
            let mut stderr = follower.child.stderr.take().expect("a pipe");
            stderr.read_to_string(&mut err).expect("text");
            assert_eq!(err, "");
        }
        // As under `| head -1`, and no further record has to come for it to end.
        let (mut child, output) = spawn(&host, &[]);
        let mut lines = BufReader::new(output).lines();
        assert!(lines.next().is_some_and(|line| line.is_ok()));
        drop(lines);
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(0), "{status:?}");
    }

    #[test]
    fn when_the_agent_stops_it_says_so() {
        let mut host = Host::new().start(&Start::default());
        let mut follower = Follower::start(&host, &[]);
        follower.next();
        host.stop_agent();
        assert_eq!(follower.child.wait().expect("a child").code(), Some(3));
        let mut err = String::new();
        let mut stderr = follower.child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut err).expect("text");
        assert!(err.contains("has stopped"), "{err}");
    }

    /// Resident memory of the agent, in KiB.
    fn memory(host: &Host) -> u64 {
        let pid = host.agent.as_ref().expect("an agent").id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        number.expect("a number")
    }

    #[test]
    fn a_reader_that_stops_reading_neither_blocks_the_agent_nor_makes_it_grow() {
        use std::io::Write;
        let host = Host::new().start(&Start::default());
        // A client that asks and never reads, and a command whose output nobody takes.
        let stuck: Vec<UnixStream> = (0..16)
            .map(|_| {
                let mut stream = UnixStream::connect(host.path("hayward.sock")).expect("a socket");
                write!(
                    stream,
                    "GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\n\r\n"
                )
                .expect("a request");
                stream
            })
            .collect();
        let (mut unread, _never_read) = spawn(&host, &["--json"]);
        let kill = |count: u32| {
            let flooded = Command::new("/bin/sh")
                .args([
                    "-c",
                    r#"echo $$ > "$PROCS"; i=0; while [ $i -lt "$COUNT" ]; do /bin/true "$WORD" "$LONG"; i=$((i+1)); done"#,
                ])
                .env("PROCS", host.inside.join("cgroup.procs"))
                .env("COUNT", count.to_string())
                .env("WORD", BANNED)
                .env("LONG", "x".repeat(8000))
                .stderr(Stdio::null())
                .status();
            assert!(flooded.expect("a shell").code().is_some());
        };
        // In steps, so that the kernel's ring does not overflow: what it drops reaches nobody.
        const STEPS: u64 = 20;
        let killed = "hayward_verdicts_total{guard=\"command\",action=\"killed\"}";
        let mut before = 0;
        for step in 1..=STEPS {
            kill(100);
            host.wait_until("the step's records", || host.series(killed) == 100 * step);
            if step == STEPS / 4 {
                before = memory(&host);
            }
        }
        let began = Instant::now();
        let journal = fs::read_dir(host.path("journal")).expect("a journal");
        let bytes: u64 = journal
            .map(|file| file.expect("a file").metadata().expect("metadata").len())
            .sum();
        assert!(
            bytes > 3 << 20,
            "{bytes} bytes are too few to fill what lies between"
        );
        let reader = Follower::start(&host, &["--action", "started", "--limit", "1"]);
        assert!(reader.next().1.contains("started"));
        assert!(began.elapsed() < PATIENCE);
        let grown = memory(&host).saturating_sub(before);
        assert!(grown < 16 << 10, "{grown} KiB more than before");
        drop(stuck);
        unread.kill().expect("our own child");
        unread.wait().expect("our own child");
    }
}
