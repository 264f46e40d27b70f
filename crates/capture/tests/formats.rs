//! Captures are read in every format, byte order and kind of link, as far as they go.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod tape;

#[cfg(test)]
mod tests {
    use hayward_capture::{CaptureError, Inside, Reader, any_inside};
    use hayward_fuzz::{Corpus, throw};
    use proptest::prelude::*;

    use crate::tape::{ACK, BEGIN, Link, SYN, Shape, Tape, USUAL};

    fn shapes() -> impl Iterator<Item = Shape> {
        let flags = (0..8).map(|bits| (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0));
        flags.flat_map(|(big, pcapng, ns)| {
            Link::ALL.into_iter().map(move |link| Shape {
                link,
                big,
                pcapng,
                ns,
                ..USUAL
            })
        })
    }

    fn tape() -> Tape {
        let mut tape = Tape::new();
        tape.open("10.0.0.1:4000", "192.0.2.1:80");
        tape.udp("[fd00::1]:4000", "[2001:db8::1]:53", b"question");
        tape
    }

    /// Times and lengths of all packets, and what ended the reading.
    fn read(file: &[u8]) -> (Vec<(u64, u32)>, Option<CaptureError>) {
        let mut packets = Vec::new();
        let mut reader = match Reader::new(file) {
            Ok(reader) => reader,
            Err(error) => return (packets, Some(error)),
        };
        loop {
            match reader.next() {
                Ok(Some(record)) => packets.push((record.at, record.length)),
                Ok(None) => return (packets, None),
                Err(error) => return (packets, Some(error)),
            }
        }
    }

    #[test]
    fn every_shape_of_file_has_the_same_packets_at_the_same_times() {
        let tape = tape();
        for shape in shapes() {
            let file = tape.file(shape);
            let (packets, error) = read(&file);
            assert!(error.is_none(), "{shape:?}: {error:?}");
            let times: Vec<u64> = packets.iter().map(|(at, _)| *at).collect();
            let expected: Vec<u64> = (0..4).map(|ms| BEGIN + ms * 1_000_000).collect();
            assert_eq!(times, expected, "{shape:?}");
            let mut reader = Reader::new(&*file).expect("a capture");
            let own = Inside::of(["fd00::1/128".parse().expect("a prefix")]);
            // The last packet is the only one: the packet itself was found, on every kind of link.
            assert!(any_inside(&own, &mut reader), "{shape:?}");
        }
    }

    #[test]
    fn what_a_snap_length_cut_off_is_known_to_be_missing() {
        let mut tape = Tape::new();
        tape.tcp("10.0.0.1:4000", "192.0.2.1:80", ACK, 1, &[7; 900]);
        for pcapng in [false, true] {
            let shape = Shape {
                pcapng,
                snap: 68,
                ..USUAL
            };
            let file = tape.file(shape);
            let mut reader = Reader::new(&*file).expect("a capture");
            let record = reader.next().expect("a packet").expect("a packet");
            assert_eq!((record.bytes.len(), record.length), (68, 954));
        }
    }

    #[test]
    fn a_file_that_ends_too_early_is_read_as_far_as_it_goes() {
        for shape in shapes() {
            let whole = tape();
            let file = whole.file(shape);
            let mut shorter = whole.clone();
            shorter.packets.pop();
            let (all, _) = read(&file);
            // Wherever in the last packet, or before it, the file ends.
            for end in shorter.file(shape).len() + 1..file.len() {
                let (packets, error) = read(&file[..end]);
                assert_eq!(packets, all[..3], "{shape:?}");
                let error = error.expect("it ends within a packet").to_string();
                let expected = format!("ends within packet 4, at byte {end}");
                assert_eq!(error, expected, "{shape:?}");
            }
        }
    }

    #[test]
    fn what_is_no_capture_or_damaged_is_refused_and_said_where() {
        for (file, said) in [
            (&b""[..], "is no capture: it has fewer than four bytes"),
            (b"\x1f\x8b\x08\0", "is no capture: it is compressed"),
            (
                b"GET / HTTP/1.1",
                "is no capture: it begins neither as pcap nor as pcapng does",
            ),
            (
                b"\xd4\xc3\xb2\xa1\x02\0",
                "is no capture: it ends within its header",
            ),
        ] {
            let (_, error) = read(file);
            assert_eq!(error.expect("an error").to_string(), said);
        }
        let mut file = tape().file(USUAL);
        file[24 + 8..24 + 12].copy_from_slice(&9_999_999_u32.to_le_bytes());
        let (packets, error) = read(&file);
        assert!(packets.is_empty());
        assert_eq!(
            error.expect("an error").to_string(),
            "is damaged before packet 1, at byte 40: it would have 9999999 bytes"
        );
        let shape = Shape {
            pcapng: true,
            ..USUAL
        };
        let mut file = tape().file(shape);
        let last = file.len() - 4;
        file[last] ^= 4;
        let (packets, error) = read(&file);
        assert_eq!(packets.len(), 3);
        let said = error.expect("an error").to_string();
        assert!(
            said.starts_with("is damaged before packet 4, at byte"),
            "{said}"
        );
        assert!(said.contains("ends as one of"), "{said}");
    }

    #[test]
    fn sections_and_interfaces_have_units_offsets_and_orders_of_their_own() {
        let shape = |big, ns, link| Shape {
            big,
            ns,
            link,
            pcapng: true,
            ..USUAL
        };
        let tape = tape();
        let two = [
            tape.file(shape(true, true, Link::Raw)),
            tape.file(shape(false, false, Link::Cooked)),
        ];
        let (packets, error) = read(&two.concat());
        assert!(error.is_none());
        assert_eq!(packets.len(), 8);
        assert_eq!(packets[0].0, packets[4].0);
        // `if_tsresol` of 2^-10, `if_tsoffset` of -3 s, by hand.
        let block = |kind: u32, body: &[u8]| {
            let length = u32::try_from(body.len() + 12)
                .expect("it fits")
                .to_le_bytes();
            [&kind.to_le_bytes()[..], &length, body, &length].concat()
        };
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let options = [
            &[9, 0, 1, 0, 0x8a, 0, 0, 0, 14, 0, 8, 0][..],
            &(-3_i64).to_le_bytes(),
            &[0; 4],
        ];
        let file = [
            block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, !0, !0])),
            block(1, &[&words(&[101, 0])[..], &options.concat()].concat()),
            block(6, &words(&[0, 0, 5 * 1024 + 512, 4, 4, 0x45])),
            // A simple one has no time of its own, and an old one its interface in two bytes.
            block(3, &words(&[4, 0x45])),
            block(2, &words(&[0, 0, 8 * 1024, 4, 9, 0x45])),
        ];
        let (packets, error) = read(&file.concat());
        assert!(error.is_none(), "{error:?}");
        let expected = [(2_500_000_000, 4), (2_500_000_000, 4), (5_000_000_000, 9)];
        assert_eq!(packets, expected);
    }

    #[test]
    fn reading_a_damaged_capture_never_panics() {
        let mut tape = tape();
        tape.tcp("10.0.0.1:4000", "192.0.2.1:80", SYN, 1, b"");
        let files = shapes().map(|shape| tape.file(shape));
        let words: [&[u8]; 3] = [&[255; 4], &[0x0a, 0x0d, 0x0d, 0x0a], &[0, 0, 4, 0]];
        throw(400, &Corpus::new(files, words).damaged(), |input| {
            let (packets, _) = read(&input.0);
            prop_assert!(packets.len() <= input.0.len());
            Ok(())
        });
    }
}
