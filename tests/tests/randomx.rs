//! A process that mines by RandomX is recognised by how it rounds, whatever it is called and however it evades; and
//! nothing else is.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        num::NonZero,
        os::unix::process::ExitStatusExt,
        path::Path,
        process::{Command, ExitStatus, Stdio},
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        thread::{self, available_parallelism},
    };

    use hayward_test_miner::{loadable, program};
    use hayward_tests::{
        Benign, Ended, Host, Launch, Way, copy_program, corpus, lookalike, run_in_container,
    };
    use serde_json::Value;

    /// A miner that nobody stops ends by itself after so long, which no test waits for.
    const SECONDS: &str = "60";
    /// What makes the C library ask the kernel for huge pages.
    const TRANSPARENT: &str = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";

    /// An agent whose only guard beside the harness's is `randomx`, with these settings.
    fn host(randomx: &str) -> Host {
        let mut host = Host::new();
        host.edit_settings("journal:", &format!("  randomx: {{{randomx}}}\njournal:"));
        host.spawn();
        host.wait_until("both guards are in force", || {
            let answer = host.hayward(&["status", "--json"]);
            if answer.code != 0 {
                return false;
            }
            let guards = &answer.json()["guards"];
            let randomx = &guards["randomx"]["status"];
            guards["command"]["status"] == "enforcing"
                && (randomx == "enforcing" || randomx == "observing")
        });
        host
    }

    /// Starts a miner and waits until it has ended, by itself or not. Returns what is recorded of it.
    fn mine(host: &Host, arguments: &[&str]) -> (Ended, Vec<Value>) {
        let arguments = [&["--seconds", SECONDS], arguments].concat();
        let ended = Launch::new(program(), &arguments).run(&host.inside);
        (ended, host.records("killed"))
    }

    fn is_killed(host: &Host, arguments: &[&str]) -> Value {
        ends_by_the_guard(host, || mine(host, arguments).0)
    }

    /// However it is started: it must be killed, as the record of it says.
    fn ends_by_the_guard(host: &Host, run: impl FnOnce() -> Ended) -> Value {
        let before = host.records("killed").len();
        assert_eq!(run(), Ended::Signal(9), "{}", host.log());
        // It is written when the kill is done.
        let record = host.wait_for_records("killed", before + 1).pop();
        let record = record.expect("one more");
        assert_eq!(record["guard"], "randomx", "{record}");
        assert_eq!(record["rule"], "randomx", "{record}");
        let mining = &record["evidence"]["mining"];
        let modes = mining["modes"].as_array().expect("modes");
        assert!(
            modes.iter().all(|count| count.as_u64() >= Some(5)),
            "{record}"
        );
        assert!(mining["memory_mib"].as_u64() >= Some(256), "{record}");
        record
    }

    #[test]
    fn miners_are_killed_whatever_their_engine_and_their_share_of_the_processor() {
        let host = host("");
        for arguments in [
            &[][..],
            &["--pin", "0"],
            &["--engine", "interpreter"],
            &["--threads", "2"],
            &["--duty", "50"],
            &["--duty", "10"],
        ] {
            is_killed(&host, arguments);
        }
    }

    #[test]
    fn miners_are_killed_however_they_evade() {
        let host = host("");
        for evade in [
            "reset-and-sleep",
            "reset-and-yield",
            "pause",
            "thread-every-100ms",
        ] {
            is_killed(&host, &["--evade", evade]);
        }
    }

    #[test]
    fn miners_of_the_whole_dataset_are_killed() {
        let host = host("");
        let processors = available_parallelism().expect("processors").get().min(16);
        for threads in ["1", &processors.to_string()] {
            let record = is_killed(&host, &["--mode", "full", "--threads", threads]);
            let memory = &record["evidence"]["mining"]["memory_mib"];
            assert!(memory.as_u64() >= Some(2080), "{record}");
        }
    }

    /// By a setting of the C library's, as one makes any program use them.
    #[test]
    fn a_miner_in_transparent_huge_pages_is_killed() {
        let host = host("");
        let miner = program().to_str().expect("a path");
        let arguments = [TRANSPARENT, miner, "--seconds", SECONDS];
        let launch = Launch::new("/usr/bin/env", &arguments);
        ends_by_the_guard(&host, || launch.run(&host.inside));
    }

    #[test]
    fn a_miner_in_a_container_is_killed() {
        let host = host("");
        let run = || run_in_container(&host.inside, program(), &["--seconds", SECONDS]);
        let record = ends_by_the_guard(&host, run);
        assert_eq!(record["process"]["executable"], "/bin/program", "{record}");
        assert_eq!(record["workload"]["kind"], "container", "{record}");
    }

    /// It gets an eighth of the processor: both are less nice than the other tests, which would leave it next to nothing.
    /// Filling memory with that would take long, so the other program is started when it hashes, and the guard is off until
    /// then.
    #[test]
    fn a_miner_nicer_than_a_program_on_the_same_processor_is_killed() {
        let host = host("");
        host.configured(&["off", "--guard", "randomx"]).ok();
        let join = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        let mut miner = Command::new("sh")
            .args(["-c", join])
            .arg(&host.inside)
            .args(["nice", "-n", "-1"])
            .arg(program())
            .args(["--pin", "0", "--seconds", "300"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let mut out = BufReader::new(miner.stdout.take().expect("a pipe"));
        out.read_line(&mut line).expect("a line");
        assert_eq!(line, "hashing\n");
        let busy = corpus(300).into_iter().find(|benign| benign.name == "life");
        let busy = busy.expect("there");
        let mut busy = Command::new("sh")
            .args(["-c", join])
            .arg(&host.outside)
            .args(["taskset", "-c", "0", "nice", "-n", "-10"])
            .arg(&busy.program)
            .args(&busy.arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        host.configured(&["on", "--guard", "randomx"]).ok();
        ends_by_the_guard(&host, || ended(miner.wait().expect("it ended")));
        let still_there = busy.try_wait().expect("our own child").is_none();
        busy.kill().expect("our own child");
        busy.wait().expect("it ended");
        assert!(still_there, "it left the processor to the miner");
    }

    #[test]
    fn a_miner_that_lives_in_processes_of_a_tenth_of_a_second_is_ended_too() {
        let host = host("");
        // The first ends by itself, when it has begotten the second.
        mine(&host, &["--evade", "process-every-100ms"]);
        let members = || fs::read_to_string(host.inside.join("cgroup.procs")).expect("ours");
        host.wait_until("the last of them is gone", || members().is_empty());
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["guard"], "randomx", "{record}");
    }

    #[test]
    fn a_miner_in_memory_under_another_name_beside_other_load_is_killed() {
        let host = host("");
        let disguise = host.path("sshd");
        copy_program(program(), &disguise);
        let load = corpus(30).into_iter().find(|benign| benign.name == "life");
        let mut load = load.expect("there").command().spawn().expect("started");
        let arguments = ["-D", "--seconds", SECONDS];
        let launch = Launch::new(&disguise, &arguments[1..]).by(Way::Memfd);
        let ended = launch.run(&host.inside);
        load.kill().expect("our own child");
        load.wait().expect("it ended");
        assert_eq!(ended, Ended::Signal(9), "{}", host.log());
    }

    #[test]
    fn a_miner_loaded_into_python_is_killed() {
        let host = host("");
        let library = loadable().to_str().expect("a path");
        let code = format!("import ctypes; ctypes.CDLL('{library}').mine({SECONDS})");
        let ended = Launch::new("/usr/bin/python3", &["-c", &code]).run(&host.inside);
        assert_eq!(ended, Ended::Signal(9), "{}", host.log());
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(record["process"]["comm"], "python3");
    }

    #[test]
    fn where_it_observes_a_miner_is_recorded_once_and_lives() {
        let host = host("mode: observe");
        let arguments = ["--seconds", "8"];
        let ended = Launch::new(program(), &arguments).run(&host.inside);
        assert_eq!(ended, Ended::Code(0));
        let records = host.records("observed");
        assert_eq!(records.len(), 1, "{records:?}");
        let record = &records[0];
        assert_eq!(
            (&record["guard"], &record["mode"]),
            (&"randomx".into(), &"observe".into())
        );
        assert_eq!(
            record["evidence"]["mining"]["lacks"],
            Value::Null,
            "{record}"
        );
    }

    #[test]
    fn the_drill_plays_a_miner_and_shows_its_end() {
        let host = host("");
        let answer = host.hayward(&["drill"]).ok();
        let text = "randomx: a process that rounds as RandomX does was killed";
        assert!(answer.out.contains(text), "{answer:?}");
        let ending = &host.hayward(&["drill", "--json"]).ok().json()["randomx"];
        assert_eq!(
            (&ending["killed"], &ending["record"]["rule"]),
            (&true.into(), &"randomx".into())
        );
    }

    #[test]
    fn out_of_scope_and_while_the_guard_is_off_nothing_is_judged() {
        let host = host("");
        let short = Launch::new(program(), &["--seconds", "4"]);
        assert_eq!(short.run(&host.outside), Ended::Code(0));
        host.configured(&["off", "--guard", "randomx"]).ok();
        assert_eq!(host.status()["guards"]["randomx"]["status"], "off");
        assert_eq!(host.status()["guards"]["command"]["status"], "enforcing");
        assert_eq!(short.run(&host.inside), Ended::Code(0));
        host.configured(&["on", "--guard", "randomx"]).ok();
        is_killed(&host, &[]);
        assert_eq!(host.records("killed").len(), 1);
    }

    fn ended(status: ExitStatus) -> Ended {
        let signal = status.signal().map(Ended::Signal);
        signal.unwrap_or_else(|| Ended::Code(status.code().unwrap_or(-1)))
    }

    /// Runs it in scope; it must end by itself.
    fn is_left_alone(benign: &Benign, cgroup: &Path) {
        let arguments: Vec<&str> = benign.arguments.iter().map(String::as_str).collect();
        let ended = Launch::new(&benign.program, &arguments).run(cgroup);
        assert_eq!(ended, Ended::Code(0), "{}", benign.name);
    }

    /// Each for so many seconds, two at a time for each processor: all of them are busy, and each has half of one.
    fn harmless_programs_are_left_alone_for(seconds: u32) {
        let host = host("");
        let corpus = corpus(seconds);
        let next = AtomicUsize::new(0);
        let processors = available_parallelism().map_or(1, NonZero::get);
        thread::scope(|scope| {
            for _ in 0..2 * processors {
                scope.spawn(|| {
                    while let Some(benign) = corpus.get(next.fetch_add(1, Relaxed)) {
                        is_left_alone(benign, &host.inside);
                    }
                });
            }
        });
        for action in ["killed", "observed", "missed"] {
            let found = host.records(action);
            let found: Vec<_> = found
                .iter()
                .filter(|record| record["guard"] == "randomx")
                .collect();
            // The nearest miss: by its rounding it is a miner, by its memory it could be.
            let near = |record: &&&Value| {
                let lacks = record["evidence"]["mining"]["lacks"]
                    .as_str()
                    .unwrap_or_default();
                record["action"] == "observed" && !lacks.is_empty()
            };
            let others: Vec<_> = found.iter().filter(|record| !near(record)).collect();
            assert!(others.is_empty(), "{others:?}");
            eprintln!("{action}: {} of the nearest misses", found.len());
        }
    }

    #[test]
    fn harmless_programs_are_left_alone() {
        harmless_programs_are_left_alone_for(6);
    }

    /// `make soak`.
    #[test]
    #[ignore = "takes more than an hour"]
    fn harmless_programs_are_left_alone_for_ten_minutes_each() {
        harmless_programs_are_left_alone_for(600);
    }

    #[test]
    fn what_rounds_and_flushes_as_randomx_does_in_as_much_memory_is_taken_for_it() {
        let host = host("");
        let lookalike = lookalike(60);
        let arguments: Vec<&str> = lookalike.arguments.iter().map(String::as_str).collect();
        let ended = Launch::new(&lookalike.program, &arguments).run(&host.inside);
        assert_eq!(ended, Ended::Signal(9), "{}", host.log());
    }
}
