//! The drill answers at once, whatever stands in its way, with the reason and what to do.

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
        time::{Duration, Instant},
    };

    use hayward_tests::{Answer, Host, Start};

    /// What an operator calls "at once"; far below what a drill waits for a record.
    const AT_ONCE: Duration = Duration::from_secs(3);

    /// A drill that waits for what does not come is slow every time; a busy machine makes one slow now and then.
    fn drill(host: &Host) -> Answer {
        let mut last = Duration::ZERO;
        for _ in 0..5 {
            let began = Instant::now();
            let answer = host.hayward(&["drill"]);
            last = began.elapsed();
            if last < AT_ONCE {
                return answer;
            }
        }
        panic!("it always takes as long as {last:?}");
    }

    fn refused(answer: &Answer, code: i32, texts: &[&str]) {
        assert_eq!(answer.code, code, "{answer:?}");
        for text in texts {
            assert!(answer.err.contains(text), "{text} in {answer:?}");
        }
    }

    #[test]
    fn where_the_guard_enforces_it_shows_the_kill_and_its_record() {
        let host = Host::new().start(&Start::default());
        let answer = drill(&host);
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.out.contains("killed before it ran"), "{answer:?}");
        let json = host.hayward(&["drill", "--json"]).ok().json();
        let ending = &json["command"];
        assert_eq!(ending["killed"], true);
        assert_eq!(ending["record"]["rule"], "builtin/test");
        assert_eq!(ending["record"]["action"], "killed");
        assert_eq!(json.get("randomx"), None, "it is not listed");
    }

    #[test]
    fn where_everything_or_the_guard_is_off_nothing_is_played() {
        let host = Host::new().start(&Start::default());
        for switch in [
            &["off"][..],
            &["off", "--guard", "command"],
            &["off", "--for", "1h"],
        ] {
            host.configured(switch).ok();
            let help = ["nothing was played", "switched off", "hayward on"];
            refused(&drill(&host), 6, &help);
            host.configured(&["on"]).ok();
            drill(&host).ok();
        }
        host.edit_settings("guards:\n  command:", "guards: {}\n#");
        host.hayward(&["reload"]).ok();
        refused(&drill(&host), 6, &["not listed under `guards`", "reload"]);
    }

    #[test]
    fn where_it_only_observes_the_record_is_shown() {
        let host = Host::new().start(&Start::default());
        host.edit_settings("lease: 60s", "lease: 60s\nmode: observe");
        host.hayward(&["reload"]).ok();
        let answer = drill(&host);
        refused(&answer, 6, &["mode is observe", "mode: enforce"]);
        assert!(answer.out.contains("builtin/test"), "{answer:?}");
    }

    #[test]
    fn where_containers_are_not_in_scope_it_says_where_to_look() {
        let host = Host::new();
        host.edit_settings(", containers]", "]");
        let host = host.running();
        refused(&drill(&host), 6, &["not stopped", "`scope`"]);
    }

    #[test]
    fn without_an_agent_it_says_so() {
        refused(&drill(&Host::new()), 3, &["no agent answers"]);
    }

    /// No kernel here lacks what the guard needs, so an agent on one that does is played by its answer.
    #[test]
    fn where_the_kernel_cannot_carry_the_guard_it_names_the_reason() {
        let host = Host::new().start(&Start::default());
        let mut status = host.status();
        drop(host);
        status["guards"]["command"]["status"] = "absent".into();
        status["guards"]["command"]["reason"] = "no type information".into();
        let host = Host::new();
        let agent = UnixListener::bind(host.path("hayward.sock")).expect("a socket");
        std::thread::spawn(move || {
            for client in agent.incoming() {
                let mut client = client.expect("a client");
                let body = status.to_string();
                let mut asked = [0; 4096];
                let _ = client.read(&mut asked).expect("a request");
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length";
                write!(client, "{head}: {}\r\n\r\n{body}", body.len()).expect("a client");
            }
        });
        let answer = drill(&host);
        refused(&answer, 5, &["no type information", "hayward probe"]);
    }
}
