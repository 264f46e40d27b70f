//! What packet sockets send, on the real kernel: it comes out of the host's end of a pair of veth devices, and is judged there.
//! The host is a network of the test's own.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs::{self, File},
        os::fd::AsFd,
        path::Path,
        time::{Duration, Instant},
    };

    use hayward_kernel::{Counters, Kernel, KernelOptions, Pins, uninstall};
    use hayward_model::{Guard, Mode, ScopePolicy};
    use hayward_rules::table::ScopeTable;
    use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

    use crate::{network::Workload, place::Place};

    /// A host with a workload behind a pair of veth devices, and the kernel side in the host's network.
    struct Host {
        node: Workload,
        workload: Workload,
        device: u32,
        kernel: Kernel,
        place: Place,
    }

    /// What differs from one test to the next.
    #[derive(Clone, Copy, Default)]
    struct Kind {
        filters: bool,
        deny_packet_sockets: bool,
        observe: bool,
    }

    fn host(name: &str, guard: Guard, kind: Kind) -> Host {
        let place = Place::new(name);
        let mut node = Workload::new(&place.group("node"));
        let mut workload = Workload::new(&place.group("box"));
        let device = lead(&mut node, &mut workload);
        enter(&mut node);
        let mode = if kind.observe {
            Mode::Observe
        } else {
            Mode::Enforce
        };
        let policy = ScopePolicy::of(guard, mode);
        let scope = ScopeTable::compile(&[(".*/box(/.*)?".to_owned(), policy)]).expect("a scope");
        let mut options = KernelOptions {
            network: vec![guard],
            filters: kind.filters,
            ..place.options()
        };
        options.outbound.deny_packet_sockets = kind.deny_packet_sockets;
        let mut kernel = Kernel::load(&options, &[0], scope.words()).expect("it loads");
        assert!(
            kernel.failure(guard).is_none(),
            "{:?}",
            kernel.failure(guard)
        );
        kernel.activate().expect("the programs attach");
        let box_id = crate::place::id_of(&place.group("box"));
        kernel.set_scope(box_id, policy).expect("a scope");
        let mut host = Host {
            node,
            workload,
            device,
            kernel,
            place,
        };
        host.judge(&[device]);
        host
    }

    /// Connects both. Returns the number of the host's end.
    fn lead(node: &mut Workload, workload: &mut Workload) -> u32 {
        let pid = workload.does("pid");
        let device = node.does(&format!("lead {pid}"));
        assert_eq!(workload.does("follow"), "ok");
        assert_eq!(node.does("silence"), "ok");
        device.parse().expect("a number")
    }

    /// This thread, and no other, is in the host's network from now on.
    fn enter(node: &mut Workload) {
        let network = File::open(format!("/proc/{}/ns/net", node.does("pid"))).expect("a network");
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("entered");
    }

    impl Host {
        fn judge(&mut self, devices: &[u32]) {
            let devices: BTreeSet<u32> = devices.iter().copied().collect();
            self.kernel.judge_frames(&devices).expect("attached");
        }

        fn counters(&self) -> Counters {
            self.kernel.counters().expect("counters")
        }

        /// To how many others something has left by now; waits for so many.
        fn sent(&mut self, expected: u32) -> u32 {
            let since = Instant::now();
            loop {
                let sent = self.node.does("sent").parse().expect("a number");
                if sent >= expected || since.elapsed() > Duration::from_secs(10) {
                    return sent;
                }
            }
        }

        fn pinned(&self) -> usize {
            let links = fs::read_dir(self.place.pins.join("links")).expect("links");
            let of_device = format!("@{}", self.device);
            let names = links.filter_map(|link| link.ok()?.file_name().into_string().ok());
            names.filter(|name| name.contains(&of_device)).count()
        }
    }

    fn by(filters: bool) -> Kind {
        Kind {
            filters,
            ..Kind::default()
        }
    }

    /// By links and, as on old kernels, by filters.
    const WAYS: [(&str, bool); 2] = [("links", false), ("filters", true)];

    #[test]
    fn of_a_silent_scan_by_frames_half_of_what_may_wait_leaves() {
        for (way, filters) in WAYS {
            let mut host = host(&format!("silent-{way}"), Guard::Outbound, by(filters));
            assert_eq!(host.workload.does("frames 8.8.1.1 1 200"), "200");
            assert_eq!(host.sent(8), 8, "{way}");
            assert_eq!(host.counters().outbound_contacts, 8);
            // The host's own frames are nobody's business.
            assert_eq!(host.node.does("frames 8.8.1.1 1001 1010 sink"), "10");
            assert_eq!(host.counters().outbound_contacts, 8);
        }
    }

    #[test]
    fn refusals_are_seen_on_their_way_back_and_end_a_scan_after_five() {
        for (way, filters) in WAYS {
            let mut host = host(&format!("refused-{way}"), Guard::Outbound, by(filters));
            host.node
                .all(&[("own 11.4.0.1/16", "ok"), ("serve 80", "ok")]);
            for port in 1..=7 {
                let command = format!("frames 11.4.0.1 {port} {port}");
                assert_eq!(host.workload.does(&command), "1");
            }
            let counters = host.counters();
            assert_eq!(counters.outbound_contacts, 5, "{way}");
            assert_eq!(counters.outbound_denied, 2, "{way}");
        }
    }

    #[test]
    fn whoever_answers_is_no_failure_and_may_be_sent_more() {
        let mut host = host("answers", Guard::Outbound, Kind::default());
        host.node
            .all(&[("own 11.4.0.1/16", "ok"), ("serve 80", "ok")]);
        for last in 1..=40 {
            let command = format!("frames 11.4.0.{last} 80 80");
            assert_eq!(host.workload.does(&command), "1");
            assert_eq!(host.workload.does(&command), "1");
        }
        let counters = host.counters();
        assert_eq!(counters.outbound_contacts, 40);
        assert_eq!(counters.outbound_denied + counters.outbound_paced, 0);
    }

    #[test]
    fn denied_packet_sockets_send_nothing_and_others_do() {
        let kind = Kind {
            deny_packet_sockets: true,
            ..Kind::default()
        };
        let mut host = host("denied", Guard::Outbound, kind);
        assert_eq!(host.workload.does("frames 8.8.1.1 1 3"), "3");
        assert_eq!(host.counters().outbound_denied, 3);
        assert_eq!(host.workload.does("scan 8.8.1.1 1 4"), "ok:4");
        assert_eq!(host.sent(4), 4);
    }

    #[test]
    fn observing_drops_no_frame() {
        let kind = Kind {
            deny_packet_sockets: true,
            observe: true,
            ..Kind::default()
        };
        let mut host = host("observed", Guard::Outbound, kind);
        assert_eq!(host.workload.does("frames 8.8.1.1 1 40"), "40");
        assert_eq!(host.sent(40), 40);
        assert_eq!(host.counters().outbound_denied, 0);
    }

    #[test]
    fn what_a_workload_may_not_reach_gets_no_frame_either() {
        for (way, filters) in WAYS {
            let mut host = host(&format!("egress-{way}"), Guard::Egress, by(filters));
            assert_eq!(host.workload.does("frames 8.8.1.1 1 3"), "3");
            assert_eq!(host.counters().egress_denied, 3, "{way}");
            assert_eq!(host.sent(0), 0);
        }
    }

    #[test]
    fn a_device_that_goes_takes_its_pins_along_and_without_an_agent_nothing_is_left() {
        for (way, filters) in WAYS {
            let mut host = host(&format!("gone-{way}"), Guard::Outbound, by(filters));
            assert_eq!(host.pinned(), 2, "{way}");
            host.judge(&[]);
            assert_eq!(host.pinned(), 0, "{way}");
            // The kernel lets go of a link some time after its pin.
            let since = Instant::now();
            let mut port = 0;
            while host.sent(0) <= 8 {
                port += 1;
                let command = format!("frames 8.8.1.1 {port} {port}");
                assert_eq!(host.workload.does(&command), "1");
                assert!(since.elapsed() < Duration::from_secs(10), "{way}");
            }
            host.judge(&[host.device]);
            let before = host.sent(0);
            assert_eq!(host.workload.does("frames 8.8.1.2 1 30"), "30");
            // Those that went without being counted wait for no answer.
            assert!(host.sent(0) <= before + 8, "{way}");
            let Host {
                place,
                kernel,
                node,
                workload,
                ..
            } = host;
            let pins = place.pins.clone();
            drop(kernel);
            assert!(uninstall(&Pins::new(&pins)).expect("removed") > 2);
            assert!(!Path::new(&pins).exists());
            // Their cgroups go with the place, where nobody is left in them.
            drop((node, workload));
        }
    }
}
