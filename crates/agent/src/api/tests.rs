//! Requests, damaged: every one that HTTP can read gets an answer, and every error says what is wrong.

mod inbound;

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{Mutex, RwLock, atomic::AtomicU32, atomic::AtomicU64},
    time::Instant,
};

use hayward_fuzz::{Corpus, throw};
use hayward_policy::Policy;
use hayward_record::{JournalOptions, Metrics, Recorder};
use hayward_respond::Restrictions;
use hayward_rules::table::CommandTable;
use hayward_tell::Tell;
use hayward_workload::Cgroups;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    pipeline::Pipeline,
    rules::Tables,
    scan::ScanCost,
    watch::{Stamps, Watch},
};

/// An agent with nothing in the kernel and no threads but one that tells nobody: there is nothing that a request could reach but its journal.
pub(crate) fn agent(folder: &Path) -> Arc<Agent> {
    let settings = folder.join("hayward.yaml");
    fs::write(&settings, "guards: {command: {rules: []}}\n").expect("settings");
    let policy = Policy::load(Some(&settings)).expect("good settings");
    let options = JournalOptions {
        directory: folder.join("journal"),
        keep: policy.journal.keep,
        max_bytes: policy.journal.max_bytes,
    };
    let metrics = Arc::new(Metrics::new("0", ""));
    let recorder = Recorder::open(options, metrics.clone()).expect("a journal");
    let tell = Tell::start(Vec::new(), metrics).expect("a thread");
    let table = CommandTable::compile(Vec::new(), 1, |_| 1).expect("no rules");
    Arc::new(Agent {
        pipeline: Pipeline {
            policy: RwLock::new(Arc::new(policy)),
            tables: RwLock::new(Tables::new(table)),
            cgroups: Mutex::new(Cgroups::new(folder.to_owned())),
            recorder,
            canaries: AtomicU64::new(0),
            names: crate::names::Names::keeping_records_beside(folder),
            breaker: Mutex::default(),
            strikes: Mutex::default(),
            answers: crate::answers::Answers::default(),
            notices: crate::notice::Notices::default(),
            randomx: Mutex::default(),
            found_miner: std::sync::atomic::AtomicBool::new(false),
            rounding_canary: AtomicU64::new(0),
            outbound_canary: AtomicU64::new(0),
            egress_canary: AtomicU64::new(0),
            pool_canary: AtomicU64::new(0),
            pool_refusals: Mutex::default(),
            refusals: Mutex::default(),
            inbound: crate::inbound::Inbound::default(),
            firewall: crate::firewall::Changes::default(),
            contacts: crate::contacts::Contacts::below(folder, folder),
            bans: std::sync::Mutex::default(),
            ledger: crate::ledger::Ledger::beside(folder).0,
            seen: Mutex::default(),
            ended_before: crate::kept::Ended::default(),
            sightings: crate::sightings::channel(),
            undecodable: AtomicU64::new(0),
        },
        kernel: Mutex::new(None),
        settings_file: Some(settings),
        canary_argument: "canary".to_owned(),
        generation: AtomicU32::new(1),
        mount: folder.to_owned(),
        root: folder.to_owned(),
        scoped: RwLock::new(Vec::new()),
        restrictions: Mutex::new(Restrictions::open(folder).0),
        scan_cost: Mutex::new(ScanCost::default()),
        unproven: Mutex::default(),
        listening: Mutex::default(),
        not_listening: Mutex::default(),
        missing_privileges: Vec::new(),
        reloading: Mutex::default(),
        appended: tokio::sync::watch::Sender::new(()),
        cryptnono: None,
        scanblocker: None,
        tell: Arc::new(tell),
        watch: Mutex::new(Watch::since(Stamps::default())),
        started: Instant::now(),
        adopted: false,
        notices: Mutex::new(Vec::new()),
        frames_unseen: Mutex::default(),
        packet_sockets: Mutex::default(),
    })
}

/// Serves until the process ends. Returns the socket.
fn served() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = agent(folder.path());
    let socket = serve_it(folder.path(), agent);
    (folder, socket)
}

fn serve_it(folder: &Path, agent: Arc<Agent>) -> std::path::PathBuf {
    let socket = folder.join("socket");
    let (ready, is_ready) = std::sync::mpsc::channel();
    let path = socket.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = listen(&agent, &path, "no-such-group").expect("a socket");
            ready.send(()).expect("a waiting test");
            let app = router(agent).into_make_service_with_connect_info::<Peer>();
            axum::serve(listener, app).await
        })
    });
    is_ready.recv().expect("it listens");
    socket
}

/// Asks and reads the answer. A request that may have no end needs `hang_up`, for which one that is right may be left
/// without an answer.
fn ask(socket: &Path, request: &[u8], hang_up: bool) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("a timeout");
    // A request that is refused early is answered before all of it was read.
    let _ = stream.write_all(request);
    if hang_up {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(end.is_ok() || hang_up || !answer.is_empty(), "{end:?}");
    answer
}

fn request(line: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The status of an answer, and its body where it has an error's.
fn read(answer: &[u8]) -> Option<(u16, Option<String>)> {
    let text = String::from_utf8_lossy(answer);
    let status = text.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n")?.1;
    let error = serde_json::from_str::<serde_json::Value>(body).ok();
    let error = error.and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
    Some((status, error))
}

fn is_answered(answer: &[u8]) -> Result<(), TestCaseError> {
    let (status, error) =
        read(answer).ok_or_else(|| TestCaseError::fail("the handler gave no answer"))?;
    prop_assert_ne!(status, 500, "{:?}", error);
    if status >= 400 {
        prop_assert!(error.is_some_and(|error| !error.is_empty()), "{}", status);
    }
    Ok(())
}

#[test]
fn a_misspelt_key_is_refused_and_errors_are_json() {
    let (_folder, socket) = served();
    let asked =
        |line: &str, body: &str| read(&ask(&socket, &request(line, body.as_bytes()), false));
    for (line, body, status, text) in [
        (
            "POST /v1/off",
            r#"{"guard": "command", "second": 60}"#,
            422,
            "second",
        ),
        ("POST /v1/off", "{", 400, "JSON"),
        ("POST /v1/forget", "{}", 422, "subject"),
        (
            "POST /v1/forget",
            r#"{"subject": ""}"#,
            422,
            "name a user id",
        ),
        (
            "POST /v1/act",
            r#"{"workload": "a", "act": "freeze", "dry-run": true}"#,
            422,
            "dry-run",
        ),
        (
            "POST /v1/act",
            r#"{"workload": "a", "act": {"throttle": 0}}"#,
            422,
            "1% to 100%",
        ),
        (
            "POST /v1/act",
            r#"{"workload": "a", "act": "freeze"}"#,
            404,
            "hayward workloads",
        ),
        ("GET /v1/events?worklaod=x", "", 400, "worklaod"),
        ("GET /v1/events?limit=-1", "", 400, "limit"),
        ("GET /v2", "", 404, "no such path"),
        ("GET /v1/off", "", 405, "another method"),
    ] {
        let (answered, error) = asked(line, body).expect(line);
        assert_eq!(answered, status, "{line} {error:?}");
        assert!(
            error.as_ref().is_some_and(|e| e.contains(text)),
            "{line} {error:?}"
        );
    }
    assert_eq!(asked("GET /v1/status", ""), Some((200, None)));
}

#[test]
fn answering_damaged_bodies_never_panics() {
    let (_folder, socket) = served();
    let bodies = [
        r#"{"guard": "command", "seconds": 60}"#,
        r#"{"dry_run": true}"#,
        r#"{"subject": "1000"}"#,
        r#"{"workload": "/a", "act": {"throttle": 5}, "dry_run": true}"#,
    ];
    let words = [
        "\"seconds\": ",
        "18446744073709551615",
        "1e400",
        "\"subject\": \"",
        "[[[[",
    ];
    let paths = prop::sample::select(vec!["off", "on", "forget", "reload", "act"]);
    throw(
        150,
        &(paths, Corpus::new(bodies, words).damaged()),
        |(path, body)| {
            is_answered(&ask(
                &socket,
                &request(&format!("POST /v1/{path}"), &body.0),
                false,
            ))
        },
    );
}

#[test]
fn answering_damaged_queries_never_panics() {
    let (_folder, socket) = served();
    let queries = [
        "since=2026-11-21T00:00:00Z&until=9999-12-30T22:00:00Z&limit=10&newest=true",
        "rule=a%20b&workload=%ff&id=01J",
    ];
    let words = [
        "%",
        "%00",
        "%c3",
        "&",
        "=",
        "+",
        "-009999-01-02T01:59:59Z",
        "true",
    ];
    let queries = Corpus::new(queries, words).damaged();
    throw(150, &queries, |query| {
        // What no URI may hold is percent-encoded, as clients do.
        let encoded: String = query
            .0
            .iter()
            .take(15_000)
            .map(|byte| match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~=&%+".contains(byte) => {
                    char::from(*byte).to_string()
                }
                byte => format!("%{byte:02x}"),
            })
            .collect();
        is_answered(&ask(
            &socket,
            &request(&format!("GET /v1/events?{encoded}"), b""),
            false,
        ))
    });
}

#[test]
fn reading_damaged_requests_never_panics() {
    let (_folder, socket) = served();
    let inputs = [
        request("POST /v1/off", br#"{"guard": "command"}"#),
        request("GET /v1/status", b""),
        b"POST /v1/on HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}   \r\n0\r\n\r\n".to_vec(),
    ];
    let words = [
        "\r\n",
        "content-length: ",
        "HTTP/1.0",
        "transfer-encoding: chunked\r\n",
        "OPTIONS * ",
    ];
    throw(150, &Corpus::new(inputs, words).damaged(), |input| {
        ask(&socket, &input.0, true);
        // Whatever it was, the next one is answered.
        let answer = read(&ask(&socket, &request("GET /v1/status", b""), false));
        prop_assert_eq!(answer, Some((200, None)));
        Ok(())
    });
}
