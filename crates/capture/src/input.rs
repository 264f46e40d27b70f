//! Bytes of a capture, one after the other, and how far they have been read.

use std::io::{self, Read};

/// A capture's bytes.
#[derive(Debug)]
pub(crate) struct Input<R> {
    inner: R,
    /// Bytes that have been read.
    pub(crate) offset: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, offset: 0 }
    }

    /// Fills a buffer, or says how many bytes there still were.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.offset += u64::try_from(filled).unwrap_or(u64::MAX);
        Ok(filled)
    }

    /// Passes over so many bytes, or says how many there still were.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<u64> {
        let skipped = io::copy(&mut self.inner.by_ref().take(bytes), &mut io::sink())?;
        self.offset += skipped;
        Ok(skipped)
    }
}

/// Numbers in the byte order of whoever captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number at a place, 0 past the end.
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
        field.map_or(0, |field| match self {
            Self::Little => u32::from_le_bytes(*field),
            Self::Big => u32::from_be_bytes(*field),
        })
    }

    /// The same of two bytes.
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
        field.map_or(0, |field| match self {
            Self::Little => u16::from_le_bytes(*field),
            Self::Big => u16::from_be_bytes(*field),
        })
    }
}
