//! Ban lists: what nobody may reach, as others publish it.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{Host, NetworkWorkload, Start};

    /// An agent with the lists of its folder `bans`, and further settings of the guard.
    fn banning(text: &str, settings: &str) -> Host {
        let mut host = Host::new();
        fs::create_dir(host.path("bans")).expect("a folder");
        fs::write(host.path("bans/one.txt"), text).expect("a list");
        host.write_settings(&Start::default());
        let glob = host.path("bans/*.txt").display().to_string();
        host.edit_settings(
            "guards:\n",
            &format!(
                "guards:\n  egress: {{may_cut_node: true, ban_lists: [\"{glob}\"]{settings}}}\n"
            ),
        );
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        host
    }

    const LIST: &str =
        "# Source: https://lists.example/one\n# Date: 2026-05-04\n10.2.0.0/16\npool.example\n";

    #[test]
    fn what_lists_ban_is_refused_recorded_and_counted_for_each() {
        let host = banning(LIST, "");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "EPERM"),
            ("connect a 10.1.0.1 80", "ok"),
        ]);
        let name = host.path("bans/one.txt").display().to_string();
        let record = host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["evidence"]["ban_list"], name, "{record}");
        assert_eq!(record["reason"], "it is on a ban list");
        let lists = host.hayward(&["bans", "lists", "--json"]).ok().json();
        let expected = serde_json::json!([{
            "name": name, "source": "https://lists.example/one", "date": "2026-05-04T00:00:00Z",
            "prefixes": 1, "names": 1, "refused": 1,
        }]);
        assert_eq!(lists, expected);
        let table = host.hayward(&["bans", "lists"]).ok();
        assert!(table.out.contains("NAMES"), "{table:?}");
        let series = format!("hayward_banned_total{{list=\"{name}\"}}");
        host.wait_until("the metric", || {
            host.metrics().contains(&format!("{series} 1"))
        });
    }

    #[test]
    fn lists_are_read_again_when_they_change_and_what_is_wrong_leaves_the_old_ones_in_force() {
        let mut host = banning("10.2.0.0/16\n", "");
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "EPERM"),
        ]);
        fs::write(host.path("bans/one.txt"), "10.1.0.0/16\n0.0.0.0/0\n").expect("a list");
        let refused = host.wait_for_records("reload-refused", 1).remove(0);
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("one.txt:2: `0.0.0.0/0` is wider"),
            "{refused}"
        );
        workload.all(&[("connect a 10.2.0.1 80", "EPERM")]);
        fs::write(host.path("bans/one.txt"), "10.1.0.0/16\n").expect("a list");
        host.wait_for_records("reloaded", 1);
        workload.all(&[
            ("connect a 10.1.0.1 80", "EPERM"),
            ("connect a 10.2.0.1 80", "ok"),
        ]);
        // A list that is new, without waiting for anybody to notice.
        fs::write(host.path("bans/two.txt"), "10.2.0.1\n").expect("a list");
        host.hayward(&["reload"]).ok();
        workload.all(&[
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "EPERM"),
        ]);
        // The kernel bans on without the agent.
        host.kill_agent();
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        workload.all(&[("connect b 10.2.0.1 80", "EPERM")]);
    }

    #[test]
    fn what_is_always_reached_and_what_is_never_banned_win() {
        let host = banning(
            "10.0.0.0/8\nfd01::/16\nfd02::1\n",
            ", always: [\"10.1.0.0/16 80\"], never_banned: [\"fd02::/16\"]",
        );
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM fd02::1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 81", "EPERM"),
            ("connect a 10.1.0.1 80", "ok"),
            ("make b 6 SOCK_STREAM", "ok"),
            ("connect b fd01::1 80", "EPERM"),
            ("connect b fd02::1 80", "ok"),
        ]);
    }

    #[test]
    fn what_this_host_needs_is_not_banned_unless_that_is_meant() {
        let resolvers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let servers = resolvers.lines().filter_map(|line| {
            let server = line.strip_prefix("nameserver ")?.trim();
            server.parse::<std::net::IpAddr>().ok()
        });
        // Where there is none, the agent's own tests have to do.
        let Some(server) = servers.into_iter().find(|server| !server.is_loopback()) else {
            return;
        };
        let mut host = banning("198.51.100.7\n", "");
        host.edit_settings("may_cut_node: true, ", "");
        host.hayward(&["reload"]).ok();
        fs::write(host.path("bans/one.txt"), format!("{server}\n")).expect("a list");
        let refused = host.wait_for_records("reload-refused", 1).remove(0);
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(
            detail.contains("a name server of /etc/resolv.conf"),
            "{refused}"
        );
        assert!(
            detail.contains(&format!("add {server} to `never_banned`")),
            "{refused}"
        );
        assert_eq!(host.configured(&["check"]).code, 4);
        host.kill_agent();
        assert_ne!(host.configured(&["run"]).code, 0, "nor is it started so");
        host.edit_settings("{ban_lists", "{may_cut_node: true, ban_lists");
        host.configured(&["check"]).ok();
        host.spawn();
    }

    #[test]
    fn a_bad_list_is_told_before_it_is_used() {
        let host = Host::new();
        fs::write(host.path("bad.txt"), "1.2.3.4\n\n<html>\n").expect("a list");
        let path = host.path("bad.txt").display().to_string();
        for (settings, part) in [
            (
                format!("{{ban_lists: [\"{path}\"]}}"),
                "bad.txt:3: `<html>` is neither",
            ),
            ("{ban_lists: [/none]}".to_owned(), "/none: cannot be read"),
            ("{widest_ban: {ipv4: 33}}".to_owned(), "up to 32 bits"),
            (
                "{never_banned: [10.0.0.1/8]}".to_owned(),
                "write 10.0.0.0/8",
            ),
        ] {
            host.write_settings(&Start::default());
            host.edit_settings("guards:\n", &format!("guards:\n  egress: {settings}\n"));
            let answer = host.configured(&["check"]);
            assert_eq!(answer.code, 4, "{answer:?}");
            assert!(answer.err.contains(part), "{settings}: {answer:?}");
        }
    }
}
