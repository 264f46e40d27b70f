//! Connections on which somebody mines, by settings.

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use hayward_tests::{Host, NetworkWorkload, Start};
    use serde_json::json;

    const LOGIN: &str = r#"{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"44hayward","pass":"x","agent":"XMRig/6.21.0"}}"#;
    const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":[]}"#;

    /// An agent with these settings of the guard.
    fn guarding(settings: &str, further: &str) -> Host {
        let host = Host::new();
        host.write_settings(&Start {
            settings: further.to_owned(),
            ..Start::default()
        });
        host.guarding("pool", settings)
    }

    /// A workload in scope, and a listening socket that is not.
    fn workload(host: &Host) -> NetworkWorkload {
        let mut workload = NetworkWorkload::new(&host.outside);
        workload.all(&[
            ("listen pool SOCK_STREAM 10.1.0.1 443", "ok"),
            ("listen pool6 SOCK_STREAM fd01::1 443", "ok"),
            (&format!("move {}", host.inside.display()), "ok"),
        ]);
        workload
    }

    fn connect(workload: &mut NetworkWorkload) {
        workload.all(&[
            ("make miner 4 SOCK_STREAM", "ok"),
            ("connect miner 10.1.0.1 443", "ok"),
            ("accept pool served", "ok"),
        ]);
    }

    fn say(workload: &mut NetworkWorkload, from: &str, text: &str) {
        let mut command = format!("say {from} ");
        for byte in text.bytes() {
            write!(command, "{byte:02x}").expect("a string");
        }
        workload.all(&[(&command, "ok")]);
    }

    #[test]
    fn who_mines_is_cut_off_and_recorded() {
        let host = guarding("{}", "");
        let status = host.hayward(&["status", "--json"]).ok().json();
        assert_eq!(status["guards"]["pool"]["status"], "enforcing", "{status}");
        let mut workload = workload(&host);
        connect(&mut workload);
        say(&mut workload, "miner", LOGIN);
        workload.all(&[("hear served 1", "TimeoutError")]);
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["guard"], "pool");
        assert_eq!(record["rule"], "pool");
        assert_eq!(record["response"], "deny");
        assert_eq!(record["matched"], "tcp 10.1.0.1:443");
        assert_eq!(record["process"]["comm"], "python3");
        let pool = &record["evidence"]["pool"];
        assert_eq!(pool["dialect"], "monero", "{record}");
        assert_eq!(pool["direction"], "sent");
        let message = pool["message"].as_str().unwrap_or_default();
        assert!(
            message.starts_with(r#"{"id":1,"jsonrpc":"2.0","method":"login""#),
            "{record}"
        );
        assert!(message.len() <= 128);
        let metrics = host.metrics();
        let counted = |name: &str| metrics.contains(&format!("{name}{{guard=\"pool\"}}"));
        assert!(
            counted("hayward_checked_total") && counted("hayward_denied_total"),
            "{metrics}"
        );
    }

    #[test]
    fn what_is_no_mining_goes_on_and_off_lets_everything_through() {
        let host = guarding("{}", "");
        let mut workload = workload(&host);
        connect(&mut workload);
        let page = format!("GET /?q={SUBSCRIBE} HTTP/1.1\r\nHost: example.org\r\n\r\n");
        say(&mut workload, "miner", &page);
        workload.all(&[(&format!("hear served {}", page.len()), "ok")]);
        host.hayward(&["off", "--guard", "pool"]).ok();
        connect(&mut workload);
        say(&mut workload, "miner", SUBSCRIBE);
        workload.all(&[(&format!("hear served {}", SUBSCRIBE.len()), "ok")]);
        host.hayward(&["on", "--guard", "pool"]).ok();
        connect(&mut workload);
        say(&mut workload, "miner", SUBSCRIBE);
        workload.all(&[("hear served 1", "TimeoutError")]);
        assert_eq!(host.wait_for_records("denied", 1).len(), 1);
    }

    #[test]
    fn observing_records_and_an_override_enforces() {
        let mut host = Host::new();
        let name = host
            .cgroup
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let further = format!(
            "overrides: [{{match: \"/{name}/inside/strict/**\", guards: {{pool: enforce}}}}]\n"
        );
        host.write_settings(&Start {
            settings: further,
            ..Start::default()
        });
        host.edit_settings("guards:\n", "guards:\n  pool: observe\n");
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let mut observed = workload(&host);
        connect(&mut observed);
        say(&mut observed, "miner", SUBSCRIBE);
        observed.all(&[(&format!("hear served {}", SUBSCRIBE.len()), "ok")]);
        let record = host.wait_for_records("observed", 1).remove(0);
        assert_eq!(record["evidence"]["pool"]["dialect"], "stratum", "{record}");
        let strict = host.inside.join("strict/job");
        std::fs::create_dir_all(&strict).expect("a cgroup");
        observed.all(&[(&format!("move {}", strict.display()), "ok")]);
        connect(&mut observed);
        say(&mut observed, "miner", SUBSCRIBE);
        observed.all(&[("hear served 1", "TimeoutError")]);
        host.wait_for_records("denied", 1);
    }

    #[test]
    fn it_goes_on_while_the_agent_is_dead_and_the_next_one_records_it() {
        let mut host = guarding("{}", "");
        let mut workload = workload(&host);
        connect(&mut workload);
        say(&mut workload, "miner", &SUBSCRIBE[..20]);
        host.kill_agent();
        say(&mut workload, "miner", &SUBSCRIBE[20..]);
        workload.all(&[("hear served 21", "TimeoutError")]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(
            record["evidence"]["destination"],
            json!({"address": "10.1.0.1", "port": 443, "protocol": "tcp"})
        );
        // Of the connection that was cut nothing goes on.
        workload.all(&[("send served more", "ok"), ("hear miner 1", "TimeoutError")]);
    }

    #[test]
    fn strikes_count() {
        let host = guarding(
            "{}",
            "strikes: {then: [{after: 2, response: kill-workload}]}\n",
        );
        let cgroup = host
            .inside
            .join("docker-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope");
        std::fs::create_dir(&cgroup).expect("a cgroup");
        let mut workload = workload(&host);
        workload.all(&[(&format!("move {}", cgroup.display()), "ok")]);
        connect(&mut workload);
        say(&mut workload, "miner", SUBSCRIBE);
        host.wait_for_records("denied", 1);
        // What one process does to one destination is one finding.
        workload.all(&[
            ("make miner 6 SOCK_STREAM", "ok"),
            ("connect miner fd01::1 443", "ok"),
        ]);
        say(&mut workload, "miner", SUBSCRIBE);
        host.wait_for_records("denied", 2);
        host.wait_for_records("workload-killed", 1);
    }

    /// A question of DNS, as `say_to` takes it.
    fn question(name: &str) -> String {
        let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).expect("short"));
            bytes.extend(label.as_bytes());
        }
        bytes.extend([0, 0, 1, 0, 1]);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn names_of_pools_are_not_asked_for_and_a_reload_changes_them() {
        let host = guarding("{domains: [builtin, Pool.Example.org]}", "");
        let mut workload = workload(&host);
        workload.all(&[("make resolver 4 SOCK_DGRAM", "ok")]);
        let mut asks =
            |name: &str| workload.does(&format!("say_to resolver {} 10.2.0.1 53", question(name)));
        assert_eq!(asks("pool.supportxmr.com"), "EPERM");
        assert_eq!(asks("eu.pool.example.org"), "EPERM");
        assert_eq!(asks("example.org"), "ok");
        let records = host.wait_for_records("denied", 2);
        assert_eq!(records[0]["matched"], "pool.supportxmr.com");
        assert_eq!(
            records[0]["evidence"]["pool"]["dialect"], "dns",
            "{}",
            records[0]
        );
        assert_eq!(records[0]["reason"], "it is the name of a mining pool");
        host.edit_settings("[builtin, Pool.Example.org]", "[pool.example.net]");
        host.hayward(&["reload"]).ok();
        assert_eq!(asks("pool.supportxmr.com"), "ok");
        assert_eq!(asks("pool.example.net"), "EPERM");
    }

    #[test]
    fn bad_settings_say_what_to_write() {
        let host = Host::new();
        for (settings, part) in [
            ("{mode: sometimes}", "observe"),
            ("{evidence: strict}", "evidence"),
            (
                "{domains: [\"*.example.org\"]}",
                "write one such as pool.example.org",
            ),
            ("{domains: [org]}", "is no domain"),
        ] {
            host.write_settings(&Start::default());
            host.edit_settings("guards:\n", &format!("guards:\n  pool: {settings}\n"));
            let answer = host.configured(&["check"]);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert!(answer.err.contains(part), "{settings}: {answer:?}");
        }
    }
}
