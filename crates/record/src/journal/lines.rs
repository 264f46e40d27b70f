//! Lines of a file, forwards and backwards, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::LINE_LIMIT;

const CHUNK: usize = 64 * 1024;

/// A line without its line feed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line that ends.
    Complete(Vec<u8>),
    /// A line that is longer than any record; its bytes were not kept.
    Oversized,
    /// The file's last bytes, with no line feed after them: torn, or just being written.
    Unfinished,
}

/// Reads on from an offset. What is not finished yet is read again at the next call, so a file can be followed.
#[derive(Debug)]
pub(super) struct Forward {
    reader: BufReader<File>,
    offset: u64,
}

impl Forward {
    pub(super) fn new(file: File, offset: u64) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(CHUNK, file);
        reader.seek(SeekFrom::Start(offset))?;
        Ok(Self { reader, offset })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut length = 0_u64;
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                self.reader.seek(SeekFrom::Start(self.offset))?;
                return Ok((length > 0).then_some(Line::Unfinished));
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            length += part.len() as u64;
            if length <= LINE_LIMIT as u64 {
                line.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(end.is_some());
            self.reader.consume(consumed);
            if end.is_some() {
                self.offset += length + 1;
                return Ok(Some(if length > LINE_LIMIT as u64 {
                    Line::Oversized
                } else {
                    Line::Complete(line)
                }));
            }
        }
    }
}

/// Reads from the end of the file, as long as it was when reading began, to its start.
#[derive(Debug)]
pub(super) struct Backward {
    file: File,
    unread: u64,
    pending: Vec<u8>,
    at_end: bool,
    oversized: bool,
}

impl Backward {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let unread = file.metadata()?.len();
        Ok(Self {
            file,
            unread,
            pending: Vec::new(),
            at_end: true,
            oversized: false,
        })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(place) = self.pending.iter().rposition(|&byte| byte == b'\n') {
                let line = self.pending.split_off(place + 1);
                self.pending.pop();
                if std::mem::take(&mut self.at_end) {
                    // What stands behind the last line feed is not a line yet.
                    let oversized = std::mem::take(&mut self.oversized);
                    if line.is_empty() && !oversized {
                        continue;
                    }
                    return Ok(Some(Line::Unfinished));
                }
                return Ok(Some(self.finish(line)));
            }
            if self.unread == 0 {
                // Nothing is left once the first line was given: only an empty rest without a line feed remains.
                return Ok(self.first_line());
            }
            self.read_chunk()?;
        }
    }

    fn finish(&mut self, line: Vec<u8>) -> Line {
        if std::mem::take(&mut self.oversized) || line.len() > LINE_LIMIT {
            Line::Oversized
        } else {
            Line::Complete(line)
        }
    }

    fn first_line(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.at_end) {
            let rest = !self.pending.is_empty() || self.oversized;
            self.pending.clear();
            self.oversized = false;
            return rest.then_some(Line::Unfinished);
        }
        if self.pending.is_empty() && !self.oversized {
            return None;
        }
        let line = std::mem::take(&mut self.pending);
        Some(self.finish(line))
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        if self.pending.len() > LINE_LIMIT {
            self.oversized = true;
            self.pending.clear();
        }
        let length = usize::try_from(self.unread).unwrap_or(CHUNK).min(CHUNK);
        self.unread -= length as u64;
        let mut chunk = vec![0; length];
        self.file.read_exact_at(&mut chunk, self.unread)?;
        chunk.append(&mut self.pending);
        self.pending = chunk;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn forwards(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Forward::new(file_with(bytes), 0).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let last = line == Line::Unfinished;
            all.push(line);
            if last {
                break;
            }
        }
        all
    }

    fn backwards(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Backward::new(file_with(bytes)).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        all.reverse();
        all
    }

    #[test]
    fn a_line_longer_than_any_record_is_skipped_in_both_directions() {
        let mut bytes = b"one\n".to_vec();
        bytes.resize(bytes.len() + 3 * LINE_LIMIT, b'x');
        bytes.extend_from_slice(b"\nthree\n");
        let expected = [
            Line::Complete(b"one".to_vec()),
            Line::Oversized,
            Line::Complete(b"three".to_vec()),
        ];
        assert_eq!(forwards(&bytes), expected);
        assert_eq!(backwards(&bytes), expected);
    }

    #[test]
    fn an_unfinished_line_is_read_again_when_it_is_finished() {
        let mut file = file_with(b"one\ntw");
        let mut lines = Forward::new(file.try_clone().unwrap(), 0).unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::Complete(b"one".to_vec())));
        assert_eq!(lines.next().unwrap(), Some(Line::Unfinished));
        file.seek(SeekFrom::End(0)).unwrap();
        file.write_all(b"o\n").unwrap();
        file.seek(SeekFrom::Start(4)).unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line::Complete(b"two".to_vec())));
        assert_eq!(lines.next().unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn both_directions_agree(lengths in proptest::collection::vec(0_usize..150_000, 0..5), end in 0_usize..3) {
            let lines: Vec<String> = lengths.iter().map(|&length| "x".repeat(length)).collect();
            let end = "y".repeat(end);
            let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            text.push_str(&end);
            let forwards = forwards(text.as_bytes());
            prop_assert!(backwards(text.as_bytes()) == forwards);
            prop_assert_eq!(forwards.len(), lines.len() + usize::from(!end.is_empty()));
        }
    }
}
