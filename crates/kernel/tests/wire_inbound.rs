//! Bytes of the ring of the guard `inbound`: whatever they are, an event or an error comes of them.

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv6Addr};

    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::wire::{WireError, decode};
    use hayward_model::{
        Event, InboundContact, InboundEvent, InboundEvidence, InboundLimit, InboundVerdict,
        ProbeKind, ScanShape, canonical, mapped,
    };
    use ipnet::Ipv6Net;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// `struct inbound_event`, and `struct inbound_contact_event`.
    const EVENT_BYTES: usize = 104 + CONTACTS * 8;
    const CONTACT_BYTES: usize = 64;
    const CONTACTS: usize = 16;
    const VERDICTS: [InboundVerdict; 6] = [
        InboundVerdict::Banned,
        InboundVerdict::SoftBanned,
        InboundVerdict::Observed,
        InboundVerdict::Spared,
        InboundVerdict::NoRoom,
        InboundVerdict::Decoys,
    ];
    const LIMITS: [InboundLimit; 4] = [
        InboundLimit::Unanswered,
        InboundLimit::Failures,
        InboundLimit::Ports,
        InboundLimit::Distributed,
    ];

    fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
        bytes[at..at + field.len()].copy_from_slice(field);
    }

    fn number<T: PartialEq>(of: &[T], one: &T) -> u32 {
        let at = of.iter().position(|other| other == one);
        u32::try_from(at.expect("one of these")).expect("few")
    }

    fn octets(address: IpAddr) -> [u8; 16] {
        mapped(address).octets()
    }

    /// What `tell_inbound` does. Of contacts, those beyond the ports are not in use.
    fn encode(event: &InboundEvent) -> Vec<u8> {
        let mut bytes = vec![0; EVENT_BYTES];
        let about = &event.evidence;
        let kinds = about.kinds.iter();
        let kinds = kinds.fold(0, |bits, kind| bits | 1 << number(&ProbeKind::ALL, kind));
        let ipv4 = if about.source.addr().is_ipv4() { 96 } else { 0 };
        for (at, word) in [
            (0, 8),
            (4, number(&VERDICTS, &event.verdict) + 1),
            (64, u32::from(about.source.prefix_len() + ipv4)),
            (68, event.device),
            (72, number(&LIMITS, &about.limit) + 1),
            (76, kinds),
            (80, about.contacts),
            (84, about.answered),
            (88, about.failed),
            (92, about.proven.into()),
            (96, about.decoys.into()),
            (100, about.sources.unwrap_or(0)),
        ] {
            put(&mut bytes, at, &word.to_ne_bytes());
        }
        let lasted = about.milliseconds * 1_000_000;
        for (at, word) in [(8, event.boot_ns), (16, lasted), (24, event.banned_ns)] {
            put(&mut bytes, at, &word.to_ne_bytes());
        }
        put(&mut bytes, 32, &octets(about.source.addr()));
        put(&mut bytes, 48, &octets(about.target));
        for (at, port) in about.ports.iter().enumerate() {
            put(&mut bytes, 104 + at * 8, &port.to_ne_bytes());
            let host = match about.shape {
                ScanShape::Vertical => 7,
                ScanShape::Horizontal | ScanShape::Block => u16::try_from(at).expect("few"),
            };
            put(&mut bytes, 104 + at * 8 + 2, &host.to_ne_bytes());
            bytes[104 + at * 8 + 4] = 6;
        }
        bytes
    }

    /// What `log_inbound` does.
    fn encode_contact(contact: &InboundContact) -> Vec<u8> {
        let mut bytes = vec![0; CONTACT_BYTES];
        for (at, word) in [
            (0, 9),
            (4, number(&ProbeKind::ALL, &contact.kind)),
            (48, contact.source_port.into()),
            (52, contact.port.into()),
            (56, contact.device),
        ] {
            put(&mut bytes, at, &word.to_ne_bytes());
        }
        put(&mut bytes, 8, &contact.boot_ns.to_ne_bytes());
        put(&mut bytes, 16, &octets(contact.source));
        put(&mut bytes, 32, &octets(contact.target));
        bytes
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(|octets| IpAddr::from(octets).to_canonical()),
        ]
    }

    fn event() -> impl Strategy<Value = InboundEvent> {
        let who = (address(), 0..=128u8, address());
        let how = (
            select(VERDICTS.as_slice()),
            select(LIMITS.as_slice()),
            proptest::sample::subsequence(ProbeKind::ALL.as_slice(), 0..=9),
            proptest::collection::btree_set(any::<u16>(), 0..=CONTACTS),
            any::<[bool; 3]>(),
        );
        let numbers = (any::<[u64; 2]>(), 0..1u64 << 40, any::<[u32; 5]>());
        (who, how, numbers).prop_map(|(who, how, numbers)| {
            let (address, length, target) = who;
            let (verdict, limit, kinds, ports, [proven, decoys, many]) = how;
            let ([boot_ns, banned_ns], milliseconds, words) = numbers;
            let [device, contacts, answered, failed, sources] = words;
            let length = if address.is_ipv4() {
                length.max(96)
            } else {
                length
            };
            let source = Ipv6Net::new(mapped(address), length).expect("a prefix");
            InboundEvent {
                boot_ns,
                verdict,
                device,
                banned_ns,
                evidence: InboundEvidence {
                    source: canonical(source),
                    target,
                    limit,
                    kinds,
                    shape: if many && ports.len() > 1 {
                        ScanShape::Block
                    } else {
                        ScanShape::Vertical
                    },
                    contacts,
                    answered,
                    failed,
                    ports: ports.into_iter().collect(),
                    milliseconds,
                    proven,
                    decoys,
                    sources: (sources > 0).then_some(sources),
                    interface: None,
                },
            }
        })
    }

    fn contact() -> impl Strategy<Value = InboundContact> {
        let ends = (address(), any::<u16>(), address(), any::<u16>());
        let rest = (
            any::<u64>(),
            any::<u32>(),
            select(ProbeKind::ALL.as_slice()),
        );
        (ends, rest).prop_map(|(ends, (boot_ns, device, kind))| {
            let (source, source_port, target, port) = ends;
            InboundContact {
                boot_ns,
                source,
                source_port,
                target,
                port,
                kind,
                device,
            }
        })
    }

    #[test]
    fn a_scan_comes_out_as_it_was_put_in_and_cut_it_is_an_error() {
        throw(500, &event(), |event| {
            let bytes = encode(&event);
            prop_assert_eq!(decode(&bytes), Ok(Event::Inbound(event)));
            for cut in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..cut]), Err(WireError::TooShort(cut)));
            }
            Ok(())
        });
    }

    #[test]
    fn a_first_contact_comes_out_as_it_was_put_in_and_cut_it_is_an_error() {
        throw(500, &contact(), |contact| {
            let bytes = encode_contact(&contact);
            prop_assert_eq!(decode(&bytes), Ok(Event::InboundContact(contact)));
            // Behind the device there is nothing that is read.
            for cut in 0..CONTACT_BYTES - 4 {
                prop_assert_eq!(decode(&bytes[..cut]), Err(WireError::TooShort(cut)));
            }
            Ok(())
        });
    }

    /// What is read is no more than there was, and says so again.
    fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
        match decode(bytes) {
            Ok(Event::Inbound(event)) => {
                let about = &event.evidence;
                prop_assert!(bytes.len() >= EVENT_BYTES);
                prop_assert!(about.ports.len() <= CONTACTS);
                prop_assert!(about.ports.is_sorted() && about.kinds.is_sorted());
                prop_assert_ne!(about.sources, Some(0));
                prop_assert!(about.source.prefix_len() <= about.source.max_prefix_len());
            }
            Ok(Event::InboundContact(contact)) => {
                prop_assert!(bytes.len() >= CONTACT_BYTES - 4);
                let again = encode_contact(&contact);
                prop_assert_eq!(&again[..8], &bytes[..8]);
                prop_assert_eq!(&again[48..60], &bytes[48..60]);
            }
            _ => {}
        }
        Ok(())
    }

    #[test]
    fn damaged_ones_never_panic_and_what_is_read_was_there() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut inputs = Vec::new();
        for _ in 0..10 {
            let tree = event().new_tree(&mut runner).expect("an event");
            inputs.push(encode(&proptest::strategy::ValueTree::current(&tree)));
            let tree = contact().new_tree(&mut runner).expect("a contact");
            inputs.push(encode_contact(&proptest::strategy::ValueTree::current(
                &tree,
            )));
        }
        let words = [0_u32, 1, 6, 7, 8, 9, 96, 128, 129, 65_535, 65_536, u32::MAX];
        let words = words.map(u32::to_ne_bytes);
        throw(2000, &Corpus::new(inputs, words).damaged(), |input| {
            holds(&input.0)
        });
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        let bytes = (vec(any::<u8>(), 0..400), 8..10u32, 0..10u32, 0..6u32);
        throw(2000, &bytes, |(mut bytes, kind, second, limit)| {
            if bytes.len() >= EVENT_BYTES {
                put(&mut bytes, 64, &(96 + second).to_ne_bytes());
                put(&mut bytes, 72, &limit.to_ne_bytes());
            }
            if bytes.len() >= 8 {
                put(&mut bytes, 0, &kind.to_ne_bytes());
                put(&mut bytes, 4, &second.to_ne_bytes());
            }
            holds(&bytes)
        });
    }

    #[test]
    fn what_this_version_does_not_know_is_an_error() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let tree = event().new_tree(&mut runner).expect("an event");
        let whole = encode(&proptest::strategy::ValueTree::current(&tree));
        for (at, value, expected) in [
            (4, 0_u32, WireError::UnknownVerdict(0)),
            (4, 7, WireError::UnknownVerdict(7)),
            (72, 0, WireError::UnknownType(0)),
            (72, 5, WireError::UnknownType(5)),
            (64, 129, WireError::BadLength("source")),
            (64, 256 + 64, WireError::BadLength("source")),
        ] {
            let mut bytes = whole.clone();
            put(&mut bytes, at, &value.to_ne_bytes());
            assert_eq!(decode(&bytes), Err(expected), "{value} at {at}");
        }
        let contact = InboundContact {
            boot_ns: 1,
            source: Ipv6Addr::LOCALHOST.into(),
            source_port: 1,
            target: Ipv6Addr::LOCALHOST.into(),
            port: 2,
            kind: ProbeKind::Syn,
            device: 1,
        };
        for (at, value, expected) in [
            (4, 9_u32, WireError::UnknownType(9)),
            (48, 65_536, WireError::BadLength("port")),
            (52, u32::MAX, WireError::BadLength("port")),
        ] {
            let mut bytes = encode_contact(&contact);
            put(&mut bytes, at, &value.to_ne_bytes());
            assert_eq!(decode(&bytes), Err(expected), "{value} at {at}");
        }
    }
}
