//! Sockets behind which there is no runtime, and runtimes that do not work.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread,
};

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Serves each connection by a function, on a thread that ends with the test's process.
fn serve(path: &Path, answer: impl Fn(std::os::unix::net::UnixStream) + Send + Sync + 'static) {
    let listener = UnixListener::bind(path).expect("a socket");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(stream));
        }
    });
}

fn sockets(api: Api, path: &Path) -> Sockets {
    Sockets {
        named: vec![(api, path.to_owned())],
        usual: false,
    }
}

/// Waits until a socket's state is as expected, for at most 20 seconds.
async fn wait_for(directory: &Directory, path: &Path, is_expected: impl Fn(&Connection) -> bool) {
    let reached = async {
        while !directory
            .sockets()
            .get(path)
            .is_some_and(|state| is_expected(&state.connection))
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = timeout(Duration::from_secs(20), reached).await;
    assert!(reached.is_ok(), "{:?}", directory.sockets());
}

/// Follows a socket until its state is as expected.
async fn until(
    directory: &Arc<Directory>,
    api: Api,
    path: &Path,
    is_expected: impl Fn(&Connection) -> bool,
) {
    let following = tokio::spawn(follow(Arc::clone(directory), sockets(api, path)));
    wait_for(directory, path, is_expected).await;
    following.abort();
}

fn is_connected(connection: &Connection) -> bool {
    matches!(connection, Connection::Connected { .. })
}

#[tokio::test]
async fn a_socket_that_is_made_anew_is_tried_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    assert!(!is_made_anew(&path, made(&path), Duration::from_millis(1)).await);
    let making = async {
        sleep(2 * PAUSES.0).await;
        UnixListener::bind(&path).expect("a socket")
    };
    let waiting = is_made_anew(&path, made(&path), PAUSES.1);
    let begun = Instant::now();
    let (first, anew) = tokio::join!(making, waiting);
    assert!(anew && begun.elapsed() < PAUSES.1 / 2);
    let before = made(&path);
    assert!(!is_made_anew(&path, before, Duration::from_millis(1)).await);
    drop(first);
    fs::remove_file(&path).expect("a socket");
    let _second = UnixListener::bind(&path).expect("a socket");
    assert!(is_made_anew(&path, before, PAUSES.1).await);
}

#[test]
fn a_runtime_that_goes_may_come_back_unless_it_is_a_users() {
    let directory = Directory::new();
    let say = |name: &str, connection, is_asked| {
        let api = Api::Docker;
        directory.set_state(Path::new(name), SocketState { api, connection }, is_asked);
    };
    let connected = || Connection::Connected {
        runtime: None,
        version: String::new(),
    };
    let failed = || Connection::Failed(String::new());
    let is_away = || directory.is_somebody_away(STEADY);
    say("never-there", failed(), true);
    say("users", connected(), false);
    say("users", failed(), false);
    assert!(!is_away());
    say("hosts", connected(), true);
    assert!(!is_away());
    say("hosts", failed(), true);
    say("hosts", failed(), true);
    assert!(is_away() && !directory.is_somebody_away(Duration::ZERO));
    say("hosts", connected(), true);
    assert!(!is_away());
}

fn failed_with(part: &'static str) -> impl Fn(&Connection) -> bool {
    move |connection| matches!(connection, Connection::Failed(why) if why.contains(part))
}

/// A kind of answer to a request of Docker's API, by path.
fn docker(path: &Path, answer: fn(&str) -> String) {
    serve(path, move |mut stream| {
        let mut request = [0; 4096];
        let read = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let body = answer(path);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let _ = if path.starts_with("/events") {
            write!(
                stream,
                "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n",
                body.len()
            )
        } else {
            write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())
        };
        // An event stream stays open.
        let _ = stream.read(&mut [0; 16]);
    });
}

fn good(path: &str) -> String {
    match path {
        "/version" => r#"{"Version":"27.1","Components":[{"Name":"Engine"}]}"#.to_owned(),
        path if path.starts_with("/events") => "\n".to_owned(),
        "/containers/json" => "[]".to_owned(),
        _ => format!(r#"[{{"Id":"{ID}","Names":["/job"],"Image":"busybox","State":"exited"}}]"#),
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_absent() {
    let directory = Arc::new(Directory::new());
    for api in [Api::Cri, Api::Docker] {
        let nowhere = Path::new("/nowhere/at-all.sock");
        until(&directory, api, nowhere, |state| {
            *state == Connection::Absent
        })
        .await;
    }
}

#[tokio::test]
async fn one_who_says_nothing_costs_time_and_a_name_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    for api in [Api::Cri, Api::Docker] {
        let path = folder.path().join(format!("{api:?}"));
        serve(&path, |mut stream| {
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        });
        let directory = Arc::new(Directory::new());
        until(&directory, api, &path, failed_with("no answer within 10 s")).await;
        let begun = Instant::now();
        assert!(!directory.look_up(ID, Duration::from_millis(200)).await);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn random_bytes_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for api in [Api::Cri, Api::Docker] {
        for seed in 0..8 {
            let path = folder.path().join(format!("{api:?}-{seed}"));
            serve(&path, move |mut stream| {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut bytes = [0; 4096];
                loop {
                    random.fill(&mut bytes);
                    if stream.write_all(&bytes).is_err() {
                        return;
                    }
                }
            });
            let directory = Arc::new(Directory::new());
            until(&directory, api, &path, failed_with("")).await;
            assert!(directory.is_empty());
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("endless");
    serve(&path, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let directory = Arc::new(Directory::new());
    until(
        &directory,
        Api::Docker,
        &path,
        failed_with("length limit exceeded"),
    )
    .await;

    let path = folder.path().join("line");
    docker(&path, |path| match path.starts_with("/events") {
        true => "x".repeat(1 << 20),
        false => good(path),
    });
    until(
        &directory,
        Api::Docker,
        &path,
        failed_with("a line of more than"),
    )
    .await;
}

#[tokio::test]
async fn other_json_and_errors_of_a_runtime_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Arc::new(Directory::new());
    let path = folder.path().join("other");
    docker(&path, |_| "[1, 2]".to_owned());
    until(
        &directory,
        Api::Docker,
        &path,
        failed_with("not as expected"),
    )
    .await;

    let path = folder.path().join("refusing");
    serve(&path, |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nnot so";
        let _ = stream.write_all(answer.as_bytes());
    });
    until(
        &directory,
        Api::Docker,
        &path,
        failed_with("403 Forbidden: not so"),
    )
    .await;
}

#[tokio::test]
async fn a_container_is_asked_for_when_it_is_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("docker.sock");
    docker(&path, good);
    let directory = Arc::new(Directory::new());
    let following = tokio::spawn(follow(Arc::clone(&directory), sockets(Api::Docker, &path)));
    wait_for(&directory, &path, is_connected).await;
    assert!(directory.look_up(ID, Duration::from_secs(5)).await);
    let mut workload = crate::name(1, &format!("/docker/{ID}"));
    assert!(directory.fill(&mut workload));
    assert_eq!(
        (workload.name.as_str(), workload.image.as_deref()),
        ("job", Some("busybox"))
    );
    let other = "0".repeat(64);
    let begun = Instant::now();
    assert!(!directory.look_up(&other, Duration::from_secs(5)).await);
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "it had its answer"
    );
    following.abort();
}

#[tokio::test]
async fn one_who_stops_answering_costs_no_more_than_was_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("docker.sock");
    docker(&path, |path| {
        if path.contains("all=true") {
            thread::sleep(Duration::from_secs(60));
        }
        good(path)
    });
    let directory = Arc::new(Directory::new());
    let following = tokio::spawn(follow(Arc::clone(&directory), sockets(Api::Docker, &path)));
    wait_for(&directory, &path, is_connected).await;
    let begun = Instant::now();
    let within = Duration::from_millis(200);
    assert!(!directory.look_up(ID, within).await);
    assert!(begun.elapsed() < Duration::from_secs(2));
    wait_for(
        &directory,
        &path,
        failed_with("a container: no answer within 2 s"),
    )
    .await;
    wait_for(&directory, &path, is_connected).await;
    following.abort();
}

#[tokio::test]
async fn a_users_socket_that_is_gone_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("podman.sock");
    let directory = Arc::new(Directory::new());
    let socket = Socket {
        path: path.clone(),
        api: Api::Docker,
        user: Some(1000),
        source: 0,
    };
    let following = keep_following(Arc::clone(&directory), socket);
    let ended = timeout(Duration::from_secs(20), following).await;
    assert_eq!(ended, Ok(path));
    assert!(directory.sockets().is_empty());
}

#[test]
fn usual_sockets_and_named_ones_are_followed_once() {
    let twice = Sockets {
        named: vec![(Api::Docker, "/run/docker.sock".into())],
        usual: true,
    };
    assert_eq!(twice.lasting(), Sockets::default().lasting());
    let alone = sockets(Api::Cri, Path::new("/x"));
    assert_eq!(alone.lasting().len(), 1);
}
