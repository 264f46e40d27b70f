//! Captures are judged by whoever has them: without an agent, a kernel that would carry the guards, or root.

#[cfg(test)]
#[path = "../../crates/capture/tests/tape/mod.rs"]
#[allow(dead_code, unreachable_pub, reason = "this is a part of what it can")]
mod tape;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };

    use hayward_tests::Host;
    use serde_json::Value;

    use crate::tape::{ACK, Link, Shape, Tape, USUAL};

    const OWN: &str = "10.0.0.1:4000";
    const SUBSCRIBE: &[u8] = br#"{"id":1,"method":"mining.subscribe","params":["x/1"]}"#;

    /// One who scans and one who mines, beside one who does neither.
    fn tape() -> Tape {
        let mut tape = Tape::new();
        for port in 1..=9 {
            tape.refuse(OWN, &format!("192.0.2.1:{port}"));
            tape.open("10.0.0.3:4000", &format!("192.0.2.1:{}", 100 + port));
        }
        tape.open("10.0.0.2:4000", "192.0.2.2:3333");
        tape.tcp("10.0.0.2:4000", "192.0.2.2:3333", ACK, 101, SUBSCRIBE);
        tape
    }

    const PCAPNG: Shape = Shape {
        link: Link::Cooked2,
        big: true,
        pcapng: true,
        ns: true,
        ..USUAL
    };

    fn write(host: &Host, name: &str, bytes: &[u8]) -> String {
        let path = host.path(name);
        fs::write(&path, bytes).expect("written");
        path.display().to_string()
    }

    /// Guards and sources of the findings, and the summaries.
    fn told(lines: &[Value]) -> (Vec<(&str, &str)>, Vec<&Value>) {
        let findings = lines.iter().filter(|line| line["guard"].is_string());
        let findings = findings.map(|line| {
            let field = |name: &str| line[name].as_str().expect(name);
            (field("guard"), field("source"))
        });
        let summaries = lines.iter().filter(|line| line["summary"].is_object());
        (
            findings.collect(),
            summaries.map(|line| &line["summary"]).collect(),
        )
    }

    #[test]
    fn scans_and_miners_are_found_in_files_of_both_formats() {
        let host = Host::new();
        let one = write(&host, "one.pcap", &tape().file(USUAL));
        let two = write(&host, "two.pcapng", &tape().file(PCAPNG));
        let judged = host
            .configured(&["judge", "pcap", &one, &two, "--json"])
            .ok();
        let lines = judged.lines();
        let (findings, summaries) = told(&lines);
        let each = [("outbound", "10.0.0.1"), ("pool", "10.0.0.2")];
        assert_eq!(findings, [each, each].concat());
        assert_eq!(lines[0]["evidence"]["scan"]["refused"], 3);
        assert_eq!(lines[0]["time"], "2023-11-14T22:13:20.011Z");
        assert_eq!(lines[1]["evidence"]["pool"]["dialect"], "stratum");
        assert_eq!(summaries.len(), 2);
        for summary in summaries {
            assert_eq!(summary["packets"], 49);
            assert_eq!(summary["findings"], 2);
            assert_eq!(summary["answered"], 10);
            assert_eq!(summary["ended"], Value::Null);
        }
        let text = host.configured(&["judge", "pcap", &one]).ok().out;
        for part in [
            "2023-11-14 22:13:20.011  outbound  10.0.0.1  scans: unanswered, 3 contacts (0 answered, 3 refused",
            "tcp 192.0.2.1:3",
            r#"pool      10.0.0.2  mines: stratum, sent {"id":1"#,
            "one.pcap: 2 findings in 49 packets of 0.0 s",
            "3 workloads, 19 flows, 13 contacts: 10 answered, 3 refused, 0 silent",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn settings_and_prefixes_say_who_is_judged_and_by_what() {
        let host = Host::new();
        let file = write(&host, "one.pcap", &tape().file(USUAL));
        let settings = host.path("hayward.yaml");
        let judged = |guards: &str, more: &[&str]| {
            fs::write(&settings, format!("guards: {{{guards}}}\n")).expect("written");
            let settings = settings.display().to_string();
            let arguments = ["judge", "pcap", &file, "--json", "--config", &settings];
            host.hayward(&[&arguments[..], more].concat()).ok().lines()
        };
        let sources = |guards: &str, more: &[&str]| {
            let lines = judged(guards, more);
            let sources = told(&lines)
                .0
                .into_iter()
                .map(|(_, source)| source.to_owned());
            sources.collect::<Vec<_>>()
        };
        assert_eq!(sources("command: {}", &[]), ["10.0.0.1", "10.0.0.2"]);
        let own = ["--inside", "10.0.0.2/32", "--inside", "fd00::/8"];
        assert_eq!(sources("outbound: {}", &own), ["10.0.0.2"]);
        // Where nobody is to be expected a contact counts twice, unless settings say that it is reached.
        for (guard, refused) in [
            ("outbound: {}", 3),
            ("outbound: {reachable: [192.0.2.0/24]}", 5),
        ] {
            assert_eq!(
                judged(guard, &[])[0]["evidence"]["scan"]["refused"],
                refused
            );
        }
    }

    #[test]
    fn a_capture_that_ends_within_a_packet_is_judged_as_far_as_it_goes() {
        let host = Host::new();
        let file = tape().file(PCAPNG);
        let path = write(&host, "cut.pcapng", &file[..file.len() - 1]);
        let judged = host.configured(&["judge", "pcap", &path]);
        assert_eq!(judged.code, 0);
        assert!(
            judged.out.contains("1 finding in 48 packets"),
            "{}",
            judged.out
        );
        let said = format!(
            "cut.pcapng: ends within packet 49, at byte {}",
            file.len() - 1
        );
        assert!(judged.err.contains(&said), "{}", judged.err);
        let path = write(&host, "page.html", b"<html>");
        let judged = host.configured(&["judge", "pcap", &path]);
        assert_eq!(judged.code, 4);
        for part in ["page.html", "is no capture", "tcpdump or Wireshark"] {
            assert!(judged.err.contains(part), "{part} in {}", judged.err);
        }
        assert_eq!(host.configured(&["judge", "pcap", "/nowhere"]).code, 4);
    }

    #[test]
    fn whoever_has_no_rights_may_judge_what_is_piped_in() {
        let host = Host::new();
        let program = host.path("hayward");
        hayward_tests::copy_program(hayward_tests::binary(), &program);
        let mut judge = Command::new(&program)
            .args(["judge", "pcap", "-", "--json"])
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut stdin = judge.stdin.take().expect("a pipe");
        stdin.write_all(&tape().file(USUAL)).expect("it is read");
        drop(stdin);
        let output = judge.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let lines: Vec<Value> = output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("JSON"))
            .collect();
        assert_eq!(told(&lines).0.len(), 2);
        assert_eq!(said, "");
    }
}
