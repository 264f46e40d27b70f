//! Bans by the local API, with a map in place of the kernel's.

use hayward_record::Query as Records;
use serde_json::{Value, json};

use super::*;
use crate::ledger::fake::FakeMap;

/// A served agent whose ledger has a map.
struct Served {
    _folder: TempDir,
    socket: std::path::PathBuf,
    agent: Arc<Agent>,
    map: FakeMap,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let agent = agent(folder.path());
        let map = FakeMap::default();
        let ledger = &agent.pipeline.ledger;
        ledger.attach_never(map.clone()).expect("written");
        ledger.attach(map.clone());
        let socket = serve_it(folder.path(), agent.clone());
        Self {
            _folder: folder,
            socket,
            agent,
            map,
        }
    }

    /// The status of the answer, and its body.
    fn asks(&self, line: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = ask(&self.socket, &request(line, body.as_bytes()), false);
        let status = read(&answer).expect("an answer").0;
        let text = String::from_utf8_lossy(&answer);
        let body = text.split_once("\r\n\r\n").expect("a body").1;
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// What the journal says of acts on bans, the newest last.
    fn records(&self) -> Vec<String> {
        let records = self.agent.pipeline.recorder.reader();
        let records = records.query(Records::default()).expect("a journal");
        let records = records.filter_map(Result::ok);
        records
            .filter(|record| record.guard == Some(Guard::Inbound))
            .map(|record| {
                assert!(record.actor.is_some());
                let detail = record.detail.unwrap_or_default();
                format!("{}: {detail}", record.action.name())
            })
            .collect()
    }
}

#[test]
fn bans_are_made_listed_explained_lifted_and_recorded() {
    let served = Served::new();
    let order = json!({"nets": ["192.0.2.7", "2001:db8::/32"], "comment": "letter"});
    let began = Instant::now();
    let (status, report) = served.asks("POST /v1/inbound/bans", &order);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((status, &report["banned"]), (200, &json!(2)), "{report}");
    assert_eq!(served.map.nets(), ["192.0.2.7/32", "2001:db8::/32"]);
    let soft = json!({"nets": ["192.0.2.8"], "seconds": 3600, "soft": true, "origin": "import"});
    assert_eq!(served.asks("POST /v1/inbound/bans", &soft).0, 200);

    let (_, list) = served.asks("GET /v1/inbound/bans", &Value::Null);
    let sources: Vec<&Value> = list.as_array().expect("a list").iter().collect();
    assert_eq!(sources.len(), 3);
    assert_eq!(sources[0]["net"], "192.0.2.7/32");
    assert_eq!(sources[0]["reason"], "letter");
    assert_eq!(sources[1]["strength"], "soft");
    assert_eq!(sources[1]["origin"], "import");
    assert!(sources[1]["until"].is_string() && sources[0]["until"].is_null());

    let path = "GET /v1/inbound/bans/why?address=2001:db8::9";
    let (_, why) = served.asks(path, &Value::Null);
    assert_eq!(why["bans"][0]["net"], "2001:db8::/32", "{why}");

    let lift = json!({"nets": ["192.0.2.7", "192.0.2.9"]});
    let (status, report) = served.asks("POST /v1/inbound/bans/lift", &lift);
    assert_eq!((status, &report["nets"]), (200, &json!(["192.0.2.7/32"])));
    assert_eq!(report["unknown"], json!(["192.0.2.9 is not banned"]));
    let (_, report) = served.asks("POST /v1/inbound/bans/flush", &Value::Null);
    assert_eq!(report, json!({"lifted": 2}));
    assert_eq!(served.map.nets(), Vec::<String>::new());

    let records = served.records();
    assert_eq!(records.len(), 4, "{records:?}");
    assert_eq!(
        records[0],
        "banned: 192.0.2.7, 2001:db8::/32 for ever: letter"
    );
    assert!(records[1].starts_with("banned: 192.0.2.8 until "));
    assert!(records[1].ends_with(", first contacts alone"));
    assert_eq!(
        records[2..],
        ["unbanned: 192.0.2.7", "unbanned: all 2 bans"]
    );
}

#[test]
fn who_is_allowed_is_not_banned_by_the_api_either() {
    let served = Served::new();
    let ban = json!({"nets": ["192.0.2.7"]});
    assert_eq!(served.asks("POST /v1/inbound/bans", &ban).0, 200);
    let allow = json!({"nets": ["192.0.2.0/24"], "seconds": 60, "comment": "pen test"});
    let (status, report) = served.asks("POST /v1/inbound/allow", &allow);
    assert_eq!((status, &report["lifted"]), (200, &json!(["192.0.2.7/32"])));
    let (status, report) = served.asks("POST /v1/inbound/bans", &ban);
    let error = report["error"].as_str().expect("an error");
    assert!(status == 422 && error.contains("pen test"), "{error}");
    let dry = json!({"nets": ["192.0.2.7", "192.0.3.7"], "dry_run": true, "skip_refused": true});
    let (_, report) = served.asks("POST /v1/inbound/bans", &dry);
    assert_eq!(
        (&report["banned"], &report["dry_run"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(report["refused"][0]["net"], "192.0.2.7/32");
    assert_eq!(served.map.nets(), Vec::<String>::new());

    let (_, allowed) = served.asks("GET /v1/inbound/allow", &Value::Null);
    assert_eq!(allowed[0]["comment"], "pen test");
    let nets = json!({"nets": ["192.0.2.0/24"]});
    assert_eq!(served.asks("DELETE /v1/inbound/allow", &nets).0, 200);
    assert_eq!(served.asks("POST /v1/inbound/bans", &ban).0, 200);
    let records = served.records();
    assert_eq!(records.len(), 4, "{records:?}");
    let allowed = &records[1];
    assert!(
        allowed.starts_with("allowed: 192.0.2.0/24 until 20")
            && allowed.ends_with(" UTC: pen test"),
        "{allowed}"
    );
    assert_eq!(records[2], "disallowed: 192.0.2.0/24");
}

#[test]
fn what_is_wrong_with_a_ban_is_said_and_nothing_is_done() {
    let served = Served::new();
    let long = "x".repeat(2000);
    for (line, body, status, text) in [
        (
            "POST /v1/inbound/bans",
            json!({"nets": []}),
            422,
            "at least one",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["a.example"]}),
            422,
            "192.0.2.7",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7/24"]}),
            422,
            "192.0.2.0/24",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7"], "seconds": 0}),
            422,
            "0 s",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7"], "seconds": u64::MAX}),
            422,
            "for ever",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7"], "second": 60}),
            422,
            "second",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7"], "origin": "scan"}),
            422,
            "operator or import",
        ),
        (
            "POST /v1/inbound/bans",
            json!({"nets": ["192.0.2.7"], "comment": long}),
            422,
            "shorten",
        ),
        (
            "POST /v1/inbound/bans/lift",
            json!({"nets": ["x"]}),
            422,
            "neither",
        ),
        (
            "GET /v1/inbound/bans/why?address=x",
            Value::Null,
            422,
            "no address",
        ),
        ("GET /v1/inbound/bans/why", Value::Null, 400, "address"),
        (
            "GET /v1/inbound/bans/flush",
            Value::Null,
            405,
            "another method",
        ),
    ] {
        let (got, report) = served.asks(line, &body);
        let error = report["error"].as_str().unwrap_or_default();
        assert!(
            got == status && error.contains(text),
            "{line} {body}: {got} {error}"
        );
    }
    assert_eq!(served.map.nets(), Vec::<String>::new());
    assert_eq!(served.records(), Vec::<String>::new());
}

#[test]
fn a_list_of_two_hundred_thousand_is_taken_at_once() {
    let served = Served::new();
    let address = |number: u32| std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
    let nets: Vec<String> = (0..200_000).map(address).collect();
    let list = json!({"nets": nets, "origin": "import", "seconds": 3600});
    let (status, report) = served.asks("POST /v1/inbound/bans", &list);
    assert_eq!(
        (status, &report["banned"]),
        (200, &json!(200_000)),
        "{report}"
    );
    assert_eq!(served.agent.pipeline.ledger.count(), 200_000);
    let records = served.records();
    assert!(records[0].contains("10.0.0.0, 10.0.0.1") && records[0].contains("199990 more"));
}

#[test]
fn without_the_guard_the_api_says_so() {
    let (_folder, socket) = super::served();
    let asked = |line: &str| {
        read(&ask(
            &socket,
            &request(line, b"{\"nets\":[\"192.0.2.7\"]}"),
            false,
        ))
    };
    let (status, error) = asked("POST /v1/inbound/bans").expect("an answer");
    assert_eq!(status, 409);
    assert!(error.is_some_and(|error| error.contains("the guard inbound is off")));
}

#[test]
fn answering_damaged_orders_never_panics() {
    let served = Served::new();
    let bodies = [
        r#"{"nets": ["192.0.2.7", "2001:db8::/32"], "seconds": 60, "soft": true, "comment": "x"}"#,
        r#"{"nets": ["::/0"], "origin": "import", "skip_refused": true, "dry_run": true}"#,
    ];
    let words = [
        "/129",
        "::ffff:0:0/95",
        "18446744073709551615",
        "\"nets\": [",
        "0.0.0.0/0",
    ];
    let paths = prop::sample::select(vec!["bans", "bans/lift", "allow"]);
    throw(
        150,
        &(paths, Corpus::new(bodies, words).damaged()),
        |(path, body)| {
            let line = format!("POST /v1/inbound/{path}");
            is_answered(&ask(&served.socket, &request(&line, &body.0), false))
        },
    );
}
