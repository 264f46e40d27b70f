//! `hayward explain` of records of the guard `inbound`: what happened, what holds now, and how to undo it.

use crate::{
    bans::{Answers, answering},
    session::Session,
};

const SCAN: &str = r#"{"id":"01SCAN","time":"2026-01-01T00:00:00Z","action":"banned","guard":"inbound","mode":"enforce",
    "response":"deny","evidence":{"judged_at":"packet","inbound":{"source":"203.0.113.10/32","target":"192.0.2.1",
    "limit":"unanswered","kinds":["syn"],"shape":"vertical","contacts":5,"answered":0,"failed":5,"ports":[21,22,23,25,53],
    "milliseconds":12,"proven":false,"interface":"eth0"}},"detail":"203.0.113.10 sent SYN to 5 ports of 192.0.2.1 in 12 ms (21, 22, 23, 25, 53), 5 failed: its first contacts are dropped for 1 min"}"#;
const TOGETHER: &str = r#"{"id":"01MANY","time":"2026-01-01T00:00:00Z","action":"observed","guard":"inbound","mode":"enforce",
    "response":"deny","evidence":{"judged_at":"packet","inbound":{"source":"203.0.113.50/32","target":"192.0.2.1",
    "limit":"distributed","kinds":[],"shape":"vertical","contacts":0,"answered":0,"failed":0,"ports":[],"milliseconds":0,
    "proven":false,"sources":50,"interface":"eth0"}},"detail":"50 sources together probed a hundred ports or more within ten minutes, the last at 192.0.2.1: nobody is banned for it, since each of them probed little"}"#;
const BY_HAND: &str = r#"{"id":"01HAND","time":"2026-01-01T00:00:00Z","action":"banned","guard":"inbound",
    "actor":{"uid":0,"pid":7,"name":"root"},"nets":["198.51.100.64/28","2001:db8::7/128"],
    "detail":"198.51.100.64/28, 2001:db8::7 for ever: ticket 7"}"#;
const REMOVED: &str = r#"{"id":"01GONE","time":"2026-01-01T00:00:00Z","action":"unbanned","guard":"inbound",
    "actor":{"uid":0,"pid":7,"name":"root"},"nets":["203.0.113.10/32"],"detail":"203.0.113.10"}"#;
const ALLOWED: &str = r#"{"id":"01PASS","time":"2026-01-01T00:00:00Z","action":"allowed","guard":"inbound",
    "actor":{"uid":0,"pid":7,"name":"root"},"nets":["203.0.113.9/32"],"detail":"203.0.113.9 for ever"}"#;
const NOT_ALLOWED: &str = r#"{"id":"01STOP","time":"2026-01-01T00:00:00Z","action":"disallowed","guard":"inbound",
    "actor":{"uid":0,"pid":7,"name":"root"},"nets":["203.0.113.9/32"],"detail":"203.0.113.9"}"#;

const NOT_BANNED: &str = r#"{"address":"203.0.113.9","bans":[],"allows":[],"never":[],"past":[]}"#;
const ANSWERS: Answers = &[
    ("GET /v1/events?id=01SCAN", 200, SCAN),
    ("GET /v1/events?id=01MANY", 200, TOGETHER),
    ("GET /v1/events?id=01HAND", 200, BY_HAND),
    ("GET /v1/events?id=01GONE", 200, REMOVED),
    ("GET /v1/events?id=01PASS", 200, ALLOWED),
    ("GET /v1/events?id=01STOP", 200, NOT_ALLOWED),
    (
        "GET /v1/inbound/bans/why?address=198.51.100.64",
        200,
        r#"{"address":"198.51.100.64","bans":[{"net":"198.51.100.0/24","origin":"operator","strength":"full",
            "made":"2026-01-01T00:00:00Z","times":1,"dropped":4711}],"allows":[],"never":[],"past":[]}"#,
    ),
    (
        "GET /v1/inbound/bans/why?address=203.0.113.10",
        200,
        r#"{"address":"203.0.113.10","bans":[{"net":"203.0.113.10/32","origin":"scan","strength":"soft",
            "made":"2026-01-01T00:00:00Z","times":1,"dropped":1}],"allows":[],"never":[],"past":[]}"#,
    ),
    ("GET /v1/inbound/bans/why", 200, NOT_BANNED),
];

#[test]
fn records_of_scans_and_bans_say_what_holds_now_and_how_to_undo_it() {
    // The agent answers a record in one line.
    let answers = ANSWERS.iter().map(|(request, status, text)| {
        let one_line: &str = format!("{}\n", text.lines().collect::<String>()).leak();
        (*request, *status, one_line)
    });
    let answers: Answers = answers.collect::<Vec<_>>().leak();
    let mut session = Session::new();
    answering(&session, answers);
    for id in ["01SCAN", "01MANY", "01HAND", "01GONE", "01PASS", "01STOP"] {
        session.run(0, &["explain", id, "--socket", "agent"]);
    }
    insta::assert_snapshot!(session.said());
}
