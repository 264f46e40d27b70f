//! One line of the journal, from bytes to record; never panics, whatever the bytes.

use hayward_model::Record;

/// The longest line that is written or read, in bytes. It bounds the memory of every reader.
pub const LINE_LIMIT: usize = 1 << 20;

/// A line that is no record.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The line is longer than any that the agent writes.
    #[error("the line has {bytes} bytes; the journal's lines have at most {LINE_LIMIT}")]
    TooLong {
        /// Length of the line.
        bytes: usize,
    },
    /// The line is not a record in JSON: damaged, or written by a newer version.
    #[error("the line is not a record: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one line, with or without its line feed.
pub fn parse_line(line: &[u8]) -> Result<Record, ParseError> {
    if line.len() > LINE_LIMIT + 1 {
        return Err(ParseError::TooLong { bytes: line.len() });
    }
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::samples;

    #[test]
    fn a_record_survives_the_round_trip() {
        let record = samples::killed(1_000, "xmrig", "jupyter-ann");
        let mut line = serde_json::to_vec(&record).unwrap();
        line.push(b'\n');
        assert_eq!(parse_line(&line).unwrap(), record);
    }

    #[test]
    fn damage_is_an_error() {
        let line = serde_json::to_vec(&samples::killed(1_000, "xmrig", "x")).unwrap();
        assert!(parse_line(&line[..line.len() - 1]).is_err());
        assert!(parse_line(b"").is_err());
        assert!(matches!(
            parse_line(&vec![b' '; LINE_LIMIT + 2]),
            Err(ParseError::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_line(&bytes);
        }

        #[test]
        fn no_flipped_byte_makes_it_panic(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut line = serde_json::to_vec(&samples::killed(7, "r", "w")).unwrap();
            let place = place.index(line.len());
            line[place] = byte;
            let _ = parse_line(&line);
        }
    }
}
