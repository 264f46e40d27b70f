//! Webhooks are told of what was done, at once, and nothing waits for them.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
        process::{Command, Stdio},
        sync::mpsc,
        thread,
        time::{Duration, Instant},
    };

    use hayward_tests::{
        BANNED, Host, Webhook, status,
        tell::{kill, problems, settings, target, wait_for_fate},
    };
    use serde_json::Value;

    /// An agent with these entries of `tell`.
    fn telling(entries: &[String]) -> Host {
        Host::new().start(&settings(entries))
    }

    /// Has so many programs killed in a cgroup, one after the other.
    fn kill_many(cgroup: &Path, count: usize) {
        let script = r#"echo $$ > "$0/cgroup.procs"; i=0
            while [ $i -lt $COUNT ]; do /bin/true "$WORD"; i=$((i + 1)); done 2>/dev/null"#;
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).arg(cgroup);
        let status = command
            .env("WORD", BANNED)
            .env("COUNT", count.to_string())
            .stderr(Stdio::null())
            .status();
        status.expect("a shell");
    }

    /// The cgroup of a container in scope.
    fn container(host: &Host, number: u8) -> PathBuf {
        let cgroup = host.inside.join(format!("docker-{number:064x}.scope"));
        fs::create_dir(&cgroup).expect("a cgroup of our own");
        cgroup
    }

    /// The text of all files in a folder.
    fn text_below(folder: &Path) -> String {
        let entries = fs::read_dir(folder).expect("a folder");
        let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
        texts.collect()
    }

    #[test]
    fn a_webhook_is_told_of_a_kill_as_the_journal_has_it() {
        let webhook = Webhook::accepting();
        let host = Host::new();
        let headers = host.path("headers");
        fs::write(&headers, "# ours\nAuthorization: Bearer hunter2\n").expect("headers");
        let entry = format!(
            "{{webhook: \"{}\", headers: {}}}",
            webhook.url(),
            headers.display()
        );
        let host = host.start(&settings(&[entry]));
        kill(&host.inside);
        let posted = webhook.next();
        assert!(
            posted
                .head
                .starts_with("POST /hook?key=secret HTTP/1.1\r\n"),
            "{posted:?}"
        );
        let head = posted.head.to_lowercase();
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            format!("user-agent: hayward/{version}"),
            "content-type: application/json".to_owned(),
            format!("host: {}", webhook.address),
            "authorization: bearer hunter2".to_owned(),
        ] {
            assert!(
                head.contains(&format!("\r\n{line}\r\n")),
                "{line} in {head}"
            );
        }
        let record = host.wait_for_records("killed", 1).remove(0);
        let node = rustix::system::uname();
        let expected = format!(
            "{{\"version\":1,\"host\":\"{}\",\"left_out\":0,\"record\":{record}}}\n",
            node.nodename().to_string_lossy()
        );
        assert_eq!(posted.body, expected);
        wait_for_fate(&host, "sent", 1);
        let series = format!(
            "hayward_told_total{{target=\"{}\",result=\"sent\"}}",
            webhook.address
        );
        assert_eq!(host.series(&series), 1);
        let shown = host.hayward(&["status"]).ok().out;
        let line = format!("tells    webhook {}  1 sent", webhook.address);
        assert!(shown.contains(&line), "{shown}");
        let everything = format!("{shown}{}{}", host.log(), host.metrics());
        assert!(!everything.contains("secret") && !everything.contains("hunter2"));
    }

    #[test]
    fn what_fails_for_a_moment_is_tried_again() {
        let webhook = Webhook::new(|number| {
            Some(match number {
                0 => status("500 Internal Server Error"),
                1 => {
                    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n"
                        .to_vec()
                }
                _ => status("200 OK"),
            })
        });
        let host = telling(&[format!("{{webhook: \"{}\"}}", webhook.url())]);
        kill(&host.inside);
        let first = webhook.next();
        host.wait_until("a problem", || problems(&host).contains("it answered 500"));
        assert!(!problems(&host).contains("secret"), "{}", problems(&host));
        assert_eq!(webhook.next().body, first.body);
        let asked = Instant::now();
        assert_eq!(webhook.next().body, first.body);
        assert!(
            asked.elapsed() > Duration::from_secs(2),
            "as it was asked to"
        );
        wait_for_fate(&host, "sent", 1);
        assert_eq!(target(&host, 0)["told"]["failed"], 0);
        assert!(!problems(&host).contains("tell"), "{}", problems(&host));
    }

    #[test]
    fn what_would_fail_again_is_not_tried_again() {
        let webhook = Webhook::new(|number| {
            Some(match number {
                0 => status("404 Not Found"),
                1 => b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
                    .to_vec(),
                _ => status("200 OK"),
            })
        });
        let host = telling(&[format!("{{webhook: \"{}\", every: 0s}}", webhook.url())]);
        for (count, expected) in [(1, "it answered 404"), (2, "redirections are not followed")] {
            kill(&host.inside);
            webhook.next();
            wait_for_fate(&host, "failed", count);
            assert!(problems(&host).contains(expected), "{}", problems(&host));
        }
        kill(&host.inside);
        assert!(webhook.next().head.starts_with("POST /hook"));
        wait_for_fate(&host, "sent", 1);
        assert!(webhook.ready().is_none());
        assert!(!problems(&host).contains("tell"));
    }

    #[test]
    fn garbage_is_a_failure_and_no_more() {
        let webhook = Webhook::new(|number| match number {
            0 => Some(b"\0\xff garbage\r\n\r\n".to_vec()),
            1 => Some([b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 1 << 20]].concat()),
            2 => Some(Vec::new()),
            _ => Some(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n".to_vec()),
        });
        let host = telling(&[format!("{{webhook: \"{}\"}}", webhook.url())]);
        kill(&host.inside);
        wait_for_fate(&host, "sent", 1);
        let tries = std::iter::from_fn(|| webhook.ready());
        assert_eq!(
            tries.count(),
            4,
            "the last was an answer, whatever follows it"
        );
    }

    #[test]
    fn a_webhook_that_hangs_delays_nothing_and_what_is_lost_is_counted() {
        const KILLS: usize = 200;
        let webhook = Webhook::new(|_| None);
        let entry = format!("{{webhook: \"{}\", every: 0s, timeout: 5m}}", webhook.url());
        let begun = Instant::now();
        let mut host = telling(&[entry]);
        kill_many(&host.inside, KILLS);
        host.wait_for_records("killed", KILLS);
        host.hayward(&["reload"]).ok();
        host.write_rules("rules: [{id: test/other, banned: [hayward-other-sentinel]}]\n");
        host.hayward(&["reload"]).ok();
        wait_for_fate(&host, "queue-full", (KILLS - 129) as u64);
        let report = target(&host, 0);
        assert_eq!(report["waiting"], 129, "one is being told: {report}");
        assert_eq!(report["told"]["queue-full"], KILLS - 129, "{report}");
        host.stop_agent();
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it was not waited for"
        );
        assert!(
            host.log().contains("not told of 129 records that waited"),
            "{}",
            host.log()
        );
        assert!(webhook.next().body.contains("killed") && webhook.ready().is_none());
    }

    #[test]
    fn what_waits_when_the_agent_stops_is_told_if_it_is_quick() {
        let (release, gate) = mpsc::channel::<()>();
        let webhook = Webhook::new(move |_| {
            let _ = gate.recv();
            Some(status("200 OK"))
        });
        let mut host = telling(&[format!("{{webhook: \"{}\", every: 0s}}", webhook.url())]);
        for _ in 0..3 {
            kill(&host.inside);
        }
        host.wait_until("three that wait", || target(&host, 0)["waiting"] == 3);
        let journal = host.path("journal");
        thread::scope(|scope| {
            // The last record is written before it is waited for targets.
            scope.spawn(|| {
                while !text_below(&journal).contains("\"action\":\"stopped\"") {
                    thread::yield_now();
                }
                drop(release);
            });
            host.stop_agent();
        });
        for _ in 0..3 {
            webhook.ready().expect("told before the end");
        }
    }

    #[test]
    fn of_one_workload_one_message_in_a_while() {
        let webhook = Webhook::accepting();
        let host = telling(&[format!("{{webhook: \"{}\", every: 1h}}", webhook.url())]);
        let (one, other) = (container(&host, 1), container(&host, 2));
        for cgroup in [&one, &one, &one, &other] {
            kill(cgroup);
        }
        let names = [webhook.next(), webhook.next()].map(|posted| {
            let json = posted.json();
            assert_eq!(json["left_out"], 0);
            json["record"]["workload"]["cgroup"].clone()
        });
        assert_ne!(names[0], names[1]);
        wait_for_fate(&host, "left-out", 2);
        wait_for_fate(&host, "sent", 2);
        assert!(webhook.ready().is_none());
    }

    #[test]
    fn the_next_message_says_how_many_were_left_out() {
        let webhook = Webhook::accepting();
        let host = telling(&[format!("{{webhook: \"{}\", every: 1s}}", webhook.url())]);
        kill(&host.inside);
        assert_eq!(webhook.next().json()["left_out"], 0);
        let mut left_out = 0;
        let posted = loop {
            kill(&host.inside);
            host.wait_until("its fate", || {
                let told = target(&host, 0)["told"].clone();
                told["sent"].as_u64() >= Some(2) || told["left-out"] == left_out + 1
            });
            match webhook.ready() {
                Some(posted) => break posted,
                None => left_out += 1,
            }
        };
        assert_eq!(posted.json()["left_out"], left_out);
    }

    #[test]
    fn a_test_message_says_of_each_whether_it_arrives() {
        let good = Webhook::accepting();
        let bad = Webhook::new(|_| Some(status("403 Forbidden")));
        let host = telling(&[
            format!("{{webhook: \"{}\"}}", good.url()),
            format!("{{webhook: \"{}\"}}", bad.url()),
        ]);
        let tried = host.hayward(&["tell", "--test", "--json"]);
        assert_eq!(tried.code, 6, "{tried:?}");
        let reports = tried.json();
        assert_eq!(reports[0]["error"], Value::Null);
        assert_eq!(reports[1]["error"], "it answered 403 Forbidden");
        assert_eq!(good.next().json()["test"], true);
        let shown = host.hayward(&["tell", "--test"]);
        assert!(shown.err.contains("1 of 2 were not told"), "{shown:?}");
        assert!(
            shown.out.contains("failed: it answered 403 Forbidden"),
            "{shown:?}"
        );
        assert!(host.records("killed").is_empty());
        host.write_settings(&settings(&[format!("{{webhook: \"{}\"}}", good.url())]));
        host.hayward(&["reload"]).ok();
        let shown = host.hayward(&["tell", "--test"]).ok();
        assert!(shown.out.contains("  told in "), "{shown:?}");
        let checked = host.configured(&["check"]).ok().out;
        assert!(
            checked.contains(&format!("tells the webhook {}", good.address)),
            "{checked}"
        );
        host.write_settings(&settings(&[]));
        host.hayward(&["reload"]).ok();
        assert_eq!(host.hayward(&["tell", "--test"]).code, 6);
        assert!(host.hayward(&["tell"]).ok().out.contains("nobody"));
    }
}
