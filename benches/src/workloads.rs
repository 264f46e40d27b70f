//! What whole workloads cost: how soon they are answered, and what the agent takes while containers come and go.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hayward_tests::{BANNED, Host, Start};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::{agent::processor_time, figure::Figure, sample::Samples};

const ANSWERS: usize = 200;
const CONTAINERS: u32 = 200;
const SECONDS: u64 = 60;
/// For a process to end.
const LONGEST: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// Measures all of them.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Figure>> {
    Ok(vec![kills(binary)?, answers(binary)?, containers(binary)?])
}

/// An agent with settings of its own. A new rule that acts in so many workloads would only observe.
fn agent(binary: &Path, rules: &str, command: &str, settings: &str) -> Host {
    let mut host = Host::with_binary(binary);
    host.write_rules(rules);
    host.write_settings(&Start {
        command: format!("scan: 0s, {command}"),
        settings: format!("breaker: {{young: 0s}}\n{settings}"),
    });
    host.spawn();
    host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
        .ok();
    host
}

/// Starts a shell that joins a cgroup and then runs the rest of the script. What is banned comes from the environment,
/// which is not judged.
fn start(cgroup: &Path, script: &str) -> Result<Child> {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("echo $$ > \"$0\" && {script}")])
        .arg(cgroup.join("cgroup.procs"))
        .env("BANNED", BANNED)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    Ok(command.spawn()?)
}

/// From the start of a program, which the kernel lets run, to its end by the agent.
fn kills(binary: &Path) -> Result<Figure> {
    eprintln!("workloads: {ANSWERS} programs are ended by the agent");
    let rules =
        format!("rules: [{{id: bench/by-the-agent, banned: [{BANNED}], response: kill}}]\n");
    let mut host = agent(binary, &rules, "response: freeze", "");
    let mut took = Vec::new();
    for _ in 0..ANSWERS {
        let since = Instant::now();
        // It waits for a line that never comes.
        let mut child = start(&host.inside, "exec sh -c 'read line' \"$BANNED\"")?;
        let ended = ended(child.id())?;
        let events = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&LONGEST))?;
        took.push(since.elapsed().as_secs_f64() * 1e3);
        ensure!(events == 1, "it was not ended");
        child.wait()?;
    }
    host.stop_agent();
    let took = Samples::new(took);
    Ok(Figure {
        key: "workloads.kill_ms",
        what: "from a program's start to its end by the agent, 99 of 100".to_owned(),
        value: took.quantile(0.99),
        unit: "ms",
        spread: format!("median {:.2} ms, of {ANSWERS}", took.median()),
        floor: Some(20.0),
        aim: Some(5.0),
    })
}

/// From the end of a banned program, which the kernel ends at its start, to that of another process in its workload.
fn answers(binary: &Path) -> Result<Figure> {
    eprintln!("workloads: {ANSWERS} are ended because of a finding");
    let rules =
        format!("rules: [{{id: bench/all, banned: [{BANNED}], response: kill-workload}}]\n");
    let mut host = agent(binary, &rules, "response: kill", "");
    let mut took = Vec::new();
    for number in 0..ANSWERS {
        let cgroup = host.inside.join(format!("docker-{number:064x}.scope"));
        fs::create_dir(&cgroup)?;
        let mut other = Command::new("sleep").arg("600").spawn()?;
        fs::write(cgroup.join("cgroup.procs"), other.id().to_string())?;
        let ended = ended(other.id())?;
        let killed = start(&cgroup, "exec /bin/true \"$BANNED\"")?.wait()?;
        let since = Instant::now();
        ensure!(!killed.success(), "it ran: {killed}");
        let events = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&LONGEST))?;
        took.push(since.elapsed().as_secs_f64() * 1e3);
        ensure!(events == 1, "the workload was not ended");
        other.wait()?;
    }
    host.stop_agent();
    let took = Samples::new(took);
    Ok(Figure {
        key: "workloads.answer_ms",
        what: "from a finding to the end of its whole workload, 99 of 100".to_owned(),
        value: took.quantile(0.99),
        unit: "ms",
        spread: format!("median {:.2} ms, of {ANSWERS}", took.median()),
        floor: Some(20.0),
        aim: Some(5.0),
    })
}

fn ended(pid: u32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid.cast_signed()).context("a process")?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Cgroups as a runtime makes them, each with a process that starts a program, and its events as Docker sends them. No
/// runtime here starts that many containers in a second: what plays Docker only tells of them. Settings go by names, so
/// that each name is waited for.
fn containers(binary: &Path) -> Result<Figure> {
    eprintln!("workloads: {CONTAINERS} containers a second for {SECONDS} s");
    let folder = tempfile::tempdir()?;
    let (events, told) = channel();
    let socket = folder.path().join("docker.sock");
    play_docker(&socket, told)?;
    let settings = format!(
        "workloads: {{runtimes: [\"docker:{}\"]}}\noverrides: [{{match: {{image: trusted}}, guards: {{command: observe}}}}]\n",
        socket.display()
    );
    let mut host = agent(binary, "rules: []\n", "response: kill", &settings);
    host.wait_until("the socket", || {
        let status = host.hayward(&["status", "--json"]).ok().json();
        let socket = &status["runtimes"][&*socket.to_string_lossy()];
        !socket["connection"]["connected"].is_null()
    });
    let before = (processor_time(&host)?, Instant::now());
    let period = Duration::from_secs(1) / CONTAINERS;
    let mut number = 0;
    while before.1.elapsed() < Duration::from_secs(SECONDS) {
        let id = format!("{number:064x}");
        let cgroup = host.inside.join(format!("docker-{id}.scope"));
        for action in ["create", "start"] {
            events.send(event(action, &id))?;
        }
        fs::create_dir(&cgroup)?;
        let ended = start(&cgroup, "exec /bin/true")?.wait()?;
        ensure!(ended.success(), "{ended}");
        fs::remove_dir(&cgroup)?;
        for action in ["die", "destroy"] {
            events.send(event(action, &id))?;
        }
        let due = before.1 + period * (number + 1);
        sleep(due.saturating_duration_since(Instant::now()));
        number += 1;
    }
    let spent = processor_time(&host)? - before.0;
    let passed = before.1.elapsed().as_secs_f64();
    host.stop_agent();
    Ok(Figure {
        key: "workloads.cpu_pct_200_containers",
        what: format!("agent processor at {CONTAINERS} containers a second, their names too"),
        value: 100.0 * spent / passed,
        unit: "%",
        spread: format!(
            "over {passed:.0} s, {:.0} a second",
            f64::from(number) / passed
        ),
        floor: Some(20.0),
        aim: Some(8.0),
    })
}

/// An event as Docker 27 sends it for a notebook.
fn event(action: &str, id: &str) -> String {
    let (image, name) = ("quay.io/jupyter/scipy-notebook:2026-11-02", &id[56..]);
    format!(
        r#"{{"status":"{action}","id":"{id}","from":"{image}","Type":"container","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{{"image":"{image}","name":"jupyter-{name}","maintainer":"Jupyter Project","org.opencontainers.image.version":"24.04"}}}},"scope":"local","time":1795205877,"timeNano":1795205877000000000}}"#
    )
}

/// Answers at a socket as Docker does, as far as the agent asks, until the sender of events has gone.
fn play_docker(socket: &PathBuf, events: Receiver<String>) -> Result<()> {
    let listener = UnixListener::bind(socket)?;
    thread::spawn(move || {
        let mut events = Some(events);
        for stream in listener.incoming().filter_map(Result::ok) {
            // One follower comes, and one connection of it asks for events.
            if let Ok(Some((stream, events))) = answer(stream, &mut events) {
                thread::spawn(move || send(stream, &events));
            }
        }
    });
    Ok(())
}

fn answer<T>(mut stream: UnixStream, events: &mut Option<T>) -> Result<Option<(UnixStream, T)>> {
    let mut request = [0; 4096];
    let length = stream.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..length]);
    let path = request.split(' ').nth(1).unwrap_or_default();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    if path.starts_with("/events") {
        write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n")?;
        return Ok(events.take().map(|events| (stream, events)));
    }
    let body = match path {
        "/version" => r#"{"Version":"27.1","Components":[{"Name":"Engine"}]}"#,
        _ => "[]",
    };
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
    Ok(None)
}

fn send(mut stream: UnixStream, events: &Receiver<String>) {
    for event in events {
        if write!(stream, "{:x}\r\n{event}\n\r\n", event.len() + 1).is_err() {
            return;
        }
    }
}
