//! Ways to send something that are not a plain socket: what the guard `egress` makes of them.

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_tests::{Host, NetworkWorkload, Start, connector32, write_program};

    /// A place whose settings list the guard so, with no agent yet.
    fn listed(settings: &str) -> Host {
        let host = Host::new();
        host.write_settings(&Start::default());
        host.edit_settings("guards:\n", &format!("guards:\n  egress: {settings}\n"));
        host
    }

    fn enforcing(mut host: Host) -> Host {
        host.spawn();
        host.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        host
    }

    const SOME: &str = "{policy: allow, allow: [\"10.1.0.0/16 80/tcp,53/udp\"]}";

    #[test]
    fn what_was_connected_before_the_guard_was_there_goes_on() {
        let host = listed(SOME);
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen web SOCK_STREAM 10.2.0.1 80", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.2.0.1 80", "ok"),
            ("accept web served", "ok"),
            ("listen clock SOCK_DGRAM 10.2.0.1 123", "ok"),
            ("make d 4 SOCK_DGRAM", "ok"),
            ("connect d 10.2.0.1 123", "ok"),
        ]);
        let _host = enforcing(host);
        workload.all(&[
            ("send a late", "ok"),
            ("receive served", "late"),
            // Datagrams are judged one by one.
            ("send d late", "EPERM"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("connect b 10.2.0.1 80", "EPERM"),
        ]);
    }

    #[test]
    fn fragments_go_where_their_datagram_may() {
        let host = enforcing(listed(SOME));
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("mtu 1300", "ok"),
            ("listen near SOCK_DGRAM 10.1.0.1 53", "ok"),
            ("listen far SOCK_DGRAM 10.2.0.1 53", "ok"),
            ("make a 4 SOCK_DGRAM", "ok"),
            ("send_large a 4000 10.1.0.1 53", "ok"),
            ("receive_large near", "4000"),
            ("send_large a 4000 10.2.0.1 53", "EPERM"),
            ("send_large a 4000 10.1.0.1 54", "EPERM"),
            // By hand: the first has a port, later ones have none.
            ("make raw 4 SOCK_RAW 255", "ok"),
            ("send_fragment raw 10.1.0.1 53 0", "ok"),
            ("send_fragment raw 10.1.0.1 54 0", "EPERM"),
            ("send_fragment raw 10.1.0.1 0 1200", "ok"),
            ("send_fragment raw 10.2.0.1 53 0", "EPERM"),
            ("send_fragment raw 10.2.0.1 53 1200", "EPERM"),
        ]);
    }

    #[test]
    fn other_protocols_and_ways_to_connect_are_judged_as_tcp_is() {
        let mptcp = fs::read_to_string("/proc/sys/net/mptcp/enabled");
        let host = enforcing(listed(SOME));
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            // Connected by sending (TCP fast open).
            ("make a 4 SOCK_STREAM", "ok"),
            ("send_fast a x 10.2.0.1 80", "EPERM"),
            ("make b 4 SOCK_STREAM", "ok"),
            ("send_fast b fast 10.1.0.1 80", "ok"),
            ("accept near served", "ok"),
            ("receive served", "fast"),
            // UDP-Lite, which `udp` does not mean.
            ("make c 4 SOCK_DGRAM 136", "ok"),
            ("send_to c x 10.1.0.1 53", "EPERM"),
        ]);
        if mptcp.is_ok_and(|text| text.trim() == "1") {
            workload.all(&[
                ("make d 4 SOCK_STREAM 262", "ok"),
                ("connect d 10.2.0.1 80", "EPERM"),
                ("make e 4 SOCK_STREAM 262", "ok"),
                ("connect e 10.1.0.1 80", "ok"),
                ("accept near served", "ok"),
                ("send e several", "ok"),
                ("receive served", "several"),
            ]);
        }
    }

    #[test]
    fn icmp_is_reached_where_it_is_allowed_by_name() {
        let host = enforcing(listed("{policy: allow, allow: [\"10.1.0.0/16 icmp\"]}"));
        NetworkWorkload::new(&host.inside).all(&[
            ("make ping 4 SOCK_RAW 1", "ok"),
            ("send_to ping xxxxxxxx 10.1.0.1 0", "ok"),
            ("send_to ping xxxxxxxx 10.2.0.1 0", "EPERM"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("connect a 10.1.0.1 80", "EPERM"),
        ]);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn programs_of_32_bits_are_refused_as_others_are() {
        let host = enforcing(listed(SOME));
        let program = |name: &str, address, port| {
            let path = host.path(name);
            write_program(&connector32(address, port), &path);
            path.display().to_string()
        };
        let near = program("near", [10, 1, 0, 1], 80);
        let far = program("far", [10, 2, 0, 1], 80);
        NetworkWorkload::new(&host.inside).all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            (&format!("run {near}"), "0"),
            // EPERM.
            (&format!("run {far}"), "1"),
        ]);
    }

    #[test]
    fn io_uring_is_refused_what_calls_are() {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        if disabled.is_ok_and(|text| text.trim() != "0") {
            return;
        }
        let host = enforcing(listed(SOME));
        NetworkWorkload::new(&host.inside).all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            ("listen asked SOCK_DGRAM 10.1.0.1 53", "ok"),
            ("make a 4 SOCK_STREAM", "ok"),
            ("uring_connect a 10.2.0.1 80", "EPERM"),
            ("uring_connect a 10.1.0.1 80", "ok"),
            ("accept near served", "ok"),
            ("make b 4 SOCK_DGRAM", "ok"),
            ("uring_send b when 10.2.0.1 53", "EPERM"),
            ("uring_send b when 10.1.0.1 53", "ok"),
            ("receive asked", "when"),
        ]);
    }

    #[test]
    fn a_socket_that_was_passed_on_sends_for_whoever_made_it_and_connects_for_whoever_asks() {
        let host = enforcing(listed(SOME));
        let outside = host.cgroup.display().to_string();
        let mut workload = NetworkWorkload::new(&host.inside);
        workload.all(&[
            ("listen far SOCK_STREAM 10.2.0.1 80", "ok"),
            // By somebody outside of the scope, who may hand out what the workload cannot have by itself.
            (&format!("passed a {outside} connected 10.2.0.1 80"), "ok"),
            ("accept far served", "ok"),
            ("send a late", "ok"),
            ("receive served", "late"),
            (&format!("passed b {outside} made 10.2.0.1 80"), "ok"),
            ("connect b 10.2.0.1 80", "EPERM"),
        ]);
        // And what is taken from the workload goes for the socket too, wherever it is used.
        workload.all(&[
            ("listen near SOCK_STREAM 10.1.0.1 80", "ok"),
            ("make c 4 SOCK_STREAM", "ok"),
            ("make raw 4 SOCK_RAW 253", "ok"),
            (&format!("move {outside}"), "ok"),
            ("send_to raw x 10.2.0.1 0", "EPERM"),
        ]);
    }
}
