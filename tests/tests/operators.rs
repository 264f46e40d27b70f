//! What operators see and do: privacy, who may do what, metrics, other tools' dashboards.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        process::{Command, Stdio},
    };

    use hayward_tests::{BANNED, Ended, Host, Launch, Start, get};

    fn banned(host: &Host, arguments: &[&str]) {
        let mut all = vec![BANNED];
        all.extend(arguments);
        assert_eq!(
            Launch::new("/bin/true", &all).run(&host.inside),
            Ended::Signal(9)
        );
    }

    fn with_command_lines(how: &str) -> Host {
        let host = Host::new();
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        let text = text.replace("/journal}", &format!("/journal, command_lines: {how}}}"));
        fs::write(&settings, text).expect("settings");
        let mut host = host;
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        host
    }

    #[test]
    fn command_lines_are_recorded_masked_full_or_not_at_all() {
        let password = "--password=hunter2hunter2";
        for (how, shows_line, shows_password) in [
            ("masked", true, false),
            ("full", true, true),
            ("none", false, false),
        ] {
            let host = with_command_lines(how);
            banned(&host, &[password]);
            let record = host.wait_for_records("killed", 1).remove(0).to_string();
            let all = record + &host.log();
            assert_eq!(
                all.contains("hunter2hunter2"),
                shows_password,
                "{how}: {all}"
            );
            assert_eq!(all.contains("--password"), shows_line, "{how}: {all}");
        }
    }

    #[test]
    fn a_users_records_are_forgotten() {
        let host = Host::new().start(&Start::default());
        banned(&host, &[]);
        host.wait_for_records("killed", 1);
        let answer = host.hayward(&["forget", "0"]).ok();
        assert!(answer.out.contains("1 record removed"), "{}", answer.out);
        assert!(host.records("killed").is_empty());
        assert_eq!(host.wait_for_records("forgot", 1)[0]["actor"]["uid"], 0);
    }

    #[test]
    fn promtool_finds_nothing_wrong_with_the_metrics() {
        let host = Host::new().start(&Start::default());
        banned(&host, &[]);
        host.wait_for_records("killed", 1);
        let metrics = host.metrics();
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool (Debian's package prometheus)");
        let mut input = promtool.stdin.take().expect("a pipe");
        input.write_all(metrics.as_bytes()).expect("promtool reads");
        drop(input);
        let output = promtool.wait_with_output().expect("promtool");
        assert!(output.status.success(), "{output:?} {metrics}");
        for series in [
            "hayward_guard_status{guard=\"command\",status=\"enforcing\"} 1",
            "hayward_checked_total{guard=\"command\"}",
            "hayward_rules{guard=\"command\"}",
        ] {
            assert!(metrics.contains(series), "{series} in {metrics}");
        }
    }

    #[test]
    fn cryptnonos_metrics_and_log_lines_go_on() {
        let host = Host::new();
        host.write_settings(&Start {
            settings: "compat: [cryptnono]\n".to_owned(),
            ..Start::default()
        });
        let settings = host.path("hayward.yaml");
        let text = fs::read_to_string(&settings).expect("settings");
        let ports = "{listen: \"127.0.0.1:0\", cryptnono: [\"127.0.0.1:0\", \"127.0.0.1:0\"]}";
        let text = text.replace("{listen: \"127.0.0.1:0\"}", ports);
        fs::write(&settings, text).expect("settings");
        let mut host = host;
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        banned(&host, &[]);
        assert_eq!(
            Launch::new("/bin/true", &[BANNED, "--help"]).run(&host.inside),
            Ended::Code(0)
        );
        host.wait_for_records("spared", 1);
        let status = host.status();
        let address = |index: usize| {
            let address = status["metrics"]["cryptnono"][index].as_str();
            address.expect("a port").to_owned()
        };
        let page = get(&address(0), "/anything");
        for line in [
            "cryptnono_execwhacker_processes_killed_total{source=\"execwhacker.bpf\"} 1",
            "cryptnono_execwhacker_processes_allowed_total{allowedby=\"allowed-pattern\",source=\"execwhacker.bpf\"} 1",
            "cryptnono_execwhacker_log_and_kill_execution_seconds_count 2",
        ] {
            assert!(page.contains(line), "{line} in {page}");
        }
        let page = get(&address(1), "/");
        assert!(
            page.contains("cryptnono_flowkiller_connects_checked_total 0"),
            "{page}"
        );
        let log = host.log();
        let line = log
            .lines()
            .find(|line| line.contains("matched"))
            .expect("a line");
        assert!(line.contains("killed") && line.contains(BANNED), "{line}");
    }
}
