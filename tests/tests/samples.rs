//! What the guard `randomx` sees can be recorded, and judged again by those who want to know why.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{BufRead, BufReader},
        process::Stdio,
        thread,
    };

    use hayward_test_miner::program;
    use hayward_tests::{Ended, Host, Launch, Start, corpus};
    use serde_json::Value;

    #[test]
    fn what_a_miner_was_seen_to_do_is_recorded_and_judged_as_the_agent_judged_it() {
        let mut host = Host::new();
        host.edit_settings("journal:", "  randomx: {mode: observe}\njournal:");
        host.spawn();
        host.wait_until("the guard is in force", || {
            let answer = host.hayward(&["status", "--json"]);
            answer.code == 0 && answer.json()["guards"]["randomx"]["status"] == "observing"
        });
        let mut samples = host
            .command(&["samples", "--for", "60s"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut lines = BufReader::new(samples.stdout.take().expect("a pipe")).lines();
        let mut next = || -> (Value, String) {
            let line = lines.next().expect("more").expect("text");
            (serde_json::from_str(&line).expect("JSON"), line)
        };
        // Something else that is seen: its first line shows that the command listens.
        let benign = corpus(3).into_iter();
        let mut benign = benign.filter(|benign| benign.name == "intervals, two modes");
        let benign = benign.next().expect("a harmless program");
        let arguments: Vec<&str> = benign.arguments.iter().map(String::as_str).collect();
        let harmless = Launch::new(&benign.program, &arguments);
        let (first, _) = thread::scope(|scope| {
            scope.spawn(|| harmless.run(&host.inside));
            next()
        });
        // All of the miner's are read, whatever the machine lets it do first: the record counts from where the evidence
        // began. They come in order, so none is left when the harmless program is seen again.
        let seen: Vec<(Value, String)> = thread::scope(|scope| {
            scope.spawn(|| {
                let ended = Launch::new(program(), &["--seconds", "10"]).run(&host.inside);
                assert_eq!(ended, Ended::Code(0), "it was not left alone");
                harmless.run(&host.inside)
            });
            std::iter::repeat_with(next)
                .take_while(|(event, _)| {
                    event["comm"] != first["comm"] || event["pid"] == first["pid"]
                })
                .collect()
        });
        samples.kill().expect("our own child");
        samples.wait().expect("it ended");
        let record = host.wait_for_records("observed", 1).remove(0);
        let of_miner = |event: &Value| event["pid"] == record["process"]["pid"];
        let text: String = seen
            .iter()
            .filter(|(event, _)| of_miner(event) || event["lost"].is_u64())
            .flat_map(|(_, line)| [line.as_str(), "\n"])
            .collect();

        let file = host.path("samples.jsonl");
        fs::write(&file, text).expect("a file");
        let file = file.to_str().expect("a path");
        let judged = host.hayward(&["judge", "randomx", file]).ok().out;
        assert!(judged.contains("mines: found after"), "{judged}");
        let judged = host
            .hayward(&["judge", "randomx", file, "--json"])
            .ok()
            .json();
        let process = &judged["processes"][0];
        assert_eq!(process["pid"], record["process"]["pid"], "{judged}");
        assert!(
            process["found_after_samples"].as_u64() >= Some(60),
            "{judged}"
        );
        assert!(
            process["modes"]
                .as_array()
                .expect("modes")
                .iter()
                .all(|n| n.as_u64() > Some(5))
        );

        for name in [
            "hayward_nudges_total{guard=\"randomx\"}",
            "hayward_decision_seconds_count{guard=\"randomx\"}",
            "hayward_sensor_attached_ratio{guard=\"randomx\"}",
        ] {
            let metrics = host.metrics();
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            let value: f64 = line.expect(name).trim().parse().expect("a number");
            assert!(value > 0.0, "{name} {value}");
        }
    }

    #[test]
    fn samples_end_when_their_time_is_over_and_need_an_agent() {
        let host = Host::new();
        assert_eq!(host.hayward(&["samples", "--for", "1s"]).code, 3);
        let host = host.start(&Start::default());
        assert_eq!(host.hayward(&["samples", "--for", "100ms"]).ok().out, "");
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused_with_the_line() {
        let host = Host::new();
        let judge = |text: &str| {
            let file = host.path("recording");
            fs::write(&file, text).expect("a file");
            let answer = host.hayward(&["judge", "randomx", file.to_str().expect("a path")]);
            assert_eq!(answer.code, 4, "{answer:?}");
            answer.err
        };
        let error = judge("{\"lost\":3}\n\n{\"pid\":1}\n");
        assert!(error.contains("recording:3:"), "{error}");
        assert!(error.contains("no line of `hayward samples`"), "{error}");
        assert!(judge("{\"lost\":3}\n").contains("nothing is recorded"));
        assert!(judge("\u{0}").contains("recording:1:"));
    }
}
