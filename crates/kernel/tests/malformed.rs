//! What no host sends, given to the programs on packets by BPF_PROG_TEST_RUN: none fails, and what is whole is judged for what it
//! is.
//!
//! The kernel makes a socket for such a packet, in the cgroup of whoever asks: of no type and no protocol, closed, and of the
//! packet's family. So the programs of `egress` and `outbound` on a cgroup's packets are run to their ends, as for datagrams.
//! Not reached: those of `pool` beyond their first questions, which are for a socket of TCP or UDP (what they read is thrown
//! at in `native.rs`, and over real connections in `pool_agreement.rs`), and programs on frames where these are of IP, which
//! take the packets of ordinary sockets for judged already (`frames.rs` has packet sockets). Newer kernels themselves refuse to try
//! a frame whose IP header is cut short; what is cut later on they take.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod packet;

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, net::Ipv6Addr};

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::{Headers, OutboundLimits, Packet, PacketTrial};
    use hayward_model::{Guard, Mode, ScopePolicy};
    use proptest::prelude::*;

    use crate::packet::{frames, own_cgroup};

    /// So large that none of them is passed.
    const LIMITS: OutboundLimits = OutboundLimits {
        in_flight: 65_536,
        failed: 1_000_000,
        rate: 1_000_000,
        ..OutboundLimits::DEFAULT
    };

    fn trial(guard: Guard, mode: Mode) -> PacketTrial {
        let trial = PacketTrial::new(guard, &LIMITS).expect("the programs load");
        let policy = ScopePolicy::of(guard, mode);
        trial.judge(own_cgroup(), policy).expect("room");
        trial
    }

    /// Damaged frames that the kernel takes: it wants a header of Ethernet, something behind it, and no more than a page.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let words: [&[u8]; 8] = [
            &[0x45, 0],
            &[0x4f, 0],
            &[0x60, 0, 0, 0],
            &[0x2c, 0, 0, 0xff],
            &[51, 255],
            &[60, 255],
            &[0xc0, 0x0c],
            &[0x3f],
        ];
        let frames = Corpus::new(frames(), words).damaged();
        frames
            .prop_map(|frame| frame.0)
            .prop_filter("a size that the kernel takes", |frame| {
                (15..3000).contains(&frame.len())
            })
    }

    /// What a program answers; none where the kernel does not try a frame, as it may where an IP header is not there whole.
    fn answer(trial: &RefCell<PacketTrial>, name: &str, frame: &[u8]) -> Option<i32> {
        let kind = u16::from_be_bytes([frame[12], frame[13]]);
        let header = match kind {
            0x0800 => 20,
            0x86dd => 40,
            _ => 0,
        };
        let answer = trial.borrow_mut().run(name, frame);
        if frame.len() < 14 + header {
            return answer.ok();
        }
        Some(answer.expect("it runs"))
    }

    /// Address, port and protocol of an end of a packet.
    type End = (Ipv6Addr, u16, u32);

    fn end(key: &[u8], port: u16, protocol: &[u8]) -> End {
        let address: [u8; 16] = key.try_into().expect("16 bytes");
        let protocol = u32::from_ne_bytes(protocol.try_into().expect("4 bytes"));
        (address.into(), port, protocol)
    }

    /// With whom the guard `outbound` has noted a contact: `struct outbound_target`.
    fn contact(trial: &PacketTrial) -> Option<End> {
        let mut entries = trial.take("outbound_contacts").expect("a map");
        let (key, _) = entries.pop()?;
        assert!(entries.is_empty() && key[..8] == own_cgroup().to_ne_bytes());
        let port = u32::from_ne_bytes(key[24..28].try_into().expect("4 bytes"));
        Some(end(
            &key[8..24],
            u16::try_from(port).expect("a port"),
            &key[28..],
        ))
    }

    /// From whom the guard `egress` has noted a datagram, and to which port: `struct egress_peer`.
    fn peer(trial: &PacketTrial) -> Option<(End, u16)> {
        let mut entries = trial.take("egress_peers").expect("a map");
        let (key, _) = entries.pop()?;
        assert!(entries.is_empty());
        let port = |at: usize| u16::from_ne_bytes(key[at..at + 2].try_into().expect("2 bytes"));
        Some((end(&key[8..24], port(24), &key[28..32]), port(26)))
    }

    /// The same C, in this process.
    fn headers(frame: &[u8]) -> Option<Headers> {
        let kind = u16::from_be_bytes([frame[12], frame[13]]);
        let bytes = &frame[14..];
        // The programs go by what the link says, and there only the beginning tells.
        let is_ip = matches!((kind, bytes[0] >> 4), (0x0800, 4) | (0x86dd, 6));
        let length = u32::try_from(bytes.len()).expect("it fits");
        Headers::read(&Packet { bytes, length }).filter(|_| is_ip)
    }

    /// Whether the bytes say of themselves what the link says.
    fn is_consistent(frame: &[u8]) -> bool {
        let kind = u16::from_be_bytes([frame[12], frame[13]]);
        matches!((kind, frame[14] >> 4), (0x0800, 4) | (0x86dd, 6))
            || ![0x0800, 0x86dd].contains(&kind)
    }

    const TCP: u32 = 6;
    const PORTS: [u32; 4] = [TCP, 17, 132, 136];
    const EXTENSIONS: [u32; 5] = [0, 43, 44, 51, 60];

    /// Its own host, and those that are all at once.
    fn is_nobody(address: Ipv6Addr) -> bool {
        match address.to_ipv4_mapped() {
            Some(ipv4) => ipv4.is_loopback() || ipv4.octets()[0] >= 224 || ipv4.is_unspecified(),
            None => address.is_loopback() || address.is_unspecified() || address.is_multicast(),
        }
    }

    #[test]
    fn a_contact_is_with_whom_the_headers_name_and_never_an_error() {
        let trial = RefCell::new(trial(Guard::Outbound, Mode::Observe));
        throw(3000, &damaged(), |frame| {
            let Some(answer) = answer(&trial, "on_departure", &frame) else {
                return Ok(());
            };
            prop_assert_eq!(answer, 1);
            let noted = contact(&trial.borrow());
            if is_consistent(&frame) {
                let expected = headers(&frame).and_then(|headers| {
                    let port = headers.ports.map(|(_, target)| target);
                    let has_none = PORTS.contains(&headers.protocol) && port.is_none();
                    let end = (headers.target, port.unwrap_or(0), headers.protocol);
                    (!has_none && !is_nobody(headers.target)).then_some(end)
                });
                prop_assert_eq!(noted, expected);
            }
            Ok(())
        });
        assert!(
            trial
                .borrow()
                .counters()
                .expect("counters")
                .outbound_contacts
                > 1000
        );
    }

    #[test]
    fn whoever_sent_a_datagram_is_noted_as_the_headers_name_them() {
        let trial = RefCell::new(trial(Guard::Egress, Mode::Enforce));
        let noted = std::cell::Cell::new(0);
        throw(3000, &damaged(), |frame| {
            let Some(answer) = answer(&trial, "on_arrival", &frame) else {
                return Ok(());
            };
            prop_assert_eq!(answer, 1);
            let peer = peer(&trial.borrow());
            noted.set(noted.get() + u32::from(peer.is_some()));
            if is_consistent(&frame) {
                let expected = headers(&frame).and_then(|headers| {
                    let (source, target) = headers.ports.filter(|_| headers.protocol != TCP)?;
                    Some(((headers.source, source, headers.protocol), target))
                });
                prop_assert_eq!(peer, expected);
            }
            Ok(())
        });
        assert!(noted.get() > 300, "{noted:?}");
    }

    /// `struct egress_key` and `struct egress_allowed`: everybody may be reached by TCP at port 443.
    fn allow_https(trial: &PacketTrial) {
        let key = [&32_u32.to_ne_bytes()[..], &[0; 20]].concat();
        let mut allowed = [1_u32, 1].map(u32::to_ne_bytes).concat();
        allowed.extend([443_u16, 443].map(u16::to_ne_bytes).as_flattened());
        allowed.extend(TCP.to_ne_bytes());
        allowed.resize(8 + 8 * 8, 0);
        trial.put("egress_lists", &key, &allowed).expect("room");
    }

    #[test]
    fn nothing_leaves_that_is_not_allowed_whatever_its_headers_look_like() {
        let trial = RefCell::new(trial(Guard::Egress, Mode::Enforce));
        allow_https(&trial.borrow());
        let passed = std::cell::Cell::new(0);
        throw(3000, &damaged(), |frame| {
            let Some(answer) = answer(&trial, "on_packet", &frame) else {
                return Ok(());
            };
            prop_assert!([0, 1].contains(&answer), "{}", answer);
            passed.set(passed.get() + answer);
            if is_consistent(&frame) {
                let may_pass = headers(&frame).is_some_and(|headers| {
                    let port = headers.ports.map(|(_, target)| target);
                    headers.protocol == TCP && port.is_none_or(|port| port == 443)
                });
                prop_assert!(answer == 0 || may_pass);
                prop_assert!(answer == 1 || !may_pass);
            }
            Ok(())
        });
        assert!(passed.get() > 100, "{passed:?}");
        assert!(trial.borrow().counters().expect("counters").egress_denied > 1000);
    }

    #[test]
    fn every_program_answers_what_it_may() {
        for guard in [Guard::Egress, Guard::Outbound, Guard::Pool] {
            let trial = RefCell::new(trial(guard, Mode::Enforce));
            let programs = trial.borrow().programs();
            // The others are on sockets, and get no packets. Nothing that arrives is refused here.
            let answers: [(&str, &[i32]); 9] = [
                ("on_packet", &[0, 1]),
                ("on_departure", &[0, 1]),
                ("on_arrival", &[1]),
                ("on_outcome", &[1]),
                ("on_pool_packet", &[1]),
                ("on_pool_arrival", &[1]),
                ("on_egress_frame", &[-1, 2]),
                ("on_outbound_frame", &[-1, 2]),
                ("on_outbound_return", &[-1]),
            ];
            let is_there = |name: &str| programs.iter().any(|program| program == name);
            let tried: Vec<_> = answers
                .into_iter()
                .filter(|(name, _)| is_there(name))
                .collect();
            assert!(tried.len() >= 2, "{programs:?}");
            throw(600, &damaged(), |frame| {
                for (name, allowed) in &tried {
                    let answer = answer(&trial, name, &frame);
                    let is_good = answer.is_none_or(|answer| allowed.contains(&answer));
                    prop_assert!(is_good, "{} answers {:?}", name, answer);
                }
                Ok(())
            });
            let counted = trial.borrow().counters().expect("counters");
            // No socket of a connection, nor of a datagram: what is said is not read.
            assert_eq!(counted.pool_checked, 0);
        }
    }

    #[test]
    fn what_is_whole_is_read_as_another_parser_reads_it() {
        let whole = std::cell::Cell::new(0);
        throw(6000, &damaged(), |frame| {
            let Ok(sliced) = SlicedPacket::from_ethernet(&frame) else {
                return Ok(());
            };
            let (source, target, protocol, is_fragment) = match &sliced.net {
                Some(NetSlice::Ipv4(ip)) => (
                    ip.header().source_addr().to_ipv6_mapped(),
                    ip.header().destination_addr().to_ipv6_mapped(),
                    ip.header().protocol(),
                    ip.payload().fragmented,
                ),
                Some(NetSlice::Ipv6(ip)) => (
                    ip.header().source_addr(),
                    ip.header().destination_addr(),
                    ip.payload().ip_number,
                    ip.payload().fragmented,
                ),
                _ => return Ok(()),
            };
            if !sliced.link_exts.is_empty() {
                return Ok(());
            }
            let read = headers(&frame);
            prop_assert!(read.is_some());
            let read = read.expect("checked");
            // It goes through eight extensions, and the other through more.
            if EXTENSIONS.contains(&read.protocol) {
                return Ok(());
            }
            prop_assert_eq!((read.source, read.target), (source, target));
            let ports = match &sliced.transport {
                Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
                Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
                _ => None,
            };
            if ports.is_some() {
                prop_assert_eq!((read.ports, is_fragment), (ports, false));
                prop_assert_eq!(read.protocol, u32::from(protocol.0));
                whole.set(whole.get() + 1);
            }
            Ok(())
        });
        assert!(whole.get() > 500, "{whole:?}");
    }

    #[test]
    fn nine_extensions_are_no_way_around_and_a_later_fragment_goes_with_the_first() {
        let all = frames();
        let of = |number: usize| headers(&all[number]).expect("a packet");
        assert_eq!(of(19).ports, Some((4000, 443)));
        // The ninth is taken for the protocol.
        assert_eq!((of(20).protocol, of(20).ports), (60, None));
        for later in [12, 18] {
            assert_eq!((of(later).protocol, of(later).ports), (17, None));
        }
        let mut trial = trial(Guard::Egress, Mode::Enforce);
        allow_https(&trial);
        for (number, expected) in [(3, 1), (19, 1), (20, 0), (0, 0), (22, 0)] {
            let answer = trial.run("on_packet", &all[number]);
            assert_eq!(answer.expect("it runs"), expected, "{number}");
        }
    }
}
