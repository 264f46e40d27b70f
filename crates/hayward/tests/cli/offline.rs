//! Everything else that needs no agent, and what is said where one is needed.

use crate::{
    session::{BAD_INPUT, GOOD, Session},
    tape::{Tape, USUAL},
};

#[test]
fn help() {
    let mut session = Session::new();
    session.run(0, &["--help"]);
    session.run(2, &["rules", "lst"]);
    insta::assert_snapshot!(session.said());
}

#[test]
fn judge_command() {
    let mut session = Session::new();
    session.write("good.yaml", GOOD);
    session.write("h.yaml", "guards: { command: { rules: [good.yaml] } }\n");
    for line in [
        "./x --donate-level 1",
        "badtool --help",
        "grep --donate-level README",
        "python train.py",
        "",
    ] {
        for json in [&[][..], &["--json"]] {
            let arguments = ["judge", "command", line, "--config", "h.yaml"];
            session.run(0, &[&arguments[..], json].concat());
        }
    }
    let renamed = [
        "judge",
        "command",
        "x",
        "--executable",
        "/opt/badtool",
        "--config",
        "h.yaml",
    ];
    session.run(0, &renamed);
    session.run(
        BAD_INPUT,
        &["judge", "command", "x", "--config", "missing.yaml"],
    );
    insta::assert_snapshot!(session.said());
}

#[test]
fn check() {
    let mut session = Session::new();
    session.write("good.yaml", GOOD);
    session.write("h.yaml", "guards: { command: { rules: [good.yaml] } }\n");
    session.run(0, &["check", "--config", "h.yaml"]);
    session.run(0, &["check", "--config", "h.yaml", "--json"]);
    for (name, text) in [
        ("unknown-key.yaml", "mode: enforce\nleese: 1h\n"),
        (
            "unknown-inner-key.yaml",
            "guards:\n  command:\n    rulez: [x]\n",
        ),
        ("wrong-type.yaml", "mode: enforce\nscope: yes\n"),
        (
            "wrong-inner-type.yaml",
            "guards:\n  command:\n    rules: good.yaml\n",
        ),
        (
            "wrong-values.yaml",
            "lease: soon\njournal:\n  max: 1GB\n  command_lines: some\n",
        ),
        (
            "wrong-quantities.yaml",
            "lease: soon\njournal:\n  max: 1GB\nguards:\n  command:\n    scan: often\n",
        ),
        (
            "wrong-scope.yaml",
            "scope:\n  include:\n    - containers\n    - pods\n  exclude: [x]\n",
        ),
        (
            "wrong-override.yaml",
            "overrides:\n  - match: x\n    guards: { command: observe }\n",
        ),
        (
            "later-guard.yaml",
            "guards:\n  command: enforce\n  file: enforce\n",
        ),
        (
            "missing-rules.yaml",
            "guards: { command: { rules: [nowhere.yaml] } }\n",
        ),
        ("list.yaml", "- a\n- b\n"),
    ] {
        session.write(name, text);
        session.run(BAD_INPUT, &["check", "--config", name]);
    }
    session.run(BAD_INPUT, &["check", "--config", "missing.yaml"]);
    insta::assert_snapshot!(session.said());
}

#[test]
fn migrate_cryptnono() {
    let mut session = Session::new();
    session.write(
        "cryptnono.json",
        r#"{"bannedCommandStrings": ["xmrig", "Mönero"], "allowedCommandPatterns": ["^grep", "git .*"]}"#,
    );
    session.write(
        "values.yaml",
        "cryptnono:\n  detectors:\n    execwhacker:\n      configs:\n        mine.json:\n          \
         bannedCommandStrings:\n            - minerd\n        text.json: |\n          \
         {\"bannedCommandStrings\": [\"from-text\"]}\n",
    );
    session.write("nothing.yaml", "a: b\n");
    session.write("broken.json", "{\"bannedCommandStrings\": [\n\"a\"\n");
    session.write("wrong.json", "{\"bannedCommandStrings\": \"a\"}\n");
    session.run(
        0,
        &["migrate", "cryptnono", "cryptnono.json", "--output", "one"],
    );
    session.run(0, &["check", "--config", "one/hayward.yaml"]);
    session.run(
        0,
        &[
            "migrate",
            "cryptnono",
            "values.yaml",
            "--output",
            "two",
            "--json",
        ],
    );
    for name in [
        "one/hayward.yaml",
        "one/cryptnono.json",
        "two/cryptnono.json",
    ] {
        let text = session.read(name);
        session.transcript.push_str(&format!("-- {name}\n{text}\n"));
    }
    session.run(
        1,
        &["migrate", "cryptnono", "values.yaml", "--output", "one"],
    );
    for name in ["nothing.yaml", "broken.json", "wrong.json", "missing.json"] {
        session.run(
            BAD_INPUT,
            &["migrate", "cryptnono", name, "--output", "three"],
        );
    }
    insta::assert_snapshot!(session.said());
}

#[test]
fn without_an_agent() {
    let mut session = Session::new();
    session.run(3, &["status", "--socket", "none.sock"]);
    session.run(3, &["events", "--socket", "none.sock"]);
    session.run(
        6,
        &[
            "status",
            "--socket",
            "none.sock",
            "--wait",
            "enforcing",
            "--timeout",
            "10ms",
        ],
    );
    insta::assert_snapshot!(session.said());
}

#[test]
fn judge_pcap() {
    let mut session = Session::new();
    let mut tape = Tape::new();
    for host in 1..=16 {
        tape.tcp("10.0.0.1:4000", &format!("192.0.2.{host}:22"), 2, 1, b"");
    }
    session.write("scan.pcap", tape.file(USUAL));
    let mut cut = tape.file(USUAL);
    cut.pop();
    session.write("cut.pcap", cut);
    session.write("page.html", "<html>");
    session.write("h.yaml", "guards: { command: {} }\n");
    let with = |file: &'static str| ["judge", "pcap", file, "--config", "h.yaml"];
    session.run(0, &with("scan.pcap"));
    session.run(0, &[&with("scan.pcap")[..], &["--json"]].concat());
    session.run(
        0,
        &[&with("cut.pcap")[..], &["--inside", "10.9.0.0/16"]].concat(),
    );
    session.run(BAD_INPUT, &with("page.html"));
    session.run(BAD_INPUT, &with("missing.pcap"));
    session.run(
        2,
        &[&with("scan.pcap")[..], &["--inside", "inside"]].concat(),
    );
    session.run(2, &["judge", "pcap"]);
    insta::assert_snapshot!(session.said());
}
