//! What no host sends, given to the programs of the guard `inbound`: by XDP, as a classifier gets it, and in this process, where
//! undefined behaviour in the C ends the test. None fails, all read the same, and what is whole is judged for what it is.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod packet;

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        net::IpAddr,
        time::{Duration, Instant},
    };

    use etherparse::{LinkExtSlice, NetSlice, SlicedPacket, TcpHeaderSlice, TransportSlice};
    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::{InboundLimits, OfflineInbound, Packet, PacketTrial};
    use hayward_model::{BanStrength, Event, InboundContact, ProbeKind};
    use proptest::prelude::*;

    use crate::packet::{OWN, TCP, frame, frames, ipv4, tcp};

    /// Nobody is remembered, so that each contact is a first one, and is logged.
    const FORGETFUL: InboundLimits = InboundLimits {
        log: true,
        memory: Duration::ZERO,
        failures: 10_000,
        ..InboundLimits::DEFAULT
    };
    const SYN: u8 = 2;
    const FLAGS: u8 = 0x3f;

    /// Who sends it to whom, from which port to which, and how.
    type Reading = (IpAddr, u16, IpAddr, u16, ProbeKind);

    struct Three {
        packet: PacketTrial,
        classifier: PacketTrial,
        offline: OfflineInbound,
        contacts: u64,
        begun: Instant,
    }

    #[derive(Debug, PartialEq)]
    struct Outcome {
        comes_in: bool,
        read: Option<Reading>,
    }

    impl Three {
        fn new(limits: &InboundLimits) -> Self {
            let trial = || PacketTrial::inbound(limits).expect("the programs load");
            Self {
                packet: trial(),
                classifier: trial(),
                offline: OfflineInbound::new(limits),
                contacts: 0,
                begun: Instant::now(),
            }
        }

        /// Bans end, and who sends the same at the same time is told by that, as by the kernel's clock.
        fn now(&self) -> u64 {
            let hour = Duration::from_secs(3_600);
            u64::try_from((hour + self.begun.elapsed()).as_nanos()).expect("it fits")
        }

        /// A frame arrives. All three must say the same of it.
        fn arrives(&mut self, frame: &[u8]) -> Outcome {
            let answer = self.packet.run("on_inbound_packet", frame);
            let answer = answer.expect("it runs");
            assert!([1, 2].contains(&answer), "{answer}");
            let outcome = Outcome {
                comes_in: answer == 2,
                read: logged(&self.packet),
            };
            match self.classifier.run("on_inbound_frame", frame) {
                Ok(answer) => {
                    assert!([-1, 2].contains(&answer), "{answer}");
                    let comes_in = answer == -1;
                    let read = logged(&self.classifier);
                    assert_eq!(outcome, Outcome { comes_in, read });
                }
                // It may refuse to try what has no whole header of IP, which is nobody's.
                Err(error) => {
                    let is_cut = frame.len() < 14 + 40;
                    let is_harmless = outcome.comes_in && outcome.read.is_none();
                    assert!(is_cut && is_harmless, "{error}");
                }
            }
            if is_untagged(frame) {
                let length = u32::try_from(frame.len() - 14).expect("it fits");
                let bytes = &frame[14..];
                let comes_in = self.offline.arrive(self.now(), &Packet { bytes, length });
                let events = self.offline.events().into_iter();
                let events = events.map(|event| event.expect("an event"));
                let read = events.filter_map(contact).next_back();
                assert_eq!(outcome, Outcome { comes_in, read });
            }
            self.contacts += u64::from(outcome.read.is_some());
            outcome
        }

        fn leaves(&mut self, frame: &[u8]) {
            if let Ok(answer) = self.classifier.run("on_inbound_answer", frame) {
                assert_eq!(answer, -1);
            } else {
                assert!(frame.len() < 14 + 40);
            }
            let length = u32::try_from(frame.len() - 14).expect("it fits");
            let bytes = &frame[14..];
            self.offline.leave(self.now(), &Packet { bytes, length });
            self.offline.events();
        }
    }

    fn contact(event: Event) -> Option<Reading> {
        let Event::InboundContact(contact) = event else {
            return None;
        };
        let InboundContact {
            source,
            source_port,
            target,
            port,
            kind,
            ..
        } = contact;
        Some((source, source_port, target, port, kind))
    }

    fn logged(trial: &PacketTrial) -> Option<Reading> {
        let contacts = trial.contacts().expect("a ring").into_iter();
        contacts.filter_map(contact).next_back()
    }

    fn kind_of(frame: &[u8]) -> u16 {
        u16::from_be_bytes([frame[12], frame[13]])
    }

    /// The programs in this process get packets without a link, of which only the beginning tells what they are.
    fn is_untagged(frame: &[u8]) -> bool {
        matches!((kind_of(frame), frame[14] >> 4), (0x0800, 4) | (0x86dd, 6))
    }

    fn tagged(tags: &[u16], frame: &[u8]) -> Vec<u8> {
        let mut tagged = frame[..12].to_vec();
        for tag in tags {
            tagged.extend(tag.to_be_bytes());
            tagged.extend([0, 7]);
        }
        tagged.extend(&frame[12..]);
        tagged
    }

    fn with_all_options() -> Vec<u8> {
        ipv4(TCP, 0, &[1; 40], &tcp(SYN, b""))
    }

    /// Extensions of more bytes than a classifier has lie in one place.
    fn jumbo() -> Vec<u8> {
        let mut chain = Vec::new();
        for next in [60, TCP] {
            chain.extend([next, 81]);
            chain.extend([0; 82 * 8 - 2]);
        }
        chain.extend(tcp(SYN, b""));
        let length = u16::try_from(chain.len()).expect("it fits").to_be_bytes();
        let header = [0x60, 0, 0, 0, length[0], length[1], 60, 64];
        let addresses = [[0xfd; 16], [0x20; 16]].concat();
        frame(0x86dd, &[&header[..], &addresses, &chain].concat())
    }

    fn all() -> Vec<Vec<u8>> {
        let mut all = frames();
        for flags in [SYN, 0, 1, 0x29, 0x12, 0x10, 4, 0xff] {
            all.push(ipv4(TCP, 0, b"", &tcp(flags, b"")));
        }
        // The header of TCP in fragments of eight bytes.
        all.push(ipv4(TCP, 0x2000, b"", &tcp(SYN, b"")[..8]));
        all.push(ipv4(TCP, 0x2001, b"", &tcp(SYN, b"")[8..16]));
        all.push(with_all_options());
        all.push(jumbo());
        for at in [3, 17] {
            let one = tagged(&[0x8100], &all[at]);
            let two = tagged(&[0x88a8, 0x8100], &all[at]);
            let three = tagged(&[0x88a8, 0x8100, 0x8100], &all[at]);
            all.extend([one, two, three]);
        }
        // What says of a packet of UDP that nobody is there.
        let inner = ipv4(17, 0, b"", &[0, 9, 0, 53, 0, 8, 0, 0]);
        all.push(ipv4(
            1,
            0,
            b"",
            &[&[3, 3, 0, 0, 0, 0, 0, 0], &inner[14..]].concat(),
        ));
        all
    }

    /// Damaged frames that the kernel takes: it wants a header of Ethernet, something behind it, and no more than a page.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let words: [&[u8]; 9] = [
            &[0x45, 0],
            &[0x4f, 0],
            &[0x60, 0, 0, 0],
            &[0x2c, 0, 0, 0xff],
            &[51, 255],
            &[60, 255],
            &[0x81, 0, 0, 7],
            &[0x88, 0xa8, 0, 7],
            &[0x20, 0],
        ];
        let frames = Corpus::new(all(), words).damaged();
        frames
            .prop_map(|frame| frame.0)
            .prop_filter("a size that the kernel takes", |frame| {
                (15..3000).contains(&frame.len())
            })
    }

    fn kind_of_flags(header: &TcpHeaderSlice<'_>) -> Option<ProbeKind> {
        let others = header.psh() || header.urg();
        let bare = !others && !header.ece() && !header.cwr();
        match (header.rst(), header.syn(), header.ack(), header.fin()) {
            (true, _, _, _) | (_, _, true, _) => None,
            (_, true, _, _) => Some(ProbeKind::Syn),
            (_, _, _, true) if bare => Some(ProbeKind::Fin),
            (_, _, _, false) if header.slice()[13] & FLAGS == 0 => Some(ProbeKind::Null),
            _ => Some(ProbeKind::Xmas),
        }
    }

    /// How another parser reads what is whole; none where it is not, or is of a kind that it does not tell.
    fn expected(frame: &[u8]) -> Option<Option<Reading>> {
        let sliced = SlicedPacket::from_ethernet(frame).ok()?;
        let is_vlan = |link: &LinkExtSlice<'_>| matches!(link, LinkExtSlice::Vlan(_));
        let types = [12, 16, 20].map(|at| frame.get(at..at + 2));
        // Other switches write such a tag too.
        if sliced.link_exts.len() > 2
            || !sliced.link_exts.iter().all(is_vlan)
            || types.contains(&Some(&[0x91, 0]))
        {
            return None;
        }
        let (source, target): (IpAddr, IpAddr) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) if ip.extensions().auth.is_none() => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(NetSlice::Ipv6(ip)) if ip.extensions().clone().into_iter().count() <= 8 => {
                let ends = (ip.header().source_addr(), ip.header().destination_addr());
                (
                    IpAddr::V6(ends.0).to_canonical(),
                    IpAddr::V6(ends.1).to_canonical(),
                )
            }
            _ => return None,
        };
        let is_for_many = match target {
            IpAddr::V4(address) => address.octets()[0] >= 224 || address.is_unspecified(),
            IpAddr::V6(address) => address.is_multicast(),
        };
        let is_ipv4 = matches!(sliced.net, Some(NetSlice::Ipv4(_)));
        let (from, to, kind) = match &sliced.transport {
            Some(TransportSlice::Tcp(it)) => {
                let header = TcpHeaderSlice::from_slice(it.header_slice()).ok()?;
                (
                    it.source_port(),
                    it.destination_port(),
                    kind_of_flags(&header),
                )
            }
            Some(TransportSlice::Udp(it)) => (
                it.source_port(),
                it.destination_port(),
                Some(ProbeKind::Udp),
            ),
            Some(TransportSlice::Icmpv4(it)) => {
                let is_ping = is_ipv4 && it.type_u8() == 8;
                (0, 0, is_ping.then_some(ProbeKind::Ping))
            }
            Some(TransportSlice::Icmpv6(it)) => {
                let is_ping = !is_ipv4 && it.type_u8() == 128;
                (0, 0, is_ping.then_some(ProbeKind::Ping))
            }
            Some(TransportSlice::Igmp(_)) | None => return None,
        };
        let kind = kind.filter(|_| !is_for_many);
        Some(kind.map(|kind| (source, from, target, to, kind)))
    }

    #[test]
    fn what_is_whole_is_read_as_another_parser_reads_it() {
        let three = std::cell::RefCell::new(Three::new(&FORGETFUL));
        let (whole, probes) = (Cell::new(0), Cell::new(0));
        throw(4000, &damaged(), |frame| {
            let outcome = three.borrow_mut().arrives(&frame);
            prop_assert_eq!(outcome.comes_in, !hides(&frame));
            if let Some(expected) = expected(&frame) {
                prop_assert_eq!(outcome.read, expected);
                whole.set(whole.get() + 1);
                probes.set(probes.get() + u32::from(expected.is_some()));
            }
            Ok(())
        });
        assert!(
            whole.get() > 500 && probes.get() > 300,
            "{whole:?} {probes:?}"
        );
        let three = three.into_inner();
        for trial in [&three.packet, &three.classifier] {
            let counted = trial.counters().expect("counters").inbound_contacts;
            // The classifier is not given what has no whole header, which is no contact.
            assert_eq!(counted, three.contacts);
        }
    }

    #[test]
    fn programs_agree_on_who_is_banned_whatever_they_are_sent() {
        let limits = InboundLimits {
            log: true,
            ..InboundLimits::DEFAULT
        };
        let three = std::cell::RefCell::new(Three::new(&limits));
        let dropped = Cell::new(0);
        // What has tags the programs in this process would not get to know.
        let untagged = damaged().prop_filter("no tags", |frame| is_untagged(frame));
        throw(1000, &untagged, |frame| {
            let outcome = three.borrow_mut().arrives(&frame);
            dropped.set(dropped.get() + u32::from(!outcome.comes_in));
            Ok(())
        });
        assert!(dropped.get() > 100, "{dropped:?}");
    }

    #[test]
    fn what_leaves_is_read_to_its_end_too() {
        let three = std::cell::RefCell::new(Three::new(&FORGETFUL));
        throw(2000, &damaged(), |frame| {
            three.borrow_mut().leaves(&frame);
            Ok(())
        });
    }

    /// The type of what a frame carries behind its tags, and that; found without the programs.
    fn carried(frame: &[u8]) -> Option<(u16, &[u8])> {
        let mut at = 12;
        let word = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
        for _ in 0..2 {
            if [0x8100, 0x88a8].contains(&word(at)?) {
                at += 4;
            }
        }
        Some((word(at)?, frame.get(at + 2..)?))
    }

    /// Whether a packet of IPv6 for one host hides its transport protocol: behind more than eight extensions, or in a later fragment
    /// than the first.
    fn hides(frame: &[u8]) -> bool {
        let Some((0x86dd, ip)) = carried(frame) else {
            return false;
        };
        if ip.len() < 40 || ip[0] >> 4 != 6 || ip[24] == 0xff {
            return false;
        }
        let (mut next, mut at, mut is_first) = (ip[6], 40, false);
        for extensions in 0.. {
            let is_extension = [0, 43, 44, 51, 60].contains(&next);
            if is_extension && extensions == 8 {
                return true;
            }
            let header = ip.get(at..at + 8);
            let (Some(header), true) = (header, is_extension) else {
                return is_first && header.is_none();
            };
            let length = usize::from(header[1]);
            at += match next {
                44 => 8,
                51 => (length + 2) * 4,
                _ => (length + 1) * 8,
            };
            if next == 44 {
                if header[2] != 0 || header[3] & 0xf8 != 0 {
                    return false;
                }
                is_first = header[3] & 1 == 1;
            }
            next = header[0];
        }
        false
    }

    /// Where a frame of IP comes from, as far as it can be read.
    fn source(frame: &[u8]) -> Option<IpAddr> {
        let (kind, ip) = carried(frame)?;
        match (kind, ip.first()? >> 4) {
            (0x0800, 4) if ip.len() >= 20 => {
                let octets: [u8; 4] = ip[12..16].try_into().expect("4 bytes");
                Some(octets.into())
            }
            (0x86dd, 6) if ip.len() >= 40 => {
                let octets: [u8; 16] = ip[8..24].try_into().expect("16 bytes");
                Some(IpAddr::from(octets).to_canonical())
            }
            _ => None,
        }
    }

    #[test]
    fn where_all_is_banned_just_what_is_in_the_never_list_comes_in() {
        let three = std::cell::RefCell::new(Three::new(&InboundLimits::DEFAULT));
        for trial in [&three.borrow().packet, &three.borrow().classifier] {
            let mut bans = trial.bans(64).expect("maps");
            for net in ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"] {
                let net = net.parse().expect("a prefix");
                bans.put(net, None, BanStrength::Full).expect("room");
            }
            let key = [&120_u32.to_ne_bytes()[..], &[0; 10], &[0xff; 2], &OWN].concat();
            trial.put("inbound_never", &key, &[1]).expect("room");
        }
        let (spared, dropped) = (Cell::new(0), Cell::new(0));
        throw(2000, &damaged(), |frame| {
            let mut three = three.borrow_mut();
            let answer = three.packet.run("on_inbound_packet", &frame);
            let answer = answer.expect("it runs");
            if let Ok(other) = three.classifier.run("on_inbound_frame", &frame) {
                prop_assert_eq!(answer == 1, other == 2);
            }
            let is_never = |source: IpAddr| match source {
                IpAddr::V4(address) => address.octets()[..3] == OWN[..3],
                IpAddr::V6(_) => false,
            };
            match source(&frame) {
                Some(source) if is_never(source) => {
                    prop_assert_eq!(answer, 2);
                    spared.set(spared.get() + 1);
                }
                Some(_) => {
                    prop_assert_eq!(answer, 1);
                    dropped.set(dropped.get() + 1);
                }
                None => prop_assert_eq!(answer, 2),
            }
            Ok(())
        });
        assert!(
            spared.get() > 300 && dropped.get() > 300,
            "{spared:?} {dropped:?}"
        );
    }

    #[test]
    fn a_frame_may_be_cut_at_any_byte() {
        let mut three = Three::new(&FORGETFUL);
        for whole in all() {
            let read = (whole.len() > 14).then(|| three.arrives(&whole).read);
            for cut in 15..whole.len() {
                let outcome = three.arrives(&whole[..cut]);
                assert_eq!(outcome.comes_in, !hides(&whole[..cut]), "{cut}");
                // What is left says what the whole did, or nothing.
                if let Some(part) = outcome.read {
                    assert_eq!(Some(Some(part)), read, "{cut} of {whole:?}");
                }
                three.leaves(&whole[..cut]);
            }
        }
    }

    #[test]
    fn long_headers_hide_nothing() {
        let port = |frame: &[u8]| {
            let read = Three::new(&FORGETFUL).arrives(frame).read;
            read.map(|(_, _, _, port, kind)| (port, kind))
        };
        let syn = Some((443, ProbeKind::Syn));
        assert_eq!(port(&with_all_options()), syn);
        assert_eq!(port(&jumbo()), syn);
        let all = frames();
        assert_eq!(port(&tagged(&[0x8100], &all[3])), syn);
        assert_eq!(port(&tagged(&[0x88a8, 0x8100], &all[19])), syn);
        // Three tags are more than a host takes; nine extensions are not, so they do not come in.
        assert_eq!(port(&all[20]), None);
        assert!(hides(&all[20]));
        assert_eq!(port(&tagged(&[0x8100; 3], &all[3])), None);
        let fragment = ipv4(TCP, 0x2000, b"", &tcp(SYN, b"")[..8]);
        assert_eq!(port(&fragment), Some((443, ProbeKind::Fragment)));
    }
}
