//! `hayward bans`, with something in the agent's place that answers what it was told to and notes what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
};

use crate::session::{BAD_INPUT, Session};

/// What was asked for is not so.
const NOT_SO: i32 = 6;
const NO_AGENT: i32 = 3;
const BANS: &str = r#"[
    {"net": "192.0.2.7/32", "origin": "scan", "strength": "full", "made": "2026-01-01T00:00:00Z", "times": 3,
     "record": "01JQ", "reason": "12 first contacts (syn), 11 failed", "dropped": 4711},
    {"net": "192.0.2.8/32", "origin": "scan", "strength": "soft", "made": "2026-01-01T00:00:00Z",
     "until": "2026-01-01T00:01:00Z", "times": 1, "dropped": 1, "passing": true},
    {"net": "2001:db8::/32", "origin": "operator", "strength": "full", "made": "2026-01-01T00:00:00Z", "times": 1,
     "reason": "letter\u001b[31m", "actor": "ann (uid 1000)"}]"#;

/// What is answered: the beginning of a request's first line, a status and a body.
pub(crate) type Answers = &'static [(&'static str, u16, &'static str)];

/// Answers requests in the session's folder until the test ends. Returns what was asked.
pub(crate) fn answering(session: &Session, answers: Answers) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(session.folder.path().join("agent")).expect("a socket");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a connection"));
            let mut line = String::new();
            reader.read_line(&mut line).expect("a request");
            let mut length = 0;
            let mut header = String::new();
            while reader.read_line(&mut header).expect("a header") > 2 {
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                header.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let request = line.trim_end_matches(" HTTP/1.1\r\n");
            let body = String::from_utf8(body).expect("text");
            let noted_line = format!("{request} {body}");
            noted
                .lock()
                .expect("a list")
                .push(noted_line.trim_end().to_owned());
            let answer = answers.iter().find(|it| noted_line.starts_with(it.0));
            let (status, text) =
                answer.map_or((404, r#"{"error": "no such path"}"#), |it| (it.1, it.2));
            let length = text.len();
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
            )
            .expect("written");
        }
    });
    asked
}

/// Runs commands, and puts what the agent was asked into the transcript.
fn transcript(answers: Answers, commands: &[(i32, &[&str])]) -> String {
    let mut session = Session::new();
    session.write(
        "good.txt",
        "# a list\r\n192.0.2.7\r\n::ffff:192.0.2.8 ; x\n198.51.100.0/24\n",
    );
    session.write(
        "bad.txt",
        "192.0.2.7\nminers.example\n192.0.2.1/24\n10.0.0.1\n",
    );
    session.write("names.txt", "# nothing\n");
    let asked = answering(&session, answers);
    for (code, arguments) in commands {
        session.run(
            *code,
            &[&["--socket", "agent", "bans"], *arguments].concat(),
        );
        for line in std::mem::take(&mut *asked.lock().expect("a list")) {
            session.transcript.push_str(&format!("> {line}\n"));
        }
    }
    session.said()
}

#[test]
fn bans_are_listed_and_exported() {
    let answers: Answers = &[
        (
            "GET /v1/inbound/bans/why?address=192.0.2.7",
            200,
            r#"{"address": "192.0.2.7", "allows": [], "never": [],
            "bans": [{"net": "192.0.2.0/24", "origin": "import", "strength": "full", "made": "2026-01-01T00:00:00Z", "times": 1}],
            "past": [{"net": "192.0.2.7/32", "times": 2, "until": "2026-01-01T00:00:00Z"}]}"#,
        ),
        (
            "GET /v1/inbound/bans/why",
            200,
            r#"{"address": "192.0.2.1", "bans": [], "past": [],
            "allows": [{"net": "192.0.2.0/24", "made": "2026-01-01T00:00:00Z", "comment": "pen test"}],
            "never": [{"net": "192.0.2.1/32", "why": "this host's own address"}]}"#,
        ),
        ("GET /v1/inbound/bans", 200, BANS),
        (
            "GET /v1/inbound/allow",
            200,
            r#"[{"net": "192.0.2.0/24", "made": "2026-01-01T00:00:00Z",
            "until": "2026-01-02T00:00:00Z", "comment": "pen test", "actor": "ann (uid 1000)"}]"#,
        ),
        (
            "GET /v1/bans",
            200,
            r#"[{"name": "/etc/drop.txt", "prefixes": 3, "names": 1, "refused": 9}]"#,
        ),
    ];
    insta::assert_snapshot!(transcript(
        answers,
        &[
            (0, &["lists"]),
            (0, &["list"]),
            (0, &["list", "--json"]),
            (0, &["why", "192.0.2.7"]),
            (NOT_SO, &["why", "192.0.2.1"]),
            (NOT_SO, &["why", "2001:db8::1", "--json"]),
            (0, &["export"]),
            (0, &["export", "--format", "nft"]),
            (0, &["export", "--format", "ipset"]),
            (0, &["allow", "list"]),
            (2, &[]),
            (2, &["why", "example.org"]),
        ]
    ));
}

#[test]
fn bans_are_made_and_ended() {
    let answers: Answers = &[
        (
            "POST /v1/inbound/bans {\"nets\":[\"203.0.113.1/32\"]",
            422,
            r#"{"error": "nothing was banned: 203.0.113.1 is never banned: it is this host's own address"}"#,
        ),
        (
            "POST /v1/inbound/bans/lift",
            200,
            r#"{"nets": ["192.0.2.7/32"], "unknown": ["192.0.2.8 is not banned"]}"#,
        ),
        ("POST /v1/inbound/bans/flush", 200, r#"{"lifted": 3}"#),
        (
            "POST /v1/inbound/bans",
            200,
            r#"{"banned": 2, "unchanged": 0, "dry_run": false, "until": "2026-01-01T00:00:00Z",
            "notes": ["192.0.2.7 adds nothing: 192.0.2.0/24 is banned for as long"]}"#,
        ),
        (
            "POST /v1/inbound/allow",
            200,
            r#"{"allowed": ["192.0.2.0/24"], "lifted": ["192.0.2.7/32"]}"#,
        ),
        (
            "DELETE /v1/inbound/allow",
            200,
            r#"{"nets": ["192.0.2.0/24"]}"#,
        ),
    ];
    insta::assert_snapshot!(transcript(
        answers,
        &[
            (
                0,
                &[
                    "add",
                    "192.0.2.7",
                    "::ffff:192.0.2.8",
                    "--for",
                    "1h",
                    "--comment",
                    "ticket 4711"
                ]
            ),
            (0, &["add", "2001:db8::/32", "--soft", "--json"]),
            (BAD_INPUT, &["add", "203.0.113.1"]),
            (NOT_SO, &["remove", "192.0.2.7", "192.0.2.8"]),
            (1, &["flush"]),
            (0, &["flush", "--yes"]),
            (0, &["allow", "add", "192.0.2.0/24", "--for", "30d"]),
            (0, &["allow", "remove", "192.0.2.0/24"]),
            (2, &["add", "192.0.2.7/24"]),
            (2, &["add", "example.org"]),
            (2, &["add"]),
        ]
    ));
}

#[test]
fn lists_are_imported_whole_or_not_at_all() {
    let answers: Answers = &[(
        "POST /v1/inbound/bans",
        200,
        r#"{"banned": 2, "unchanged": 1, "dry_run": true,
            "refused": [{"net": "10.0.0.1/32", "why": "10.0.0.1 is never banned: it is within 10.0.0.0/8, which is private"}]}"#,
    )];
    insta::assert_snapshot!(transcript(
        answers,
        &[
            (BAD_INPUT, &["import", "bad.txt"]),
            (0, &["import", "bad.txt", "--skip-bad", "--for", "7d"]),
            (0, &["import", "good.txt", "--skip-bad", "--dry-run"]),
            (BAD_INPUT, &["import", "names.txt"]),
            (BAD_INPUT, &["import", "missing.txt"]),
            (BAD_INPUT, &["import", "-"]),
        ]
    ));
}

#[test]
fn a_list_that_the_agent_refuses_in_part_is_told_by_line() {
    let answers: Answers = &[(
        "POST /v1/inbound/bans",
        200,
        r#"{"banned": 2, "unchanged": 0, "dry_run": true,
            "refused": [{"net": "192.0.2.8/32", "why": "192.0.2.8 is never banned: it is this host's own address"}]}"#,
    )];
    insta::assert_snapshot!(transcript(answers, &[(BAD_INPUT, &["import", "good.txt"])]));
}

#[test]
fn bans_need_an_agent() {
    let mut session = Session::new();
    for command in [&["list"][..], &["add", "192.0.2.7"], &["flush", "--yes"]] {
        session.run(NO_AGENT, &[&["--socket", "none", "bans"], command].concat());
    }
    insta::assert_snapshot!(session.said());
}
