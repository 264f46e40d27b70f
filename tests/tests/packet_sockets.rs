//! What raw and packet sockets send, by real tools through the built binary. The agent's host is a network that the test makes.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::process::ExitStatusExt,
        path::Path,
        process::{Child, Command, Stdio},
    };

    use hayward_tests::{Host, NetworkWorkload};
    use serde_json::Value;

    /// A host whose network is the test's own.
    struct Node {
        host: Host,
        network: NetworkWorkload,
    }

    impl Node {
        /// An agent with these settings of the guard.
        fn guarding(settings: &str) -> Self {
            let host = Host::new();
            host.list_guard("outbound", settings);
            let network = NetworkWorkload::new(&host.outside);
            let mut node = Self { host, network };
            node.spawn();
            assert_eq!(node.network.does("silence"), "ok");
            node
        }

        fn spawn(&mut self) {
            let network = format!("--net=/proc/{}/ns/net", self.network.does("pid"));
            self.host.spawn_by(&["nsenter", &network]);
            self.host.wait_until("a proven guard", || {
                let (status, reason) = self.status();
                status == "enforcing" || reason.starts_with(UNREFUSED)
            });
        }

        /// The guard's status, and why it is not better.
        fn status(&self) -> (String, String) {
            let status = self.host.hayward(&["status", "--json"]);
            if status.code != 0 {
                return Default::default();
            }
            let guard = &status.json()["guards"]["outbound"];
            let text = |key: &str| guard[key].as_str().unwrap_or_default().to_owned();
            (text("status"), text("reason"))
        }

        /// A workload that reaches the world by this host.
        fn workload(&mut self) -> NetworkWorkload {
            let mut workload = NetworkWorkload::new(&self.host.inside);
            let pid = workload.does("pid");
            let device = self.network.does(&format!("lead {pid}"));
            assert_eq!(workload.does("follow"), "ok");
            // The agent is told of it.
            self.host
                .wait_until("frames are judged", || self.pinned(&device) == 2);
            workload
        }

        /// Whether packet sockets are refused where they are made: then there are no frames. tests/vm has machines of both kinds.
        fn refuses_packet_sockets(&self) -> bool {
            let features = self.host.hayward(&["probe", "--json"]).ok().json();
            let mut features = features.as_array().expect("a list").iter();
            let lsm = features.find(|feature| feature["name"] == "lsm");
            lsm.expect("a line")["present"] == true
        }

        fn pinned(&self, device: &str) -> usize {
            let links = fs::read_dir(self.host.pins.join("links")).expect("links");
            let names = links.filter_map(|link| link.ok()?.file_name().into_string().ok());
            names
                .filter(|name| name.contains(&format!("@{device}")))
                .count()
        }

        fn sent(&mut self) -> u32 {
            self.network.does("sent").parse().expect("a number")
        }

        fn contacts(&self) -> u64 {
            let status = self.host.status();
            let counters = &status["guards"]["outbound"]["counters"];
            counters["outbound_contacts"].as_u64().expect("a number")
        }
    }

    /// What the status says where packet sockets are denied and BPF LSM does not run, as on this host's kernel.
    const UNREFUSED: &str = "packet sockets are made all the same";

    const FAST: &str = "-n -Pn -T5 --max-retries 0 --host-timeout 4s";
    /// The way to the router, by which these need not ask for it. One order of the addresses (`-e`): of the others, one in
    /// some hundreds has zmap 2.1.1 abort (`constraint_lookup_index: Assertion 'index < con->root->count' failed`).
    const ZMAP: &str = "zmap -q -e 1 -i veth0 -G 02:00:00:00:00:01 -S 10.9.0.2 -c 0 -r 5000 -o /dev/null -b /dev/null";

    /// Each with the name of its process.
    fn scans() -> [(String, &'static str); 4] {
        [
            (
                format!("nmap -sS --send-eth {FAST} -p1-200 8.8.1.1"),
                "nmap",
            ),
            (
                format!("nmap -sU --send-eth {FAST} -p1-200 8.8.2.1"),
                "nmap",
            ),
            (
                "masscan 8.8.3.1 -p1-300 --rate 5000 --wait 0 --router-mac 02-00-00-00-00-01"
                    .to_owned(),
                "masscan",
            ),
            (format!("{ZMAP} -p 443 8.8.4.0/24"), "zmap"),
        ]
    }

    #[test]
    fn no_scan_by_frames_reaches_more_than_64_that_are_silent() {
        for (command, _) in scans() {
            let mut node = Node::guarding("{}");
            let mut workload = node.workload();
            let ended = workload.does(&format!("run {command}"));
            assert_eq!(ended, "0", "{command}");
            let sent = node.sent();
            println!("{command}: {sent}");
            assert!(sent > 0 && sent <= 64, "{command}: {sent}");
        }
    }

    #[test]
    fn a_scan_by_frames_or_a_raw_socket_that_is_refused_ends_after_five() {
        let raw = (format!("nmap -sS {FAST} -p1-200 8.8.5.1"), "nmap");
        for (command, _) in scans().into_iter().chain([raw]) {
            let mut node = Node::guarding("{}");
            let mut workload = node.workload();
            assert_eq!(node.network.does("own 8.8.0.1/16"), "ok");
            let ended = workload.does(&format!("run {command}"));
            assert_eq!(ended, "0", "{command}");
            let contacts = node.contacts();
            println!("{command}: {contacts}");
            // Of UDP, refusals come from nobody who was asked; and some are under way when the fifth arrives.
            let most = if command.contains("-sU") { 64 } else { 16 };
            assert!(contacts > 0 && contacts <= most, "{command}: {contacts}");
        }
    }

    fn holder(record: &Value) -> (&Value, &Value) {
        (
            &record["process"]["comm"],
            &record["evidence"]["scan"]["limit"],
        )
    }

    #[test]
    fn denied_packet_sockets_send_nothing_and_the_process_is_named() {
        let mut node = Node::guarding("{packet_sockets: deny}");
        if node.refuses_packet_sockets() {
            return;
        }
        let mut workload = node.workload();
        for (command, tool) in scans() {
            // Slowly, so that the process is there when it is looked for.
            let command = command.replace("5000", "100");
            assert_eq!(workload.does(&format!("run {command}")), "0", "{command}");
            assert_eq!(node.sent(), 0, "{command}");
            node.host.wait_until(tool, || {
                let records = node.host.records("denied");
                records
                    .iter()
                    .any(|record| holder(record) == (&tool.into(), &"packet-socket".into()))
            });
        }
        // Whatever else the workload does goes on.
        assert_eq!(workload.does("scan 8.8.9.1 1 3"), "ok:3");
        assert_eq!(node.sent(), 3);
    }

    #[test]
    fn whoever_sends_frames_is_killed_where_settings_say_so() {
        let mut node = Node::guarding("{packet_sockets: kill}");
        if node.refuses_packet_sockets() {
            return;
        }
        let mut workload = node.workload();
        let command =
            "masscan 8.8.3.0/24 -p1-1000 --rate 1000 --wait 0 --router-mac 02-00-00-00-00-01";
        assert_eq!(workload.does(&format!("run {command}")), "-9");
        let record = node.host.wait_for_records("killed", 1).remove(0);
        assert_eq!(
            holder(&record),
            (&"masscan".into(), &"packet-socket".into())
        );
        assert_eq!(record["guard"], "outbound", "{record}");
        assert_eq!(node.sent(), 0);
    }

    /// Of each family, and by a call that is no call of `socket`.
    const RAW: [&str; 3] = [
        "make a 4 SOCK_RAW 255",
        "make b 6 SOCK_RAW 58",
        "uring_make 2 3 6",
    ];

    #[test]
    fn denied_packet_sockets_are_no_raw_ones_either_and_the_status_says_what_is_missing() {
        let mut node = Node::guarding("{packet_sockets: deny}");
        let mut workload = NetworkWorkload::new(&node.host.inside);
        for command in RAW {
            assert_eq!(workload.does(command), "EPERM", "{command}");
            assert_eq!(node.network.does(command), "ok", "out of scope: {command}");
        }
        workload.all(&[
            ("allow_ping", "ok"),
            ("make ping 4 SOCK_DGRAM 1", "ok"),
            ("say_to ping 0800000000000000 10.1.0.1 0", "ok"),
        ]);
        let record = node.host.wait_for_records("denied", 1).remove(0);
        assert_eq!(holder(&record), (&"python3".into(), &"raw-socket".into()));
        assert_eq!(record["process"]["pid"].to_string(), workload.does("pid"));
        assert!(record["evidence"]["destination"].is_null(), "{record}");
        assert_eq!(record["evidence"]["judged_at"], "socket", "{record}");
        let (status, reason) = node.status();
        let refused = node.refuses_packet_sockets();
        assert_eq!(status, if refused { "enforcing" } else { "degraded" });
        assert_eq!(reason.starts_with(UNREFUSED), !refused, "{reason}");
        // What nothing is denied by lacks nothing.
        for observed in [
            "{packet_sockets: observe}",
            "{mode: observe, packet_sockets: deny}",
        ] {
            let listed = "outbound: {packet_sockets: deny}";
            node.host
                .edit_settings(listed, &format!("outbound: {observed}"));
            node.host.hayward(&["reload"]).ok();
            assert!(!node.status().1.starts_with(UNREFUSED), "{observed}");
            assert_eq!(workload.does(RAW[0]), "ok", "{observed}");
            node.host
                .edit_settings(&format!("outbound: {observed}"), listed);
        }
    }

    #[test]
    fn whoever_wants_a_raw_socket_is_killed_where_settings_say_so() {
        let node = Node::guarding("{packet_sockets: kill}");
        let mut workload = NetworkWorkload::new(&node.host.inside);
        let pid = workload.does("pid");
        // It may be killed before it can say so.
        let said = workload.does(RAW[0]);
        assert!(["EPERM", ""].contains(&said.as_str()), "{said}");
        let record = node.host.wait_for_records("killed", 1).remove(0);
        assert_eq!(holder(&record), (&"python3".into(), &"raw-socket".into()));
        assert_eq!(record["process"]["pid"].to_string(), pid);
        node.host.wait_until("it has ended", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("not waited for");
            stat.contains(") Z ")
        });
    }

    #[test]
    fn observed_packet_sockets_are_recorded_once_and_judged_as_others_are() {
        let mut node = Node::guarding("{}");
        let mut workload = node.workload();
        assert_eq!(workload.does("frames 8.8.1.1 1 3"), "3");
        assert_eq!(workload.does("frames 8.8.1.1 4 5"), "2");
        let records = node.host.wait_for_records("observed", 1);
        let limits: Vec<_> = records.iter().map(|record| holder(record).1).collect();
        assert_eq!(limits, ["packet-socket"]);
        assert_eq!(node.contacts(), 5);
    }

    #[test]
    fn frames_are_judged_while_the_agent_is_dead_and_by_the_next_one() {
        let mut node = Node::guarding("{}");
        let mut workload = node.workload();
        assert_eq!(workload.does("frames 8.8.1.1 1 200"), "200");
        node.host.kill_agent();
        assert_eq!(workload.does("frames 8.8.2.1 1 200"), "200");
        node.spawn();
        assert_eq!(workload.does("frames 8.8.3.1 1 200"), "200");
        assert_eq!(node.sent(), 64);
        let device = node.network.does("device");
        assert_eq!(node.pinned(&device), 2);
        assert_eq!(node.network.does("unlead"), "ok");
        node.host
            .wait_until("the pins are gone", || node.pinned(&device) == 0);
        assert!(Path::new(&node.host.pins).exists());
    }

    /// A scanner in scope that is in the host's own network, on a device where nobody sees its frames.
    fn scan_beside(node: &mut Node) -> Child {
        node.network
            .does("run busybox ip link add wire type bridge");
        assert_eq!(node.network.does("run busybox ip link set wire up"), "0");
        let network = format!("--net=/proc/{}/ns/net", node.network.does("pid"));
        let scan = "masscan 8.8.3.0/24 -p1-1000 --rate 100 -e wire --adapter-ip 10.1.0.1 --router-mac 02-00-00-00-00-01";
        let mut command = Command::new("nsenter");
        command.arg(network).args(["sh", "-c"]);
        command.arg(format!("echo $$ > \"$0/cgroup.procs\" && exec {scan}"));
        command.arg(&node.host.inside);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        quiet.stderr(Stdio::null()).spawn().expect("nsenter")
    }

    #[test]
    fn whoever_sends_frames_in_the_hosts_own_network_is_recorded_once() {
        let mut node = Node::guarding("{}");
        let mut scanner = scan_beside(&mut node);
        let record = node.host.wait_for_records("observed", 1).remove(0);
        assert_eq!(
            holder(&record),
            (&"masscan".into(), &"packet-socket".into())
        );
        assert_eq!(record["process"]["pid"], scanner.id(), "{record}");
        let mut second = scan_beside(&mut node);
        let records = node.host.wait_for_records("observed", 2);
        assert_eq!(records[1]["process"]["pid"], second.id(), "{records:?}");
        assert_eq!(records.len(), 2, "{records:?}");
        for scanner in [&mut scanner, &mut second] {
            scanner.kill().expect("our own child");
            scanner.wait().expect("it ended");
        }
    }

    #[test]
    fn whoever_sends_frames_in_the_hosts_own_network_is_killed_where_settings_say_so() {
        let mut node = Node::guarding("{packet_sockets: kill}");
        let mut scanner = scan_beside(&mut node);
        let record = node.host.wait_for_records("killed", 1).remove(0);
        assert_eq!(holder(&record).1, "packet-socket");
        assert_eq!(scanner.wait().expect("it ended").signal(), Some(9));
    }
}
