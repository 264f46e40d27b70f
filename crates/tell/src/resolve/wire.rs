//! Questions and answers of the domain name system, RFC 1035 and RFC 3596: addresses and nothing else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes before the question.
const HEADER: usize = 12;
/// The class of the internet.
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ipv4,
    Ipv6,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The name has these addresses of the kind, and may have none.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// The server cannot or will not say, with its code.
    Failed(u8),
    /// There was no room for the answer.
    Truncated,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 28,
        }
    }
}

/// A question; none where there can be no such name.
pub(super) fn query(id: [u8; 2], name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut query = Vec::with_capacity(HEADER + name.len() + 6);
    query.extend(id);
    // Recursion is desired, and there is one question.
    query.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok();
        query.push(length.filter(|length| (1..64).contains(length))?);
        query.extend(label.as_bytes());
    }
    query.push(0);
    // With the lengths of labels, a name has at most 255 bytes.
    if query.len() > HEADER + 255 {
        return None;
    }
    query.extend(kind.number().to_be_bytes());
    query.extend(INTERNET.to_be_bytes());
    Some(query)
}

/// What a reply says; none where it is no answer to this question.
pub(super) fn answer(query: &[u8], reply: &[u8], kind: Kind) -> Option<Answer> {
    let (header, rest) = reply.split_first_chunk::<HEADER>()?;
    let question = query.get(HEADER..)?;
    let is_answer = header[2] & 0xf8 == 0x80;
    let same = rest.get(..question.len())?.eq_ignore_ascii_case(question);
    if query.get(..2)? != &header[..2] || !is_answer || header[4..6] != [0, 1] || !same {
        return None;
    }
    match header[3] & 0x0f {
        _ if header[2] & 2 != 0 => return Some(Answer::Truncated),
        0 => {}
        3 => return Some(Answer::NoSuchName),
        code => return Some(Answer::Failed(code)),
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    let mut rest = &rest[question.len()..];
    let mut addresses = Vec::new();
    for _ in 0..count {
        rest = after_name(rest)?;
        // Type, class, time to live, length.
        let (fields, data) = rest.split_first_chunk::<10>()?;
        let is_of_kind = fields[..2] == kind.number().to_be_bytes();
        let is_of_class = fields[2..4] == INTERNET.to_be_bytes();
        let length = usize::from(u16::from_be_bytes([fields[8], fields[9]]));
        let (data, after) = data.split_at_checked(length)?;
        if is_of_kind && is_of_class {
            addresses.push(address(data)?);
        }
        rest = after;
    }
    Some(Answer::Addresses(addresses))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(data) {
        return Some(Ipv4Addr::from(bytes).into());
    }
    let bytes = <[u8; 16]>::try_from(data).ok()?;
    Some(Ipv6Addr::from(bytes).into())
}

/// What follows a name: labels, and an empty one or a pointer at the end.
fn after_name(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, after) = rest.split_first()?;
        rest = match length {
            0 => return Some(after),
            1..64 => after.get(usize::from(*length)..)?,
            0xc0.. => return after.get(1..),
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::throw;
    use proptest::prelude::*;

    use super::*;

    fn asked() -> Vec<u8> {
        query([7, 8], "Hooks.example", Kind::Ipv4).expect("a name")
    }

    /// A reply with these flags and answers.
    fn reply(flags: [u8; 2], count: u8, answers: &[u8]) -> Vec<u8> {
        let mut reply = vec![7, 8, flags[0], flags[1], 0, 1, 0, count, 0, 0, 0, 0];
        reply.extend(asked()[HEADER..].to_ascii_lowercase());
        reply.extend(answers);
        reply
    }

    /// `alias CNAME hooks`, with a name of labels; `hooks A 10.0.0.1`, with a pointer.
    const ANSWERS: &[u8] = &[
        0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7, 5, b'h', b'o', b'o', b'k', b's', 0, // alias
        5, b'h', b'o', b'o', b'k', b's', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1,
    ];

    #[test]
    fn a_question_is_as_servers_expect_it() {
        let expected = b"\x07\x08\x01\0\0\x01\0\0\0\0\0\0\x05Hooks\x07example\0\0\x01\0\x01";
        assert_eq!(asked(), expected);
        let long = format!("{}.example", "x".repeat(64));
        let many = ["x"; 200].join(".");
        for none in ["", "a..b", ".", long.as_str(), many.as_str()] {
            assert_eq!(query([0, 0], none, Kind::Ipv6), None, "{none}");
        }
    }

    #[test]
    fn answers_are_read() {
        let of = |reply: &[u8]| answer(&asked(), reply, Kind::Ipv4);
        let found = Answer::Addresses(vec![Ipv4Addr::new(10, 0, 0, 1).into()]);
        assert_eq!(of(&reply([0x81, 0x80], 2, ANSWERS)), Some(found));
        assert_eq!(
            of(&reply([0x81, 0x80], 0, &[])),
            Some(Answer::Addresses(Vec::new()))
        );
        assert_eq!(of(&reply([0x81, 0x83], 0, &[])), Some(Answer::NoSuchName));
        assert_eq!(of(&reply([0x81, 0x82], 0, &[])), Some(Answer::Failed(2)));
        assert_eq!(of(&reply([0x83, 0x80], 9, &[])), Some(Answer::Truncated));
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let of = |reply: &[u8]| answer(&asked(), reply, Kind::Ipv4);
        for at in [0, 1, 5, 14] {
            let mut other = reply([0x81, 0x80], 2, ANSWERS);
            other[at] ^= 1;
            assert_eq!(of(&other), None, "byte {at}");
        }
        assert_eq!(of(&reply([0x01, 0x80], 2, ANSWERS)), None, "a question");
        assert_eq!(of(&reply([0x81, 0x80], 3, ANSWERS)), None, "one is missing");
    }

    #[test]
    fn reading_damaged_answers_never_panics() {
        let whole = reply([0x81, 0x80], 2, ANSWERS);
        let damage = prop::collection::vec((0..whole.len(), any::<u8>()), 0..6);
        throw(500, &(damage, 0..=whole.len()), |(damage, length)| {
            let mut bytes = whole.clone();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            bytes.truncate(length);
            if let Some(Answer::Addresses(addresses)) = answer(&asked(), &bytes, Kind::Ipv4) {
                prop_assert!(addresses.len() <= length / 16 + 1);
            }
            Ok(())
        });
        throw(200, &prop::collection::vec(any::<u8>(), 0..600), |bytes| {
            let _ = answer(&asked(), &bytes, Kind::Ipv6);
            Ok(())
        });
    }
}
