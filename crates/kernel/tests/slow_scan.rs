//! Slow scans, by a clock that the test moves: the same programs, in this process.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod probe;

#[cfg(test)]
mod tests {
    use hayward_kernel::{InboundLimits, OfflineInbound, Packet};
    use hayward_model::{Event, InboundLimit, InboundVerdict};

    use crate::probe::{ACK, HOST, RST, SYN, Way, way};

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;

    struct Host {
        programs: OfflineInbound,
        now: u64,
    }

    impl Host {
        fn new() -> Self {
            let programs = OfflineInbound::new(&InboundLimits::DEFAULT);
            // As a machine that has been up for a while.
            let now = 1_000 * MINUTE;
            Self { programs, now }
        }

        fn arrives(&mut self, frame: &[u8]) -> bool {
            self.programs.arrive(self.now, &packet(frame))
        }

        fn refuses(&mut self, way: Way) -> bool {
            let is_in = self.arrives(&way.tcp(SYN));
            if is_in {
                let answer = way.back().tcp(RST | ACK);
                self.programs.leave(self.now, &packet(&answer));
            }
            is_in
        }

        fn found(&mut self) -> Vec<(InboundVerdict, InboundLimit, u64)> {
            let events = self.programs.events().into_iter();
            let events = events.map(|event| match event.expect("it can be read") {
                Event::Inbound(event) => {
                    let evidence = event.evidence;
                    (event.verdict, evidence.limit, evidence.milliseconds)
                }
                other => panic!("{other:?}"),
            });
            events.collect()
        }
    }

    fn packet(frame: &[u8]) -> Packet<'_> {
        let bytes = &frame[14..];
        Packet {
            bytes,
            length: u32::try_from(bytes.len()).expect("small"),
        }
    }

    #[test]
    fn one_probe_in_five_minutes_is_found() {
        let mut host = Host::new();
        let mut came_in = 0;
        for port in 1..=10 {
            came_in += usize::from(host.refuses(way("203.0.113.9", HOST, port)));
            // Others come and go meanwhile.
            for last in 1..=200 {
                host.refuses(way(&format!("203.0.112.{last}"), HOST, 22));
            }
            host.now += 5 * MINUTE;
        }
        // It is banned for a minute, and each further time needs two more probes.
        let found = host.found();
        assert_eq!(
            found[0],
            (
                InboundVerdict::SoftBanned,
                InboundLimit::Unanswered,
                4 * 5 * 60_000
            )
        );
        assert_eq!((came_in, found.len()), (7, 3));
    }

    #[test]
    fn what_nobody_hears_of_for_a_day_is_forgotten() {
        let mut host = Host::new();
        for port in 1..=4 {
            assert!(host.refuses(way("203.0.113.9", HOST, port)));
        }
        host.now += 24 * 60 * MINUTE;
        for port in 1..=4 {
            assert!(host.refuses(way("203.0.113.9", HOST, port)));
        }
        assert_eq!(host.found(), []);
    }

    #[test]
    fn a_short_ban_ends_after_its_minute() {
        let mut host = Host::new();
        for port in 1..=10 {
            host.refuses(way("203.0.113.9", HOST, port));
        }
        assert!(!host.arrives(&way("203.0.113.9", HOST, 80).tcp(SYN)));
        host.now += MINUTE - 1;
        assert!(!host.arrives(&way("203.0.113.9", HOST, 80).tcp(SYN)));
        host.now += 1;
        assert!(host.arrives(&way("203.0.113.9", HOST, 80).tcp(SYN)));
    }
}
