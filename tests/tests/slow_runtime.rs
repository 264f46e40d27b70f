//! A runtime that does not answer in time costs a name, and delays nothing that is done.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        os::unix::net::{UnixListener, UnixStream},
        path::Path,
        process::Command,
        thread,
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// Docker as far as an agent asks at first. It never says anything of one container, which no real one can be made
    /// to do at the right moment.
    fn stalling(socket: &Path) {
        let listener = UnixListener::bind(socket).expect("a socket");
        thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                thread::spawn(move || answer(stream));
            }
        });
    }

    fn answer(mut stream: UnixStream) {
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let answer = match path {
            "/version" => r#"{"Version":"27.1","Components":[{"Name":"Engine"}]}"#,
            "/containers/json" => "[]",
            _ if path.starts_with("/events") => {
                let _ = write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n");
                ""
            }
            _ => "",
        };
        if !answer.is_empty() {
            let length = answer.len();
            let _ = write!(stream, "{head}Content-Length: {length}\r\n\r\n{answer}");
        }
        // What has no end stays open until the agent has gone.
        let _ = stream.read(&mut [0; 16]);
    }

    #[test]
    fn a_workload_is_ended_before_its_name_is_known() {
        let host = Host::new();
        let socket = host.path("docker.sock");
        stalling(&socket);
        let host = host.start(&Start {
            command: "scan: 0s, response: kill-workload".to_owned(),
            settings: format!(
                "workloads: {{runtimes: [\"docker:{}\"]}}\n",
                socket.display()
            ),
        });
        let path = socket.to_string_lossy();
        host.wait_until("the socket", || {
            let status = host.hayward(&["status", "--json"]).ok().json();
            !status["runtimes"][&*path]["connection"]["connected"].is_null()
        });
        let cgroup = host.inside.join(format!("docker-{ID}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup");
        let mut other = Command::new("sleep").arg("600").spawn().expect("a child");
        fs::write(cgroup.join("cgroup.procs"), other.id().to_string()).expect("a cgroup");
        let banned = Launch::new("/bin/true", &[BANNED]).run(&cgroup);
        assert_eq!(banned, Ended::Signal(9));
        other.wait().expect("it was ended");
        assert_eq!(
            host.records("killed").len(),
            0,
            "the record waits for a name"
        );
        let killed = host.wait_for_records("killed", 1).remove(0);
        let all = host.wait_for_records("workload-killed", 1).remove(0);
        assert_eq!(all["cause"], killed["id"]);
        assert_eq!(killed["workload"]["container_id"], ID);
    }
}
