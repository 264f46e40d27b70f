//! What the guard `pool` reads, read in this process, where undefined behaviour in the C ends the test: messages, names and
//! questions, whole and damaged, in segments of any size. Root is not needed.

#[cfg(test)]
#[allow(unreachable_pub, reason = "other tests have this file too")]
mod messages;
#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod packet;

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::{Headers, Offline, OutboundLimits, Packet, Socket, SocketKind};
    use hayward_model::{Event, PoolDialect, PoolEvent};
    use proptest::{collection::vec, prelude::*, sample::select};

    use crate::{
        messages::{Value, asks_for_a_pool, damaged_questions, dialect, message, written},
        packet::{JSON, TCP, UDP, frames, ipv4, tcp, udp},
    };

    fn offline() -> Offline {
        let mut offline = Offline::new(&OutboundLimits::DEFAULT);
        offline.set_domains(["pool.example.org"]);
        assert!(offline.judge(7));
        offline
    }

    fn told(offline: &mut Offline) -> Vec<PoolEvent> {
        let events = offline
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Ok(Event::Pool(event)) => Some(event),
                Ok(Event::Outbound(_)) => None,
                other => panic!("neither: {other:?}"),
            });
        events.collect()
    }

    /// Has a workload say something on a connection of its own, in segments of these sizes, over and over.
    fn say(offline: &mut Offline, said: &[u8], sizes: &[usize]) -> Vec<PoolEvent> {
        let mut socket = Socket::new(SocketKind::Connected);
        let (mut rest, mut sequence) = (said, 9_u32);
        let mut sizes = sizes.iter().cycle();
        while !rest.is_empty() {
            let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
            let mut frame = ipv4(TCP, 0, b"", &tcp(16, &rest[..size]));
            frame[14 + 24..14 + 28].copy_from_slice(&sequence.to_be_bytes());
            let packet = Packet {
                bytes: &frame[14..],
                length: u32::try_from(frame.len() - 14).expect("it fits"),
            };
            offline.depart(1, 7, &mut socket, &packet);
            sequence += u32::try_from(size).expect("it fits");
            rest = &rest[size..];
        }
        told(offline)
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        prop_oneof![Just(vec![1460]), vec(1_usize..80, 1..6)]
    }

    #[test]
    fn a_message_is_of_the_dialect_that_rust_reads_in_it_wherever_segments_end() {
        let mut offline = offline();
        let offline = std::cell::RefCell::new(&mut offline);
        let found = std::cell::Cell::new(0);
        let spaces = select(vec!["", " ", "\r\n\t"]);
        throw(
            600,
            &(message(), spaces, sizes()),
            |(message, space, sizes)| {
                let text = written(&Value::Object(message.clone()), space);
                prop_assume!(text.len() < 2_000);
                let told = say(*offline.borrow_mut(), text.as_bytes(), &sizes);
                let told: Vec<PoolDialect> = told.iter().map(|event| event.dialect).collect();
                let expected: Vec<PoolDialect> = dialect(&message).into_iter().collect();
                found.set(found.get() + expected.len());
                // Where a segment ends, it is told by what has been said by then.
                if sizes == [1460] {
                    prop_assert_eq!(told, expected, "{}", text);
                } else {
                    prop_assert_eq!(told.len(), expected.len(), "{}", text);
                }
                Ok(())
            },
        );
        assert!(found.get() > 30, "{found:?}");
    }

    #[test]
    fn a_damaged_question_is_told_only_where_it_still_asks_for_a_pool() {
        let mut offline = offline();
        let offline = std::cell::RefCell::new(&mut offline);
        let found = std::cell::Cell::new(0);
        throw(600, &damaged_questions(), |input| {
            prop_assume!(input.0.len() < 1_200);
            let frame = ipv4(UDP, 0, b"", &udp(4000, 53, &input.0));
            let packet = Packet {
                bytes: &frame[14..],
                length: u32::try_from(frame.len() - 14).expect("it fits"),
            };
            let mut offline = offline.borrow_mut();
            offline.depart(1, 7, &mut Socket::new(SocketKind::Datagram), &packet);
            let told = told(*offline).len();
            prop_assert_eq!(told, usize::from(asks_for_a_pool(&input.0)), "{:?}", input);
            found.set(found.get() + told);
            Ok(())
        });
        assert!(found.get() > 10, "{found:?}");
    }

    /// The first message of TLS to a server of this name.
    fn hello(name: &str) -> Vec<u8> {
        let length = |bytes: usize| u16::try_from(bytes).expect("it fits").to_be_bytes();
        let name = [&[0][..], &length(name.len()), name.as_bytes()].concat();
        let list = [&length(name.len())[..], &name].concat();
        let other = [0, 23, 0, 0];
        let extensions = [&other[..], &[0, 0], &length(list.len()), &list].concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend(length(extensions.len()));
        body.extend(extensions);
        let message = [&[1, 0][..], &length(body.len()), &body].concat();
        [&[22, 3, 1][..], &length(message.len()), &message].concat()
    }

    #[test]
    fn names_are_read_wherever_segments_end() {
        let request = |name| format!("GET / HTTP/1.1\r\nAccept: */*\r\nHost: {name}\r\n\r\n");
        let connect = |name| format!("CONNECT {name}:443 HTTP/1.1\r\n\r\n");
        let own = "eu.POOL.example.org";
        let other = "pool.example.organ";
        let mut offline = offline();
        for sizes in [&[1460][..], &[1], &[5, 3, 16]] {
            for (said, expected) in [
                (hello(own), Some(PoolDialect::Tls)),
                (hello(other), None),
                (request(own).into_bytes(), Some(PoolDialect::Http)),
                (request(other).into_bytes(), None),
                (connect(own).into_bytes(), Some(PoolDialect::Http)),
                (connect(other).into_bytes(), None),
            ] {
                let told = say(&mut offline, &said, sizes);
                let dialect = told.first().map(|event| event.dialect);
                assert_eq!(dialect, expected, "{}", said.escape_ascii());
                if let Some(event) = told.first() {
                    assert_eq!(event.message, own.as_bytes());
                }
            }
        }
    }

    #[test]
    fn reading_what_is_said_never_panics() {
        let seeds = [
            JSON.to_vec(),
            br#"{"id":1,"method":"login","params":{"login":"\u0034","pass":"x"}}"#.to_vec(),
            hello("eu.pool.example.org"),
            b"GET / HTTP/1.1\r\nHost: pool.example.org\r\n\r\n".to_vec(),
            b"\0\x21\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04pool\x07example\x03org\0".to_vec(),
        ];
        let words: [&[u8]; 6] = [
            b"mining.notify",
            b"\"method\"",
            b"\\u00",
            b"\xff\xff",
            b"\x16\x03",
            b"[[[[[[[[",
        ];
        let mut offline = offline();
        let offline = std::cell::RefCell::new(&mut offline);
        throw(
            500,
            &(Corpus::new(seeds, words).damaged(), sizes()),
            |(input, sizes)| {
                let said = &input.0[..input.0.len().min(6_000)];
                let told = say(*offline.borrow_mut(), said, &sizes);
                prop_assert!(told.len() <= 1);
                Ok(())
            },
        );
    }

    #[test]
    fn judging_damaged_packets_never_panics() {
        let words: [&[u8]; 5] = [
            &[0x45, 0],
            &[0x60, 0, 0, 0],
            &[0x2c, 0, 0, 0xff],
            &[51, 255],
            &[0xc0, 0x0c],
        ];
        let kinds = [
            SocketKind::Connecting,
            SocketKind::Connected,
            SocketKind::Datagram,
            SocketKind::Raw,
        ];
        let frames = Corpus::new(frames(), words).damaged();
        let mut offline = offline();
        let offline = std::cell::RefCell::new(&mut offline);
        // Lengths that are other than what there is, as captures have them.
        let length = prop_oneof![Just(None), any::<u32>().prop_map(Some)];
        throw(
            2000,
            &(frames, select(kinds.to_vec()), length, any::<u64>()),
            |input| {
                let (frame, kind, length, at) = input;
                let bytes = frame.0.get(14..).unwrap_or_default();
                let there = u32::try_from(bytes.len()).expect("it fits");
                let packet = Packet {
                    bytes,
                    length: length.unwrap_or(there),
                };
                Headers::read(&packet);
                let mut offline = offline.borrow_mut();
                let mut socket = Socket::new(kind);
                offline.depart(at, 7, &mut socket, &packet);
                offline.arrive(at, 7, &mut socket, &packet);
                told(*offline);
                Ok(())
            },
        );
    }
}
