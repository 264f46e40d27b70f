//! What an abuse letter leads to: `hayward trace`, by the log of first contacts.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        os::unix::net::{UnixListener, UnixStream},
        path::Path,
        thread,
    };

    use hayward_tests::{Host, NetworkWorkload, Start};
    use serde_json::Value;

    const CONTAINER: &str =
        "docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope";

    /// A place whose settings list the guard with these of its own.
    fn place(settings: &str) -> Host {
        let host = Host::new();
        host.list_guard("outbound", settings);
        host
    }

    fn spawn(host: &mut Host) {
        host.spawn();
        host.wait_for_proof("outbound");
    }

    fn guarding(settings: &str) -> Host {
        let mut host = place(settings);
        spawn(&mut host);
        host
    }

    /// A container's program that has got in touch with three, one of them twice.
    fn container(host: &Host) -> NetworkWorkload {
        let cgroup = host.inside.join(CONTAINER);
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut workload = NetworkWorkload::new(&cgroup);
        workload.all(&[
            ("listen web SOCK_STREAM 10.1.0.1 80", "ok"),
            ("scan 10.1.0.1 80 80", "ok:1"),
            ("scan 10.1.0.1 80 80", "ok:1"),
            ("scan 10.2.0.1 22 22", "ECONNREFUSED:1"),
            ("make a 6 SOCK_DGRAM", "ok"),
            ("send_to a x fd02::1 53", "ok"),
        ]);
        workload
    }

    fn traced(host: &Host, arguments: &[&str]) -> Vec<Value> {
        let answer = host.configured(&[&["trace", "--json"], arguments].concat());
        assert!(answer.code == 0 || answer.out.is_empty(), "{answer:?}");
        answer.lines()
    }

    fn wait_for(host: &Host, to: &str, count: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        host.wait_until(&format!("{count} contacts with {to}"), || {
            lines = traced(host, &["--to", to]);
            lines.len() >= count
        });
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    fn bytes_below(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let sizes =
            entries.map(|entry| entry.and_then(|it| it.metadata()).map_or(0, |it| it.len()));
        sizes.sum()
    }

    #[test]
    fn a_letter_leads_to_the_workload_and_its_process_also_without_an_agent() {
        let mut host = guarding("{}");
        let _workload = container(&host);
        let line = wait_for(&host, "10.1.0.1:80", 1).remove(0);
        assert_eq!(line["destination"]["protocol"], "tcp");
        assert_eq!(line["process"]["comm"], "python3", "{line}");
        assert_eq!(line["process"]["uid"], 0);
        let pid = line["process"]["pid"].as_u64().expect("a pid");
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(line["workload"]["container_id"], CONTAINER[7..71], "{line}");
        let cgroup = line["workload"]["cgroup"].as_str();
        assert!(
            cgroup.is_some_and(|path| path.ends_with(CONTAINER)),
            "{line}"
        );
        assert_eq!(line["before"], false);
        host.kill_agent();
        let shown = host.configured(&["trace", "--to", "10.1.0.1:80"]).ok();
        let mut words = shown.out.split_whitespace().rev();
        assert_eq!(words.next(), Some("10.1.0.1:80"), "{shown:?}");
        for word in ["tcp", "0", &pid.to_string(), "python3"] {
            assert_eq!(words.next(), Some(word), "{shown:?}");
        }
        assert!(shown.out.contains("0123456789ab"), "{shown:?}");
        for (to, count) in [
            ("10.1.0.1", 1),
            ("10.2.0.1:22", 1),
            ("[fd02::1]:53", 1),
            ("fd02::/16", 1),
            ("10.0.0.0/8", 2),
            ("::/0", 1),
        ] {
            assert_eq!(traced(&host, &["--to", to]).len(), count, "{to}");
        }
    }

    #[test]
    fn around_its_time_or_the_latest_before_it_and_nothing_is_said_with_how_far_the_log_reaches() {
        let host = guarding("{}");
        let _workload = container(&host);
        wait_for(&host, "10.1.0.1", 1);
        wait_for(&host, "fd02::1", 1);
        assert_eq!(traced(&host, &["--to", "10.1.0.1", "--at", "1m"]).len(), 1);
        // Long before: it had not been made then.
        let early = ["trace", "--to", "10.1.0.1", "--at", "5h"];
        let nothing = host.configured(&early);
        assert_eq!((nothing.code, nothing.out.as_str()), (6, ""), "{nothing:?}");
        assert!(nothing.err.contains("reaches back to 2"), "{nothing:?}");
        // Long after: it may have gone on.
        let late = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1)).to_string();
        let before = host.configured(&["trace", "--json", "--to", "10.1.0.1", "--at", &late]);
        assert_eq!(before.code, 0, "{before:?}");
        assert_eq!(before.lines()[0]["before"], true, "{before:?}");
        assert!(before.err.contains("the latest before"), "{before:?}");
        let nobody = host.configured(&["trace", "--to", "192.0.2.1:22"]);
        assert_eq!((nobody.code, nobody.out.as_str()), (6, ""), "{nobody:?}");
        assert!(!nobody.err.contains("not listed"), "{nobody:?}");
        let wrong = host.configured(&["trace", "--to", "example.org"]);
        assert_eq!(wrong.code, 2, "{wrong:?}");
    }

    #[test]
    fn where_nothing_is_logged_it_is_said_why() {
        let off = Host::new();
        off.write_settings(&Start::default());
        let answer = off.configured(&["trace", "--to", "192.0.2.1"]);
        assert_eq!(answer.code, 6);
        assert!(
            answer.err.contains("not listed under `guards`"),
            "{answer:?}"
        );
        let mut host = guarding("{log: none}");
        let mut workload = container(&host);
        let status = host.status();
        let counters = &status["guards"]["outbound"]["counters"];
        assert!(
            counters["outbound_contacts"].as_u64() > Some(0),
            "{counters}"
        );
        assert_eq!(counters["outbound_logged"], 0, "{counters}");
        let answer = host.configured(&["trace", "--to", "10.1.0.1"]);
        assert!(
            answer.code == 6 && answer.err.contains("log: none"),
            "{answer:?}"
        );
        assert!(!host.path("journal/contacts").exists());
        // It begins with the next contact after a reload, and ends so.
        host.edit_settings("log: none", "log: {keep: 1d}");
        host.hayward(&["reload"]).ok();
        workload.all(&[("scan 10.2.0.1 23 23", "ECONNREFUSED:1")]);
        wait_for(&host, "10.2.0.1", 1);
        host.edit_settings("log: {keep: 1d}", "log: none");
        host.hayward(&["reload"]).ok();
        workload.all(&[("scan fd02::1 24 24", "ECONNREFUSED:1")]);
        host.stop_agent();
        assert!(traced(&host, &["--to", "fd02::1"]).is_empty());
        assert_eq!(traced(&host, &["--to", "10.2.0.1"]).len(), 1);
    }

    #[test]
    fn an_agent_that_is_killed_again_and_again_leaves_a_log_of_whole_lines() {
        let mut host = place("{rate: 100000}");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[("own 10.4.0.1/16", "ok"), ("serve 80", "ok")]);
        let mut made = 0;
        for third in 1..=4 {
            spawn(&mut host);
            workload.does(&format!("sweep 10.4.{third}. 1 250 80"));
            made += 250;
            host.wait_until("some contacts", || {
                bytes_below(&host.path("journal/contacts")) > 0
            });
            // Wherever it is with the rest.
            host.kill_agent();
        }
        // What a write that was cut short leaves.
        let newest = fs::read_dir(host.path("journal/contacts")).expect("a log");
        let newest = newest.filter_map(Result::ok).map(|it| it.path());
        let newest = newest.filter(|path| path.extension().is_some()).max();
        let newest = newest.expect("a segment");
        let mut bytes = fs::read(&newest).expect("a segment");
        bytes.extend(b"{\"time\":\"20");
        fs::write(&newest, bytes).expect("a torn line");
        let torn = host.configured(&["trace", "--json", "--to", "10.4.0.0/16"]);
        assert!(
            torn.err.contains("1 line of the log cannot be read"),
            "{torn:?}"
        );
        let before = torn.lines().len();
        spawn(&mut host);
        workload.all(&[("scan 10.4.9.9 80 80", "ok:1")]);
        wait_for(&host, "10.4.9.9", 1);
        let whole = host
            .configured(&["trace", "--json", "--to", "10.4.0.0/16"])
            .ok();
        assert_eq!(whole.err, "");
        let lines = whole.lines();
        assert!(lines.len() > before && lines.len() <= made + 1);
        // What was in the ring when an agent was killed is taken by the next one.
        assert!(lines.len() > made / 2, "{} of {made}", lines.len());
        let status = host.status();
        let counters = &status["guards"]["outbound"]["counters"];
        assert_eq!(counters["outbound_log_lost"], 0, "{counters}");
    }

    /// Docker as far as an agent asks. It tells of the container only when it is asked for that one.
    fn runtime(socket: &Path) {
        let listener = UnixListener::bind(socket).expect("a socket");
        let id = &CONTAINER[7..71];
        let named = format!(
            r#"[{{"Id":"{id}","Names":["/ann"],"Image":"notebook:1","State":"running","Labels":{{"team":"a"}}}}]"#
        );
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let named = named.clone();
                thread::spawn(move || answer(stream, &named));
            }
        });
    }

    fn answer(mut stream: UnixStream, named: &str) {
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let body = match path {
            "/version" => r#"{"Version":"27.1","Components":[{"Name":"Engine"}]}"#,
            "/containers/json" => "[]",
            _ if path.starts_with("/containers/json?") => named,
            _ => {
                // News have no end.
                let _ = write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n");
                let _ = stream.read(&mut [0; 16]);
                return;
            }
        };
        let length = body.len();
        let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}");
        let _ = stream.read(&mut [0; 16]);
    }

    #[test]
    fn a_container_of_which_nobody_has_heard_is_named_all_the_same() {
        let mut host = place("{}");
        let socket = host.path("docker.sock");
        runtime(&socket);
        let path = socket.to_string_lossy();
        host.edit_settings(
            "guards:\n",
            &format!("workloads: {{runtimes: [\"docker:{path}\"]}}\nguards:\n"),
        );
        spawn(&mut host);
        host.wait_until("the socket", || {
            !host.status()["runtimes"][&*path]["connection"]["connected"].is_null()
        });
        let _workload = container(&host);
        wait_for(&host, "fd02::1", 1);
        let workload = wait_for(&host, "10.1.0.1", 1).remove(0)["workload"].clone();
        assert_eq!(workload["name"], "ann", "{workload}");
        assert_eq!(workload["image"], "notebook:1", "{workload}");
        assert_eq!(workload["labels"], Value::Null, "{workload}");
        let shown = host.configured(&["trace", "--to", "10.1.0.1"]).ok();
        assert!(shown.out.contains("  ann  "), "{shown:?}");
        assert_eq!(
            host.hayward(&["forget", "ann", "--json"]).ok().json()["contacts"],
            3
        );
    }

    #[test]
    fn what_a_container_made_within_it_and_removed_again_leads_to_the_container() {
        let host = guarding("{}");
        host.pause_agent();
        let inner = host.inside.join(CONTAINER).join("inner");
        fs::create_dir_all(&inner).expect("cgroups");
        let mut workload = NetworkWorkload::new(&inner);
        workload.all(&[("scan 10.2.0.1 22 22", "ECONNREFUSED:1")]);
        drop(workload);
        host.wait_until("an empty cgroup", || fs::remove_dir(&inner).is_ok());
        host.resume_agent();
        let line = wait_for(&host, "10.2.0.1", 1).remove(0);
        assert_eq!(line["workload"]["container_id"], CONTAINER[7..71], "{line}");
    }

    #[test]
    fn who_is_forgotten_is_gone_from_the_log_and_others_stay() {
        let host = guarding("{}");
        let _workload = container(&host);
        let mut other = NetworkWorkload::new(&host.inside);
        other.all(&[("scan 10.2.0.1 22 22", "ECONNREFUSED:1")]);
        wait_for(&host, "10.2.0.1", 2);
        wait_for(&host, "fd02::1", 1);
        let forgotten = host.hayward(&["forget", "0123456789ab", "--json"]).ok();
        assert_eq!(forgotten.json()["contacts"], 3, "{forgotten:?}");
        let left = wait_for(&host, "10.0.0.0/8", 1).remove(0);
        assert_eq!(left["workload"]["container_id"], Value::Null, "{left}");
        let said = host.hayward(&["forget", "0"]).ok();
        assert!(said.out.contains("1 contact removed"), "{said:?}");
        assert_eq!(traced(&host, &["--to", "10.0.0.0/8"]), [Value::Null; 0]);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_and_counted_and_stops_no_guard() {
        let host = place("{}");
        fs::create_dir(host.path("journal")).expect("a folder");
        fs::write(host.path("journal/contacts"), "in the way").expect("a file");
        let mut host = host;
        spawn(&mut host);
        let mut workload = container(&host);
        let lost = "hayward_events_lost_total{guard=\"outbound\",cause=\"log-unwritten\"}";
        host.wait_until("losses", || host.series(lost) == 3);
        let problems = host.status()["problems"].to_string();
        assert!(
            problems.contains("first contacts are not logged"),
            "{problems}"
        );
        fs::remove_file(host.path("journal/contacts")).expect("removed");
        workload.all(&[("scan 10.2.0.1 23 23", "ECONNREFUSED:1")]);
        wait_for(&host, "10.2.0.1", 1);
        host.wait_until("no problem", || {
            !host.status()["problems"].to_string().contains("contacts")
        });
        assert_eq!(host.series(lost), 3);
        assert!(host.series("hayward_contacts_bytes") > 0);
    }
}
