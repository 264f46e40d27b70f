//! Command lines as the kernel gives them: bytes that need not be UTF-8.

use std::ops::Range;

use super::{CommandLines, mask};

/// Like [`mask()`], for bytes. What is not UTF-8 becomes `U+FFFD`; `secret_ranges` are ranges of the bytes given.
pub fn mask_bytes(
    command_line: &[u8],
    how: CommandLines,
    secret_ranges: &[Range<usize>],
) -> String {
    let ranges: Vec<Range<usize>> = secret_ranges
        .iter()
        .map(|range| text_offset(command_line, range.start)..text_offset(command_line, range.end))
        .collect();
    mask(&String::from_utf8_lossy(command_line), how, &ranges)
}

/// Where the byte at `offset` comes to lie in the text.
fn text_offset(bytes: &[u8], offset: usize) -> usize {
    let before = &bytes[..offset.min(bytes.len())];
    let mut length = 0;
    for chunk in before.utf8_chunks() {
        length += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            length += char::REPLACEMENT_CHARACTER.len_utf8();
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_of_the_bytes() {
        let line = b"\xff\xfe run sEcReT \xff tail";
        let full = |range| mask_bytes(line, CommandLines::Full, &[range]);
        assert_eq!(full(7..13), "\u{fffd}\u{fffd} run ••• \u{fffd} tail");
        assert_eq!(full(16..900), "\u{fffd}\u{fffd} run sEcReT \u{fffd} •••");
    }

    proptest! {
        #[test]
        fn a_secret_between_any_bytes_is_masked(
            before in proptest::collection::vec(any::<u8>(), 0..20),
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let line = [before.as_slice(), b"sEcReT", after.as_slice()].concat();
            let range = before.len()..before.len() + 6;
            let text = mask_bytes(&line, CommandLines::Full, std::slice::from_ref(&range));
            let rest = [before.as_slice(), after.as_slice()].concat();
            prop_assert!(text.contains("•••"));
            prop_assert!(!text.contains("sEcReT") || rest.windows(6).any(|part| part == b"sEcReT"));
            prop_assert!(!text.contains("cReT") && !text.contains("sEcR"), "{text}");
        }
    }
}
