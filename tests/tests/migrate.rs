//! Moving from cryptnono: what it stopped is stopped, what it spared is spared, and each difference is told.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{Answer, Ended, Host, Launch, NetworkWorkload, get};

    const VALUES: &str = r#"
resources: {limits: {cpu: 1}}
detectors:
  monero: {enabled: true}
  execwhacker:
    enabled: true
    configs:
      rules.json:
        bannedCommandStrings: [sentinel-miner, "--donate-sentinel", Mönero, "sentinel 'quoted'"]
        allowedCommandPatterns: ["/bin/echo .*", "^/bin/cat sentinel", "grep|git .*"]
      text.json: |
        {"bannedCommandStrings": ["from-text-sentinel"], "allowedCommandPatterns": ["/bin/true spare.*"]}
"#;

    fn migrate(host: &Host, text: &str) -> Answer {
        let values = host.path("values.yaml");
        fs::write(&values, text).expect("values");
        let output = host.path("migrated");
        let text = |path: &std::path::Path| path.to_str().expect("text").to_owned();
        let (values, output) = (text(&values), text(&output));
        host.hayward(&["migrate", "cryptnono", &values, "--output", &output])
    }

    /// What was migrated, confined to the test: only where things are, and which cgroups there are, is added.
    fn confine(host: &Host) {
        let migrated = fs::read_to_string(host.path("migrated/hayward.yaml")).expect("settings");
        let own = fs::read_to_string(host.path("hayward.yaml")).expect("settings");
        let kept = own
            .lines()
            .filter(|line| !line.starts_with("guards:") && !line.starts_with("  command:"));
        let of_test: Vec<_> = kept.collect();
        let rest = migrated
            .lines()
            .filter(|line| !line.starts_with("scope:") && !line.starts_with("#"));
        let rest: Vec<_> = rest.collect();
        fs::write(
            host.path("hayward.yaml"),
            format!("{}\n{}\n", of_test.join("\n"), rest.join("\n")),
        )
        .expect("settings");
        host.edit_settings(
            "listen: \"127.0.0.1:0\"",
            "listen: \"127.0.0.1:0\", cryptnono: [\"127.0.0.1:0\", \"127.0.0.1:0\"]",
        );
    }

    #[test]
    fn files_of_banned_addresses_become_ban_lists() {
        let host = Host::new();
        fs::write(host.path("banned.txt"), "10.2.0.0/16\n").expect("a list");
        let list = host.path("banned.txt").display().to_string();
        let config = format!(r#"{{"FlowKiller": {{"banned_ipv4_file_globs": ["{list}"]}}}}"#);
        let answer = migrate(&host, &config).ok();
        assert!(answer.out.contains("and not killed"), "{answer:?}");
        confine(&host);
        let host = host.running();
        NetworkWorkload::new(&host.inside).all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "EPERM"),
            ("connect a 10.1.0.1 80", "ok"),
        ]);
    }

    #[test]
    fn flowkillers_settings_become_a_profile_that_kills_as_it_did_and_is_counted_as_it_was() {
        let host = Host::new();
        let list = host.path("banned.txt");
        fs::write(&list, "11.9.0.0/16\n").expect("a list");
        let answer = migrate(
            &host,
            &format!(
                r#"{{"FlowKiller": {{"unique_destinations_threshold": 20, "lookback_duration_seconds": 45, "log_connects": false,
                "log_container_info": true, "banned_ipv4_file_globs": [{list:?}], "metrics_port": 12122}}}}"#
            ),
        )
        .ok();
        assert!(answer.out.contains("limits of its own"), "{answer:?}");
        let settings = fs::read_to_string(host.path("migrated/hayward.yaml")).expect("settings");
        assert!(
            settings.contains("unique_destinations: 20, lookback: 45s"),
            "{settings}"
        );
        confine(&host);
        let host = host.running();
        let mut workload = NetworkWorkload::new(&host.inside);
        let connects = "run nmap -sT -Pn -n --max-retries 0 -p80";
        workload.all(&[
            ("own 11.4.0.1/16", "ok"),
            ("serve 80", "ok"),
            (&format!("{connects} 11.4.0.1-20"), "0"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 11.9.0.1 80", "EPERM"),
        ]);
        workload.does("sweep 11.4.0. 1 21 80");
        host.wait_for_records("killed", 1);
        let flows = host.status()["metrics"]["cryptnono"][1]
            .as_str()
            .map(str::to_owned);
        let flows = flows.expect("an address");
        for reason in ["scan", "banned-ip"] {
            let series =
                format!("cryptnono_flowkiller_processes_killed_total{{reason=\"{reason}\"}} 1");
            host.wait_until(&series, || get(&flows, "/").contains(&series));
        }
        let line = r#""action": "killed""#;
        host.wait_until("a line", || host.output().contains(line));
    }

    #[test]
    fn helm_values_become_settings_with_which_an_agent_stops_what_cryptnono_stopped() {
        let host = Host::new();
        let answer = migrate(&host, VALUES).ok();
        let settings = host.path("migrated/hayward.yaml");
        let settings = settings.to_str().expect("text");
        host.hayward(&["check", "--config", settings]).ok();
        confine(&host);
        let host = host.running();
        let run =
            |program: &str, arguments: &[&str]| Launch::new(program, arguments).run(&host.inside);
        for (program, arguments) in [
            ("/bin/true", &["sentinel-miner"][..]),
            ("/bin/true", &["SENTINEL-Miner"]),
            ("/bin/true", &["x", "--donate-sentinel=1"]),
            ("/bin/true", &["from-text-sentinel"]),
            ("/bin/true", &["Mönero"]),
            // Here, and not there, an embedded occurrence spares nobody.
            ("/bin/true", &["sentinel-minerx sentinel-miner"]),
            // The whole command line must match.
            ("/bin/cat", &["sentinel", "sentinel-miner"]),
        ] {
            assert_eq!(run(program, arguments), Ended::Signal(9), "{arguments:?}");
        }
        for (program, arguments) in [
            ("/bin/true", &["sentinel-minerx"][..]),
            ("/bin/true", &["MÖnero"]),
            ("/bin/echo", &["sentinel-miner"]),
            // A line feed in an argument is part of the line.
            ("/bin/echo", &["one\ntwo", "sentinel-miner"]),
            ("/bin/true", &["spared", "sentinel-miner"]),
        ] {
            assert_eq!(run(program, arguments), Ended::Code(0), "{arguments:?}");
        }
        let record = host.wait_for_records("killed", 7).remove(0);
        assert!(
            record["rule"]
                .as_str()
                .is_some_and(|rule| rule.starts_with("cryptnono/"))
        );
        assert_eq!(record["matched"], "sentinel-miner");
        // The lines that alerts are made of go on, as they were.
        let output = host.output();
        let mut lines = output
            .lines()
            .filter(|line| line.contains(r#""action": "killed""#));
        let line: serde_json::Value =
            serde_json::from_str(lines.next().expect("a line")).expect("JSON by itself");
        assert_eq!(line["matched"], "sentinel-miner");
        assert_eq!(line["source"], "execwhacker.bpf");

        let notes: Vec<_> = answer
            .out
            .lines()
            .filter(|line| line.contains("note:"))
            .collect();
        let told = |texts: &[&str]| {
            let found = notes
                .iter()
                .any(|note| texts.iter().all(|text| note.contains(text)));
            assert!(found, "{texts:?} in {notes:?}");
        };
        told(&[
            "^/bin/cat sentinel",
            "whole command line",
            "^/bin/cat sentinel.*",
        ]);
        told(&["grep|git .*", "(grep|git .*).*"]);
        told(&["Mönero", "only ASCII letters match in either case"]);
        told(&["sentinel 'quoted'", "quote"]);
        told(&["longer word"]);
        told(&["scope.include"]);
        assert!(
            notes.iter().all(|note| !note.contains("/bin/echo")),
            "{notes:?}"
        );
    }

    #[test]
    fn a_pattern_that_cannot_be_had_is_refused_before_anything_is_written() {
        let host = Host::new();
        for pattern in ["(?!x)y", r"(a)\\1", "(?<=x)y"] {
            let values = format!(
                "execwhacker: {{bannedCommandStrings: [x], allowedCommandPatterns: [\"{pattern}\"]}}\n"
            );
            let refused = migrate(&host, &values);
            assert_eq!(refused.code, 4, "{refused:?}");
            for text in ["values.yaml", "allow pattern", "help:"] {
                assert!(refused.err.contains(text), "{text} in {refused:?}");
            }
            assert!(!host.path("migrated").exists());
        }
    }
}
