//! Who is told: commands and their privileges, webhooks by name, and what a reload changes.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        net::{TcpListener, UdpSocket},
        os::unix::fs::PermissionsExt,
        path::Path,
        sync::mpsc,
        thread,
    };

    use hayward_tests::{
        Host, Webhook, status,
        tell::{kill, problems, settings, target, wait_for_fate},
    };
    use serde_json::Value;

    #[test]
    fn a_command_gets_the_record_and_no_privileges() {
        let host = Host::new();
        let got = host.path("got");
        let script = format!(
            "cat > {0}.new; grep -h -e ^Cap -e ^NoNewPrivs /proc/self/status >> {0}.new; echo $$ $(cut -d' ' -f5 /proc/$$/stat) >> {0}.new; mv {0}.new {0}",
            got.display()
        );
        let entry = format!("{{command: [/bin/sh, -c, \"{script}\"]}}");
        let host = host.start(&settings(&[entry]));
        kill(&host.inside);
        host.wait_until("the command", || got.exists());
        let got = fs::read_to_string(got).expect("it");
        let mut lines = got.lines();
        let message: Value = serde_json::from_str(lines.next().expect("a line")).expect("JSON");
        let record = host.wait_for_records("killed", 1).remove(0);
        assert_eq!(message["record"], record);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(
                got.contains(&format!("{set}:\t0000000000000000\n")),
                "{got}"
            );
        }
        assert!(got.contains("NoNewPrivs:\t1\n"), "{got}");
        let ids = got.lines().last().expect("ids").split_once(' ');
        assert!(ids.is_some_and(|(pid, group)| pid == group), "{got}");
        wait_for_fate(&host, "sent", 1);
        // The agent itself has what it had.
        assert_eq!(host.status()["guards"]["command"]["status"], "enforcing");
        kill(&host.inside);
    }

    #[test]
    fn a_command_that_fails_or_hangs_is_told_with_its_reason() {
        let host = Host::new();
        let pids = host.path("pids");
        let hang = format!("sleep 600 & echo $! >> {}; wait", pids.display());
        let host = host.start(&settings(&[
            "{command: [/bin/sh, -c, \"echo no pager here >&2; exit 7\"]}".to_owned(),
            format!("{{command: [/bin/sh, -c, \"{hang}\"], timeout: 200ms}}"),
            "{command: [/no/such/program]}".to_owned(),
        ]));
        kill(&host.inside);
        for text in [
            "the command sh fails: it ended with exit status: 7: no pager here",
            "the command sh-2 fails: not done within 200ms",
            "the command program fails: cannot be started: No such file",
        ] {
            host.wait_until(text, || problems(&host).contains(text));
            assert!(host.log().contains(text), "{}", host.log());
        }
        for number in 0..3 {
            host.wait_until("the end of tries", || {
                target(&host, number)["told"]["failed"] == 1
            });
        }
        let pids = fs::read_to_string(pids).expect("pids");
        assert_eq!(pids.lines().count(), 4, "tries");
        for pid in pids.lines() {
            let status = Path::new("/proc").join(pid).join("status");
            host.wait_until("the children's end", || {
                let status = fs::read_to_string(&status).unwrap_or_default();
                status.is_empty() || status.contains("State:\tZ")
            });
        }
    }

    /// The command that docs/operating.md names, with the unit's capabilities and nothing to write to but the test's folder.
    #[test]
    fn curl_works_under_what_the_packaged_unit_leaves() {
        const UNIT: &str = include_str!("../../packaging/hayward.service");
        let set = UNIT
            .lines()
            .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let set = set.expect("a set").replace("CAP_", "+").to_lowercase();
        let set = set.replace(' ', ",");
        let webhook = Webhook::accepting();
        let mut host = Host::new();
        let secrets = host.path("curl.conf");
        fs::write(&secrets, "header = \"Authorization: Bearer hunter2\"\n").expect("a file");
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).expect("our own file");
        host.write_settings(&settings(&[format!(
            "{{command: [/usr/bin/curl, -sS, --fail, --max-time, \"8\", -H, \"Content-Type: application/json\", \
              -K, {}, --data-binary, \"@-\", \"{}\"]}}",
            secrets.display(),
            webhook.url()
        )]));
        let script = format!(
            "mount --bind {0} {0} && mount -o remount,bind,ro / && exec setpriv --no-new-privs --bounding-set=-all,{set} \"$@\"",
            host.folder.path().display()
        );
        host.spawn_by(&["unshare", "--mount", "sh", "-c", &script, "sh"]);
        host.hayward(&["status", "--wait", "enforcing"]).ok();
        kill(&host.inside);
        let posted = webhook.next();
        assert_eq!(posted.json()["record"]["action"], "killed");
        assert!(
            posted
                .head
                .contains("\r\nAuthorization: Bearer hunter2\r\n"),
            "{posted:?}"
        );
        wait_for_fate(&host, "sent", 1);
    }

    #[test]
    fn a_reload_takes_over_new_targets_and_loses_nothing_of_the_others() {
        let (release, gate) = mpsc::channel::<()>();
        let slow = Webhook::new(move |_| {
            let _ = gate.recv();
            Some(status("200 OK"))
        });
        let new = Webhook::accepting();
        let entry = format!("{{webhook: \"{}\", every: 0s, timeout: 1m}}", slow.url());
        let host = Host::new().start(&settings(std::slice::from_ref(&entry)));
        for _ in 0..3 {
            kill(&host.inside);
        }
        host.wait_until("three that wait", || target(&host, 0)["waiting"] == 3);
        let reloads = format!("{{webhook: \"{}\", actions: [reloaded]}}", new.url());
        host.write_settings(&settings(&[entry, reloads]));
        host.hayward(&["reload"]).ok();
        assert_eq!(new.next().json()["record"]["action"], "reloaded");
        assert_eq!(target(&host, 0)["waiting"], 3);
        drop(release);
        wait_for_fate(&host, "sent", 3);
        let told: Vec<_> = std::iter::from_fn(|| slow.ready()).collect();
        assert_eq!(told.len(), 3);
        host.write_settings(&settings(&[]));
        host.hayward(&["reload"]).ok();
        kill(&host.inside);
        assert_eq!(
            host.hayward(&["tell", "--json"]).ok().json(),
            serde_json::json!([])
        );
        assert!(slow.ready().is_none());
    }

    #[test]
    fn a_bad_file_of_headers_is_refused_and_a_new_one_is_noticed() {
        let webhook = Webhook::accepting();
        let host = Host::new();
        let headers = host.path("headers");
        fs::write(&headers, "X-Key: one\nsecret\n").expect("headers");
        let entry = format!(
            "{{webhook: \"{}\", every: 0s, headers: {}}}",
            webhook.url(),
            headers.display()
        );
        host.write_settings(&settings(&[entry]));
        let refused = host.configured(&["check"]);
        assert_eq!(refused.code, 4, "{refused:?}");
        assert!(
            refused.err.contains("headers:2: this is no header"),
            "{refused:?}"
        );
        assert!(!refused.err.contains("secret"), "{refused:?}");
        fs::write(&headers, "X-Key: one\n").expect("headers");
        let host = host.running();
        kill(&host.inside);
        assert!(webhook.next().head.contains("x-key: one\r\n"));
        fs::write(&headers, "X-Key: another\n").expect("headers");
        host.wait_for_records("reloaded", 1);
        kill(&host.inside);
        assert!(webhook.next().head.contains("x-key: another\r\n"));
    }

    /// Answers questions for the IPv4 address of one name with 127.0.0.1, and says that there are no others.
    fn name_server() -> std::net::IpAddr {
        let process = std::process::id().to_be_bytes();
        let address = std::net::Ipv4Addr::new(127, 77, process[2], process[3]);
        let socket = UdpSocket::bind((address, 53)).expect("a port of our own");
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                // After the header: labels up to an empty one, type, class.
                let question = &buffer[12..length];
                let end = question.iter().position(|byte| *byte == 0).expect("a name") + 5;
                let is_ipv4 = question[end - 3] == 1;
                let is_known = question.starts_with(b"\x0fhooks-by-server\x07example\0");
                let is_found = is_ipv4 && is_known;
                let mut answer = buffer[..2].to_vec();
                let flags = if is_known { 0x80 } else { 0x83 };
                answer.extend([0x81, flags, 0, 1, 0, u8::from(is_found), 0, 0, 0, 0]);
                answer.extend(&question[..end]);
                if is_found {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
                }
                let _ = socket.send_to(&answer, from);
            }
        });
        address.into()
    }

    #[test]
    fn names_are_resolved_as_the_hosts_files_say() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let webhook = Webhook::on(listener, |_| Some(status("200 OK")));
        let mut host = Host::new();
        fs::write(host.path("hosts"), "127.0.0.1 hooks-by-file.example\n").expect("a file");
        let servers = format!("nameserver {}\n", name_server());
        fs::write(host.path("resolv.conf"), servers).expect("a file");
        let names = [
            "hooks-by-file.example",
            "hooks-by-server.example",
            "localhost",
        ];
        let entries = names.map(|name| format!("{{webhook: \"http://{name}:{port}/\"}}"));
        host.write_settings(&settings(&entries));
        let script = format!(
            "for file in hosts resolv.conf; do mount --bind {0}/$file /etc/$file || exit 1; done; exec \"$@\"",
            host.folder.path().display()
        );
        host.spawn_by(&["unshare", "--mount", "sh", "-c", &script, "sh"]);
        host.hayward(&["status", "--wait", "enforcing"]).ok();
        host.hayward(&["tell", "--test"]).ok();
        let mut hosts = names.map(|_| {
            let head = webhook.next().head;
            let line = head.lines().find_map(|line| line.strip_prefix("host: "));
            line.expect("a host").to_owned()
        });
        hosts.sort();
        let mut expected = names.map(|name| format!("{name}:{port}"));
        expected.sort();
        assert_eq!(hosts, expected);
    }
}
