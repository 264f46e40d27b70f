//! What workloads reach by names, through the built binary and a real name server. The agent's host is a network that the test
//! makes.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{Host, NetworkWorkload, Start};

    /// Names of the server, and what they stand for.
    const ZONE: [&str; 4] = [
        "--host-record=pypi.example,8.8.1.1",
        "--cname=www.pypi.example,pypi.example",
        "--address=/wild.example/8.8.2.2",
        "--address=/evil.example/8.8.3.3",
    ];

    /// A host in a network of the test's own, with a name server at 8.8.8.8 and web servers at all other addresses.
    struct Node {
        host: Host,
        network: NetworkWorkload,
        workload: NetworkWorkload,
    }

    impl Node {
        fn guarding(settings: &str) -> Self {
            let host = Host::new();
            host.write_settings(&Start::default());
            let guards = format!("guards:\n  egress: {settings}\n");
            host.edit_settings("guards:\n", &guards);
            let mut network = NetworkWorkload::new(&host.outside);
            network.all(&[
                ("own 8.8.0.0/16", "ok"),
                ("own 8.8.8.8/32", "ok"),
                ("serve 80", "ok"),
            ]);
            let server = "start dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user=root --group=root \
                --listen-address=8.8.8.8 --bind-interfaces --pid-file= --local-ttl=60";
            assert_eq!(network.does(&format!("{server} {}", ZONE.join(" "))), "ok");
            let mut workload = NetworkWorkload::new(&host.inside);
            let mut node = Self {
                network,
                workload: NetworkWorkload::new(&host.outside),
                host,
            };
            node.spawn();
            let pid = workload.does("pid");
            let device = node.network.does(&format!("lead {pid}"));
            assert_eq!(workload.does("follow"), "ok");
            node.host.wait_until("frames are judged", || {
                let links = fs::read_dir(node.host.pins.join("links")).expect("links");
                let names = links.filter_map(|link| link.ok()?.file_name().into_string().ok());
                names
                    .filter(|name| name.contains(&format!("@{device}")))
                    .count()
                    == 2
            });
            node.workload = workload;
            // It listens when it answers.
            node.host.wait_until("the name server answers", || {
                node.network
                    .does("run busybox nslookup -type=a pypi.example 8.8.8.8")
                    == "0"
            });
            node
        }

        fn spawn(&mut self) {
            let network = format!("--net=/proc/{}/ns/net", self.network.does("pid"));
            self.host.spawn_by(&["nsenter", &network]);
            self.host.wait_until("a proven guard", || {
                let status = self.host.hayward(&["status", "--json"]);
                status.code == 0 && status.json()["guards"]["egress"]["status"] != "degraded"
            });
        }

        fn asks(&mut self, name: &str) {
            let asked = self
                .workload
                .does(&format!("run busybox nslookup -type=a {name} 8.8.8.8"));
            assert_eq!(asked, "0", "{name}");
        }

        fn connects(&mut self, peers: &[(&str, &str)]) {
            for (address, expected) in peers {
                assert_eq!(self.workload.does("make a 4 SOCK_STREAM"), "ok");
                let connected = self.workload.does(&format!("connect a {address} 80"));
                assert_eq!(connected, *expected, "{address}");
            }
        }
    }

    #[test]
    fn names_are_reached_once_they_were_asked_for_and_reloads_and_restarts_change_nothing() {
        let mut node = Node::guarding(
            "{policy: allow, allow: [\"8.8.8.8 53\", \"www.pypi.example 80/tcp\", \"*.wild.example\"], resolvers: [8.8.8.8]}",
        );
        node.connects(&[("8.8.1.1", "EPERM"), ("8.8.2.2", "EPERM")]);
        // An alias of it, which is not on the list itself.
        node.asks("www.pypi.example");
        node.asks("a.b.wild.example");
        node.asks("evil.example");
        let reached = [("8.8.1.1", "ok"), ("8.8.2.2", "ok"), ("8.8.3.3", "EPERM")];
        node.connects(&reached);
        let counters = node.host.hayward(&["status", "--json"]).ok().json();
        let learnt = &counters["guards"]["egress"]["counters"]["egress_learnt"];
        assert_eq!(*learnt, 2, "{counters}");
        node.host
            .edit_settings("resolvers:", "never: [8.8.0.77], resolvers:");
        node.host.hayward(&["reload"]).ok();
        node.connects(&reached);
        node.host.kill_agent();
        node.connects(&reached);
        node.spawn();
        node.connects(&reached);
        // A name that is on the list no more, and one that is from now on.
        node.host.edit_settings("*.wild.example", "evil.example");
        node.host.hayward(&["reload"]).ok();
        node.connects(&[
            ("8.8.1.1", "ok"),
            ("8.8.2.2", "EPERM"),
            ("8.8.3.3", "EPERM"),
        ]);
        node.asks("evil.example");
        node.connects(&[("8.8.3.3", "ok")]);
    }

    #[test]
    fn a_name_of_a_ban_list_is_not_asked_for_and_the_record_has_both() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("miners.txt");
        fs::write(&list, "0.0.0.0 evil.example\nwild.example\n").expect("a file");
        let mut node = Node::guarding(&format!(
            "{{policy: open, may_cut_node: true, ban_lists: [\"{}\"], never_banned: [good.wild.example]}}",
            list.display()
        ));
        let asks = |node: &mut Node, name: &str| {
            node.workload
                .does(&format!("run busybox nslookup -type=a {name} 8.8.8.8"))
        };
        assert_eq!(asks(&mut node, "a.evil.example"), "1");
        assert_eq!(asks(&mut node, "good.wild.example"), "0");
        assert_eq!(asks(&mut node, "pypi.example"), "0");
        let record = node.host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["evidence"]["name"], "a.evil.example", "{record}");
        assert_eq!(record["evidence"]["ban_list"], list.display().to_string());
        assert_eq!(record["evidence"]["destination"]["address"], "8.8.8.8");
        assert_eq!(record["process"]["comm"], "busybox", "{record}");
        let bans = node.host.hayward(&["bans", "--json"]).ok().json();
        assert_eq!(bans[0]["names"], 2, "{bans}");
        assert!(bans[0]["refused"].as_u64() > Some(0), "{bans}");
    }
}
