//! Probes, answers and time in any order: what holds of the guard `inbound` whatever happens, and that the kernel and this process
//! let the same packets in.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod probe;

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap, net::IpAddr};

    use hayward_fuzz::throw;
    use hayward_kernel::{InboundLimits, OfflineInbound, Packet, PacketTrial};
    use hayward_model::{Event, InboundVerdict};
    use proptest::{collection::vec, prelude::*, sample::select};

    use crate::probe::{ACK, FIN, HOST, RST, SYN, Way, way};

    const SECOND: u64 = 1_000_000_000;
    const MINUTE: u64 = 60 * SECOND;
    /// 203.0.113.1 and so on. The first is answered always, and the second is never banned.
    const SOURCES: u8 = 9;
    const ANSWERED: u8 = 1;
    const NEVER: u8 = 2;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Probe {
        Tcp(u8),
        Udp,
        Ping,
    }

    /// Somebody does something, and so long after what was before.
    #[derive(Debug, Clone, Copy)]
    struct Step {
        source: u8,
        port: u16,
        probe: Probe,
        is_answered: bool,
        is_refused: bool,
        waits_ns: u64,
    }

    fn step(waits: impl Strategy<Value = u64>) -> impl Strategy<Value = Step> {
        let probes = [
            Probe::Tcp(SYN),
            Probe::Tcp(SYN),
            Probe::Tcp(FIN),
            Probe::Tcp(0),
            Probe::Tcp(ACK),
            Probe::Udp,
            Probe::Ping,
        ];
        let what = (1..=SOURCES, 1..60_u16, select(probes.to_vec()));
        (what, any::<[bool; 2]>(), waits).prop_map(|(what, came, waits_ns)| {
            let (source, port, probe) = what;
            Step {
                source,
                port,
                probe: match (source, probe) {
                    (ANSWERED, _) => Probe::Tcp(SYN),
                    // Echoes have no port of their own.
                    (NEVER, Probe::Ping) => Probe::Udp,
                    _ => probe,
                },
                is_answered: source == ANSWERED || came[0] && came[1],
                is_refused: came[0],
                waits_ns,
            }
        })
    }

    impl Step {
        fn way(self) -> Way {
            // Two have ports of their own: one is always answered there, and of the other the programs in this process know nothing.
            let port = self.port
                + match self.source {
                    ANSWERED => 1_000,
                    NEVER => 2_000,
                    _ => 0,
                };
            way(&format!("203.0.113.{}", self.source), HOST, port)
        }

        fn arrives(self) -> Vec<u8> {
            match self.probe {
                Probe::Tcp(flags) => self.way().tcp(flags),
                Probe::Udp => self.way().udp(),
                Probe::Ping => self.way().ping(),
            }
        }

        /// What comes of it where it has come in.
        fn answer(self) -> Option<Vec<u8>> {
            let way = self.way();
            Some(match (self.probe, self.is_answered, self.is_refused) {
                (Probe::Tcp(SYN), true, _) => way.back().tcp(SYN | ACK),
                (Probe::Tcp(ACK), _, true) => way.back().tcp(RST),
                (Probe::Tcp(_), _, true) => way.back().tcp(RST | ACK),
                (Probe::Udp, true, _) => way.back().udp(),
                (Probe::Udp, _, true) => way.unreachable(&way.udp()),
                (Probe::Ping, true, _) => way.back().pong(),
                _ => return None,
            })
        }
    }

    fn packet(frame: &[u8]) -> Packet<'_> {
        let bytes = &frame[14..];
        let length = u32::try_from(bytes.len()).expect("small");
        Packet { bytes, length }
    }

    fn is_ban(verdict: InboundVerdict) -> bool {
        [InboundVerdict::Banned, InboundVerdict::SoftBanned].contains(&verdict)
    }

    fn address(source: u8) -> IpAddr {
        [203, 0, 113, source].into()
    }

    #[test]
    fn of_bans_there_are_so_many_in_a_minute_and_none_of_who_is_answered() {
        const RATE: u32 = 3;
        let limits = InboundLimits {
            ban_rate: RATE,
            ..InboundLimits::DEFAULT
        };
        // Mostly at once, at times seconds later, and seldom so late that bans are over.
        let waits = prop_oneof![
            8 => 0..SECOND / 10,
            2 => 0..5 * SECOND,
            1 => 0..3 * MINUTE,
        ];
        let (bans, refused) = (Cell::new(0), Cell::new(0));
        throw(300, &vec(step(waits), 1..400), |steps| {
            let mut programs = OfflineInbound::new(&limits);
            let mut now = 1_000 * MINUTE;
            let mut minutes: BTreeMap<u64, u32> = BTreeMap::new();
            for step in steps {
                now += step.waits_ns;
                let comes_in = programs.arrive(now, &packet(&step.arrives()));
                prop_assert!(comes_in || step.source != ANSWERED);
                if let Some(answer) = step.answer().filter(|_| comes_in) {
                    programs.leave(now, &packet(&answer));
                }
                for event in programs.events() {
                    let Ok(Event::Inbound(event)) = event else {
                        panic!("{event:?}");
                    };
                    if is_ban(event.verdict) {
                        prop_assert_ne!(event.evidence.source.addr(), address(ANSWERED));
                        *minutes.entry(now / MINUTE).or_default() += 1;
                        bans.set(bans.get() + 1);
                    }
                    let no_room = event.verdict == InboundVerdict::NoRoom;
                    refused.set(refused.get() + u32::from(no_room));
                }
            }
            prop_assert!(minutes.values().all(|bans| *bans <= RATE), "{:?}", minutes);
            Ok(())
        });
        assert!(
            bans.get() > 300 && refused.get() > 30,
            "{bans:?} {refused:?}"
        );
    }

    #[test]
    fn the_kernel_and_this_process_let_the_same_in_and_who_is_never_banned_always() {
        let (dropped, spared, cases) = (Cell::new(0), Cell::new(0), Cell::new(0));
        // A ban outlives the test.
        let limits = InboundLimits {
            soft_ban: std::time::Duration::from_secs(3_600),
            ..InboundLimits::DEFAULT
        };
        throw(24, &vec(step(Just(0)), 300..400), |steps| {
            let mut trial = PacketTrial::inbound(&limits).expect("the programs load");
            let key = [&128_u32.to_ne_bytes()[..], &[0; 10], &[0xff; 2]].concat();
            let key = [&key[..], &[203, 0, 113, NEVER]].concat();
            trial.put("inbound_never", &key, &[1]).expect("room");
            let mut programs = OfflineInbound::new(&limits);
            // One hook sees a packet; which one is the test's choice.
            let hooks = [("on_inbound_packet", 1), ("on_inbound_frame", 2)];
            let (hook, drop) = hooks[cases.get() % 2];
            cases.set(cases.get() + 1);
            for step in steps {
                let frame = step.arrives();
                let comes_in = trial.run(hook, &frame).expect("it runs") != drop;
                if step.source == NEVER {
                    prop_assert!(comes_in);
                } else {
                    let here = programs.arrive(1_000 * MINUTE, &packet(&frame));
                    prop_assert_eq!(comes_in, here, "{:?}", step);
                    prop_assert!(comes_in || step.source != ANSWERED);
                }
                dropped.set(dropped.get() + u32::from(!comes_in));
                if let Some(answer) = step.answer().filter(|_| comes_in) {
                    trial.run("on_inbound_answer", &answer).expect("it runs");
                    if step.source != NEVER {
                        programs.leave(1_000 * MINUTE, &packet(&answer));
                    }
                }
            }
            for event in trial.events().expect("a ring") {
                let Event::Inbound(event) = event else {
                    panic!("{event:?}");
                };
                let is_never = event.evidence.source.addr() == address(NEVER);
                prop_assert!(!is_never || !is_ban(event.verdict), "{:?}", event);
                spared.set(spared.get() + u32::from(event.verdict == InboundVerdict::Spared));
            }
            for ban in trial.bans(64).expect("maps").all() {
                let source = ban.net.addr();
                prop_assert!(source != address(NEVER) && source != address(ANSWERED));
            }
            Ok(())
        });
        assert!(
            dropped.get() > 1_000 && spared.get() > 10,
            "{dropped:?} {spared:?}"
        );
    }
}
