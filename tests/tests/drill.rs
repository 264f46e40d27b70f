//! The drill answers at once, whatever stands in its way, with the reason and what to do.

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
        time::{Duration, Instant},
    };

    use hayward_tests::{Answer, FRONT, Front, Host, INTERFACE, Start};

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
        for unlisted in ["randomx", "inbound"] {
            assert_eq!(json.get(unlisted), None, "it is not listed");
        }
        assert!(!answer.out.contains("inbound"), "{answer:?}");
    }

    /// With the guards of the network, which are all proven.
    fn with_network(mode: &str) -> Host {
        let mut host = Host::new();
        host.write_settings(&Start::default());
        let guards = format!(
            "guards:\n  egress: {{policy: open, mode: {mode}}}\n  outbound: {{mode: {mode}}}\n  pool: {{mode: {mode}}}\n"
        );
        host.edit_settings("guards:\n", &guards);
        host.spawn();
        host.wait_until("proven guards", || {
            let status = host.hayward(&["status", "--json"]);
            let proven = |guard: &str| {
                let status = status.json()["guards"][guard]["status"].clone();
                status == "enforcing" || status == "observing"
            };
            status.code == 0 && ["egress", "outbound", "pool"].into_iter().all(proven)
        });
        host
    }

    #[test]
    fn on_the_network_it_shows_what_was_refused_and_its_record() {
        let host = with_network("enforce");
        let answer = drill(&host);
        assert_eq!(answer.code, 0, "{answer:?}");
        for text in [
            "that settings deny was refused",
            "scan of ports that refuse was stopped",
            "was cut off",
        ] {
            assert!(answer.out.contains(text), "{text} in {answer:?}");
        }
        let json = host.hayward(&["drill", "--json"]).ok().json();
        for guard in ["egress", "outbound", "pool"] {
            let ending = &json[guard];
            assert_eq!(
                (&ending["refused"], &ending["killed"]),
                (&true.into(), &false.into())
            );
            assert_eq!(ending["record"]["action"], "denied", "{json}");
            assert_eq!(ending["record"]["rule"], guard);
        }
        // Where nothing is denied that it tries, it says what it has tried.
        host.edit_settings("policy: open,", "policy: open, never: [],");
        host.hayward(&["reload"]).ok();
        refused(
            &drill(&host),
            6,
            &["egress: it was not stopped", "169.254.169.254"],
        );
    }

    #[test]
    fn on_a_network_that_is_only_observed_the_records_are_shown() {
        let host = with_network("observe");
        let answer = drill(&host);
        refused(&answer, 6, &["mode is observe", "response: deny"]);
        for text in [
            "no connection was refused",
            "refuse was NOT stopped",
            "was NOT cut off",
        ] {
            assert!(answer.out.contains(text), "{text} in {answer:?}");
        }
        let records = host.wait_for_records("observed", 3);
        let guards: Vec<_> = records
            .iter()
            .map(|record| record["guard"].clone())
            .collect();
        for guard in ["egress", "outbound", "pool"] {
            assert!(guards.contains(&guard.into()), "{guards:?}");
        }
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

    /// No scan comes from outside but from outside, so the drill is honest, and what it says to try is true.
    #[test]
    fn of_scans_it_shows_that_the_programs_work_and_how_to_see_the_rest() {
        let front = Front::guarding("ban: 2h, soft_ban: 3m");
        let answer = drill(&front.host);
        assert_eq!(answer.code, 0, "{answer:?}");
        let line = format!("nmap -Pn -n -p 1-100 {FRONT}");
        for text in [
            &format!("inbound: at {INTERFACE} (tc) its program dropped a packet of a banned"),
            "no scan was played",
            line.as_str(),
            "banned then: for 3m, or for 2h where",
            "hayward bans remove ADDRESS",
        ] {
            assert!(answer.out.contains(text), "{text} in {answer:?}");
        }
        let shown = front.host.hayward(&["drill", "--json"]).ok().json()["inbound"].clone();
        assert_eq!(shown["interfaces"][0]["proven"], true, "{shown}");
        assert_eq!(
            (&shown["scan_played"], &shown["try"]),
            (&false.into(), &line.as_str().into())
        );
        // As it says.
        front.there(&format!("{line} -T5 --max-retries 0 --host-timeout 10s"));
        let source = "203.0.113.1/32";
        assert_eq!(front.record_of(source)["action"], "banned");
        assert_eq!(front.bans()[0]["net"], source);
        front.host.hayward(&["bans", "remove", "203.0.113.1"]).ok();
        assert!(front.bans().is_empty());
        // At an interface that is not there, nothing is shown.
        let named = format!("interfaces: [{INTERFACE}");
        front
            .host
            .edit_settings(&named, &format!("{named}, later0"));
        front.host.hayward(&["reload"]).ok();
        refused(
            &drill(&front.host),
            6,
            &["nothing is proven at later0: waits for"],
        );
        front.host.edit_settings(", later0", "");
        front
            .host
            .edit_settings("lease: 60s", "lease: 60s\nmode: observe");
        front.host.hayward(&["reload"]).ok();
        let answer = drill(&front.host);
        refused(&answer, 6, &["mode is observe"]);
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
