//! Bytes of the ring: whatever they are, an event or an error comes of them.

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::wire::{WireError, decode};
    use hayward_model::{
        ContactEvent, Destination, Event, ExecEvent, KernelVerdict, RoundingEvent, RoundingSample,
        Sender, UnscannedCause,
    };
    use proptest::{collection::vec, prelude::*};

    const PATH_BYTES: usize = 512;
    const CUT: &str = "\u{2026}";
    const WINDOW_BYTES: usize = 128;
    const CGROUP_BYTES: usize = 512;
    const FIXED_BYTES: usize = 100 + PATH_BYTES + CGROUP_BYTES + WINDOW_BYTES;

    /// What the kernel programs do, after `struct exec_event` of `bpf/layout.h`.
    fn encode(event: &ExecEvent) -> Vec<u8> {
        let mut bytes = vec![0; FIXED_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        let verdict: u32 = match event.verdict {
            KernelVerdict::Killed => 1,
            KernelVerdict::Observed => 2,
            KernelVerdict::Spared => 3,
            KernelVerdict::Answered => 6,
            KernelVerdict::Unscanned(UnscannedCause::TooLong) => 4,
            KernelVerdict::Unscanned(UnscannedCause::ReadFailed) => 5,
        };
        let cgroup = names(event.cgroup.as_deref().unwrap_or_default());
        let cut = if event.cgroup.is_none() { 4 } else { 0 };
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("short");
        for (at, field) in [
            (0, 1),
            (4, verdict),
            (32, event.generation),
            (36, event.pid),
            (40, event.parent_pid),
            (44, event.uid),
            (48, event.rule.unwrap_or(u32::MAX)),
            (52, u32::from(event.fileless) | cut),
            (56, event.command_line_bytes),
            (60, event.match_end),
            (64, length(&event.executable)),
            (68, length(&event.match_window)),
            (72, length(&event.command_line)),
            (76, event.unscanned.map_or(0, cause_number)),
            (80, length(&cgroup)),
        ] {
            put(at, &field.to_ne_bytes());
        }
        put(8, &event.boot_ns.to_ne_bytes());
        put(16, &event.start_boot_ns.to_ne_bytes());
        put(24, &event.cgroup_id.to_ne_bytes());
        put(84, event.comm.as_bytes());
        // Paths are written from the end of their field backwards.
        let path_end = 100 + PATH_BYTES;
        put(path_end - event.executable.len(), &event.executable);
        put(path_end, &cgroup);
        put(FIXED_BYTES - WINDOW_BYTES, &event.match_window);
        bytes.extend_from_slice(&event.command_line);
        bytes
    }

    /// The names in a cgroup's path, the last one first, as `write_cgroup_path` has them.
    fn names(path: &str) -> Vec<u8> {
        let names = path.rsplit('/').filter(|name| !name.is_empty());
        names
            .flat_map(|name| [name.as_bytes(), b"\0"].concat())
            .collect()
    }

    fn cause_number(cause: UnscannedCause) -> u32 {
        match cause {
            UnscannedCause::TooLong => 4,
            UnscannedCause::ReadFailed => 5,
        }
    }

    /// Arguments as readers see them: joined by spaces, no NUL inside.
    fn joined(most: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(1..=255u8, 0..=most)
    }

    fn event() -> impl Strategy<Value = ExecEvent> {
        let verdict = prop_oneof![
            Just(KernelVerdict::Killed),
            Just(KernelVerdict::Observed),
            Just(KernelVerdict::Spared),
            Just(KernelVerdict::Answered),
            Just(KernelVerdict::Unscanned(UnscannedCause::TooLong)),
            Just(KernelVerdict::Unscanned(UnscannedCause::ReadFailed)),
        ];
        let bytes = (
            vec(any::<u8>(), 0..=PATH_BYTES),
            joined(4096),
            joined(WINDOW_BYTES),
            "[^\0]{0,5}",
            proptest::option::of("/|(/[a-zé.-]{1,20}){1,12}"),
        );
        let numbers = (
            any::<[u64; 3]>(),
            any::<[u32; 6]>(),
            proptest::option::of(0..u32::MAX),
            any::<bool>(),
            proptest::sample::select(vec![
                None,
                Some(UnscannedCause::TooLong),
                Some(UnscannedCause::ReadFailed),
            ]),
        );
        (verdict, bytes, numbers).prop_map(|(verdict, bytes, numbers)| {
            let (executable, command_line, match_window, comm, cgroup) = bytes;
            let ([boot_ns, start_boot_ns, cgroup_id], words, rule, fileless, unscanned) = numbers;
            let [
                generation,
                pid,
                parent_pid,
                uid,
                command_line_bytes,
                match_end,
            ] = words;
            let comm: String = comm
                .chars()
                .scan(0, |length, c| {
                    *length += c.len_utf8();
                    (*length <= 15).then_some(c)
                })
                .collect();
            ExecEvent {
                boot_ns,
                generation,
                pid,
                parent_pid,
                start_boot_ns,
                uid,
                cgroup_id,
                cgroup,
                verdict,
                rule,
                comm,
                executable,
                command_line,
                command_line_bytes,
                match_end,
                match_window,
                fileless,
                unscanned,
            }
        })
    }

    /// What `send_rounding` does, after `struct rounding_event`.
    fn encode_rounding(event: &RoundingEvent) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [2, u32::try_from(event.samples.len()).expect("few")] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [
            event.thread_start_boot_ns,
            event.start_boot_ns,
            event.cgroup_id,
        ] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [event.thread, event.pid, event.parent_pid, event.uid] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(event.comm.as_bytes());
        bytes.resize(64, 0);
        for sample in &event.samples {
            let flush = if sample.flush { 4 } else { 0 };
            let word = sample.boot_ns << 3 | flush | u64::from(sample.mode);
            bytes.extend(word.to_ne_bytes());
        }
        bytes.resize(128, 0);
        for sample in &event.samples {
            bytes.extend(sample.ran_ns.to_ne_bytes());
        }
        bytes.resize(192, 0);
        bytes
    }

    fn rounding() -> impl Strategy<Value = RoundingEvent> {
        let sample = (0..1u64 << 61, any::<u64>(), 0..4u8, any::<bool>());
        let sample = sample.prop_map(|(boot_ns, ran_ns, mode, flush)| RoundingSample {
            boot_ns,
            ran_ns,
            mode,
            flush,
        });
        let numbers = (any::<[u64; 3]>(), any::<[u32; 4]>());
        (numbers, "[a-z]{0,15}", vec(sample, 0..=8)).prop_map(|(numbers, comm, samples)| {
            let ([thread_start_boot_ns, start_boot_ns, cgroup_id], words) = numbers;
            let [thread, pid, parent_pid, uid] = words;
            RoundingEvent {
                thread,
                thread_start_boot_ns,
                pid,
                parent_pid,
                start_boot_ns,
                uid,
                cgroup_id,
                comm,
                samples,
            }
        })
    }

    #[test]
    fn rounding_comes_out_as_it_was_put_in_and_too_many_samples_are_an_error() {
        throw(300, &rounding(), |event| {
            let mut bytes = encode_rounding(&event);
            prop_assert_eq!(decode(&bytes), Ok(Event::Rounding(event)));
            for cut in 0..64 {
                prop_assert!(decode(&bytes[..cut]).is_err());
            }
            bytes[4] = 9;
            prop_assert_eq!(decode(&bytes), Err(WireError::BadLength("samples")));
            Ok(())
        });
    }

    #[test]
    fn a_path_whose_front_is_missing_says_so() {
        throw(100, &event(), |event| {
            let mut bytes = encode(&event);
            bytes[52] |= 2;
            let executable = [CUT.as_bytes(), &event.executable].concat();
            let event = ExecEvent {
                executable,
                ..event
            };
            prop_assert_eq!(decode(&bytes), Ok(Event::Exec(event)));
            Ok(())
        });
    }

    #[test]
    fn an_event_comes_out_as_it_was_put_in() {
        throw(300, &event(), |event| {
            prop_assert_eq!(decode(&encode(&event)), Ok(Event::Exec(event)));
            Ok(())
        });
    }

    #[test]
    fn a_truncated_event_is_an_error_wherever_it_is_cut() {
        throw(
            300,
            &(event(), any::<prop::sample::Index>()),
            |(event, cut)| {
                let bytes = encode(&event);
                let cut = cut.index(bytes.len());
                let decoded = decode(&bytes[..cut]);
                prop_assert!(
                    matches!(
                        decoded,
                        Err(WireError::TooShort(length)) if length == cut
                    ) || decoded == Err(WireError::BadLength("line")),
                    "{:?}",
                    decoded
                );
                Ok(())
            },
        );
    }

    /// No field is longer than what it was read from, so that a lie about a length takes no memory.
    fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(Event::Exec(event)) = decode(bytes) {
            prop_assert!(event.executable.len() <= PATH_BYTES + CUT.len());
            prop_assert!(event.match_window.len() <= WINDOW_BYTES);
            // What is no UTF-8 grows from one byte to three.
            let cgroup = event.cgroup.unwrap_or_default();
            prop_assert!(cgroup.len() <= 3 * CGROUP_BYTES && !cgroup.contains('\0'));
            prop_assert!(event.command_line.len() <= bytes.len() - FIXED_BYTES);
            prop_assert!(!event.command_line.contains(&0));
            prop_assert!(!event.comm.contains('\0'));
        }
        Ok(())
    }

    /// What `tell` of the guard `pool` does, after `struct pool_event`.
    fn encode_pool(dialect: u32, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 224];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        let length = u32::try_from(message.len()).expect("short");
        for (at, field) in [
            (0, 6),
            (4, 1),
            (44, dialect),
            (52, 3333),
            (88, length),
            (92, 6),
        ] {
            put(at, &u32::to_ne_bytes(field));
        }
        put(66, &[0xff, 0xff, 192, 0, 2, 7]);
        put(72, b"miner");
        put(96, message);
        bytes
    }

    #[test]
    fn a_connection_of_a_pool_comes_out_as_it_was_put_in_and_a_question_as_its_name() {
        let decoded = |dialect, message: &[u8]| match decode(&encode_pool(dialect, message)) {
            Ok(Event::Pool(event)) => Some(event),
            _ => None,
        };
        let event = decoded(1, b"{}").expect("an event");
        assert!(
            event.sender.denied
                && event.sent
                && event.message == b"{}"
                && event.sender.comm == "miner"
        );
        assert_eq!(event.sender.destination.to_string(), "tcp 192.0.2.7:3333");
        let name = |question: &[u8]| decoded(9, question).map(|event| event.message);
        assert_eq!(name(b"\x04pool\x03org\0\0\x01"), Some(b"pool.org".to_vec()));
        assert_eq!(name(b"\x04pool\x3for"), Some(b"pool.or".to_vec()));
        assert_eq!(name(b""), Some(Vec::new()));
        assert!(decoded(0, b"").is_none() && decoded(10, b"").is_none());
        let mut bytes = encode_pool(1, &[0; 128]);
        assert!(decode(&bytes).is_ok() && decode(&bytes[..223]).is_err());
        bytes[88] = 129;
        assert_eq!(decode(&bytes), Err(WireError::BadLength("message")));
    }

    /// What `log_contact` of the guard `outbound` does, after `struct contact_event`.
    fn encode_contact(destination: &Destination, protocol: u32, words: [u64; 4]) -> Vec<u8> {
        let [boot_ns, cgroup, start, workload] = words;
        let mut bytes = vec![0; 88];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        let port = u32::from(destination.port.unwrap_or(0));
        for (at, word) in [
            (0, 7),
            (4, protocol),
            (32, 41),
            (36, 40),
            (40, 1000),
            (44, port),
        ] {
            put(at, &u32::to_ne_bytes(word));
        }
        for (at, word) in [(8, boot_ns), (16, cgroup), (24, start), (80, workload)] {
            put(at, &u64::to_ne_bytes(word));
        }
        let address = match destination.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        put(48, &address.octets());
        put(64, b"python3");
        bytes
    }

    #[test]
    fn a_contact_comes_out_as_it_was_put_in_and_cut_it_is_an_error() {
        let destination = |address: &str, port, protocol: &str| Destination {
            address: address.parse().expect("an address"),
            port,
            protocol: protocol.to_owned(),
        };
        for (destination, protocol) in [
            (destination("192.0.2.7", Some(22), "tcp"), 6),
            (destination("2001:db8::1", Some(53), "udp"), 17),
            (destination("2001:db8::1", None, "icmpv6"), 58),
            (destination("192.0.2.7", None, "47"), 47),
        ] {
            let bytes = encode_contact(&destination, protocol, [1, u64::MAX, 3, 4]);
            let sender = Sender {
                boot_ns: 1,
                cgroup_id: u64::MAX,
                pid: 41,
                parent_pid: 40,
                start_boot_ns: 3,
                uid: 1000,
                comm: "python3".to_owned(),
                denied: false,
                destination,
            };
            let event = ContactEvent {
                sender,
                workload: 4,
            };
            assert_eq!(decode(&bytes), Ok(Event::Contact(event)));
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), Err(WireError::TooShort(cut)));
            }
        }
    }

    #[test]
    fn damaged_contacts_never_panic_and_what_is_read_was_there() {
        let destination = Destination {
            address: IpAddr::from([192, 0, 2, 7]),
            port: Some(22),
            protocol: "tcp".to_owned(),
        };
        let whole = encode_contact(&destination, 6, [1, 2, 3, 4]);
        let words = [0_u32, 7, 8, 65_535, 65_536, u32::MAX].map(u32::to_ne_bytes);
        throw(1000, &Corpus::new([whole], words).damaged(), |input| {
            if let Ok(Event::Contact(contact)) = decode(&input.0) {
                prop_assert!(input.0.len() >= 88);
                prop_assert!(contact.sender.comm.len() <= 3 * 16);
                prop_assert_ne!(contact.sender.destination.port, Some(0));
            }
            Ok(())
        });
    }

    #[test]
    fn decoding_damaged_events_never_panics() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let inputs: Vec<Vec<u8>> = (0..20)
            .map(|_| {
                let tree = event().new_tree(&mut runner).expect("an event");
                encode(&proptest::strategy::ValueTree::current(&tree))
            })
            .collect();
        let words = [0u32, 1, 127, 128, 129, 512, 513, u32::MAX].map(u32::to_ne_bytes);
        throw(1000, &Corpus::new(inputs, words).damaged(), |input| {
            holds(&input.0)
        });
    }

    #[test]
    fn decoding_arbitrary_bytes_never_panics() {
        // Behind a header that is right, so that most of it is read as fields.
        let bytes = (vec(any::<u8>(), 0..2500), 0..10u32, 0..7u32);
        throw(1000, &bytes, |(mut bytes, kind, verdict)| {
            if kind > 0 && bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&kind.to_ne_bytes());
                bytes[4..8].copy_from_slice(&verdict.to_ne_bytes());
            }
            holds(&bytes)
        });
    }
}
