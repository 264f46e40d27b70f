//! What workloads reach by names, through the built binary and a real name server. The agent's host is a network that the test
//! makes.

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use hayward_tests::{Host, NetworkWorkload};
    use serde_json::Value;

    /// Names of the server, and what they stand for.
    const ZONE: [&str; 4] = [
        "--host-record=pypi.example,8.8.1.1",
        "--cname=www.pypi.example,pypi.example",
        "--address=/wild.example/8.8.2.2",
        "--address=/evil.example/8.8.3.3",
    ];

    /// The container that the workload is.
    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// A host in a network of the test's own, with a name server at 8.8.8.8 and web servers at all other addresses.
    struct Node {
        host: Host,
        network: NetworkWorkload,
        workload: NetworkWorkload,
    }

    impl Node {
        fn guarding(settings: &str) -> Self {
            let host = Host::new();
            host.list_guard("egress", settings);
            let mut network = NetworkWorkload::new(&host.outside);
            network.all(&[
                ("own 8.8.0.0/16", "ok"),
                ("own 8.8.8.8/32", "ok"),
                ("serve 80", "ok"),
            ]);
            let server = "start dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user=root --group=root \
                --listen-address=8.8.8.8 --bind-interfaces --pid-file= --local-ttl=60";
            assert_eq!(network.does(&format!("{server} {}", ZONE.join(" "))), "ok");
            let cgroup = host.inside.join(format!("docker-{ID}.scope"));
            fs::create_dir(&cgroup).expect("a cgroup");
            let mut workload = NetworkWorkload::new(&cgroup);
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
            self.host.wait_for_proof("egress");
        }

        /// How asking for it ends.
        fn asked(&mut self, name: &str) -> String {
            self.workload
                .does(&format!("run busybox nslookup -type=a {name} 8.8.8.8"))
        }

        fn asks(&mut self, name: &str) {
            assert_eq!(self.asked(name), "0", "{name}");
        }

        /// What is granted, and until when.
        fn grants(&self) -> Value {
            self.host.hayward(&["grants", "list", "--json"]).ok().json()
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

    /// A list that bans names of the server, and an address of theirs.
    fn bans(folder: &Path) -> String {
        let list = folder.join("bans.txt");
        fs::write(&list, "pypi.example\nwild.example\n8.8.1.1\n").expect("a file");
        format!("may_cut_node: true, ban_lists: [\"{}\"]", list.display())
    }

    #[test]
    fn names_that_are_always_reached_are_so_whatever_the_policy_and_though_they_are_banned() {
        let folder = tempfile::tempdir().expect("a folder");
        let bans = bans(folder.path());
        let mut node = Node::guarding(&format!(
            "{{policy: deny, allow: [evil.example], always: [\"8.8.8.8 53\", \"www.pypi.example 80/tcp\"], resolvers: [8.8.8.8], {bans}}}"
        ));
        assert_eq!(node.asked("pypi.example"), "1");
        assert_eq!(node.asked("a.wild.example"), "1");
        node.asks("evil.example");
        node.connects(&[("8.8.1.1", "EPERM"), ("8.8.3.3", "EPERM")]);
        node.asks("www.pypi.example");
        node.connects(&[("8.8.1.1", "ok"), ("8.8.3.3", "EPERM")]);
        // It is the kernel that knows.
        node.host.kill_agent();
        node.asks("www.pypi.example");
        node.connects(&[("8.8.1.1", "ok")]);
        node.spawn();
        node.connects(&[("8.8.1.1", "ok")]);
        node.host.edit_settings("www.pypi", "www.other");
        node.host.hayward(&["reload"]).ok();
        assert_eq!(node.asked("www.pypi.example"), "1");
        node.connects(&[("8.8.1.1", "EPERM")]);
    }

    #[test]
    fn names_that_are_granted_are_reached_until_the_grant_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let bans = bans(folder.path());
        let mut node = Node::guarding(&format!(
            "{{policy: deny, always: [\"8.8.8.8 53\"], resolvers: [8.8.8.8], {bans}}}"
        ));
        assert_eq!(node.asked("www.pypi.example"), "1");
        let mut add = vec!["grants", "add", ID, "--to"];
        add.push("pypi");
        let refused = node.host.hayward(&add);
        assert!(refused.err.contains("or a name such as"), "{refused:?}");
        add.pop();
        add.extend(["www.pypi.example 80-81/tcp", "--to", "*.wild.example"]);
        let said = node.host.hayward(&add).ok();
        assert!(said.out.contains("*.wild.example"), "{said:?}");
        let names = serde_json::json!(["*.wild.example", "www.pypi.example 80-81/tcp"]);
        assert_eq!(node.grants()[0]["to"], names);
        assert_eq!(node.asked("pypi.example"), "1");
        node.connects(&[("8.8.1.1", "EPERM"), ("8.8.2.2", "EPERM")]);
        node.asks("www.pypi.example");
        node.connects(&[("8.8.1.1", "ok"), ("8.8.2.2", "EPERM")]);
        // Neither a reload nor a restart takes it away.
        node.host
            .edit_settings("resolvers:", "never: [8.8.0.77], resolvers:");
        node.host.hayward(&["reload"]).ok();
        node.host.kill_agent();
        node.asks("a.wild.example");
        node.connects(&[("8.8.1.1", "ok"), ("8.8.2.2", "ok")]);
        node.spawn();
        node.asks("b.wild.example");
        node.connects(&[("8.8.1.1", "ok"), ("8.8.2.2", "ok")]);
        assert_eq!(node.grants()[0]["to"], names);
        let table = node.host.hayward(&["grants", "list"]).ok();
        assert!(
            table.out.contains("www.pypi.example 80-81/tcp"),
            "{table:?}"
        );
        // What is open ends with it.
        let listen = "listen far SOCK_STREAM 8.8.1.1 81";
        assert_eq!(node.network.does(listen), "ok");
        node.workload.all(&[
            ("make open 4 SOCK_STREAM", "ok"),
            ("connect open 8.8.1.1 81", "ok"),
            ("send open first", "ok"),
        ]);
        node.network
            .all(&[("accept far served", "ok"), ("receive served", "first")]);
        node.host.hayward(&["grants", "revoke", ID]).ok();
        assert_eq!(node.workload.does("send open late"), "ok");
        assert_eq!(node.network.does("receive served"), "TimeoutError");
        assert_eq!(node.asked("www.pypi.example"), "1");
        node.connects(&[("8.8.1.1", "EPERM"), ("8.8.2.2", "EPERM")]);
        // Three seconds are over soon. Until then, what was learnt holds again.
        add.extend(["--for", "3s"]);
        node.host.hayward(&add).ok();
        node.connects(&[("8.8.1.1", "ok")]);
        let host = &node.host;
        let peer = &mut node.workload;
        host.wait_until("the end of the grant", || {
            peer.does("make a 4 SOCK_STREAM") == "ok"
                && peer.does("connect a 8.8.1.1 80") == "EPERM"
        });
        assert_eq!(node.grants(), serde_json::json!([]));
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
        assert_eq!(node.asked("a.evil.example"), "1");
        node.asks("good.wild.example");
        node.asks("pypi.example");
        let record = node.host.wait_for_records("denied", 1).remove(0);
        assert_eq!(record["evidence"]["name"], "a.evil.example", "{record}");
        assert_eq!(record["evidence"]["ban_list"], list.display().to_string());
        assert_eq!(record["evidence"]["destination"]["address"], "8.8.8.8");
        assert_eq!(record["process"]["comm"], "busybox", "{record}");
        let bans = node.host.hayward(&["bans", "lists", "--json"]).ok().json();
        assert_eq!(bans[0]["names"], 2, "{bans}");
        assert!(bans[0]["refused"].as_u64() > Some(0), "{bans}");
    }
}
