//! The format of tcpdump (draft-ietf-opsawg-pcap): a header, then packets, each behind a header of its own.

use std::io::Read;

use crate::{
    input::{Input, Order},
    reader::{CaptureError, Ends, Found, MOST_BYTES, order_of, read_whole},
};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// As some distributions once patched it: packets have headers of 24 bytes.
const MODIFIED: u32 = 0xa1b2_cd34;

/// What the header says.
#[derive(Debug)]
pub(crate) struct Pcap {
    order: Order,
    link: u32,
    ns_per_unit: u64,
    header: u32,
}

impl Pcap {
    /// Reads what follows the first four bytes; none where these are not of this format.
    pub(crate) fn new<R: Read>(
        magic: [u8; 4],
        input: &mut Input<R>,
    ) -> Result<Option<Self>, CaptureError> {
        let known = [
            (MICROSECONDS, 1000, 16),
            (NANOSECONDS, 1, 16),
            (MODIFIED, 1000, 24),
        ];
        let known = known
            .into_iter()
            .find_map(|(number, ns, header)| Some((order_of(magic, number)?, ns, header)));
        let Some((order, ns_per_unit, header)) = known else {
            return Ok(None);
        };
        let mut rest = [0; 20];
        if input.fill(&mut rest)? < rest.len() {
            return Err(CaptureError::NoCapture("it ends within its header"));
        }
        Ok(Some(Self {
            order,
            // The upper bits say whether frames end with a checksum.
            link: order.u32(&rest, 16) & 0xffff,
            ns_per_unit,
            header,
        }))
    }

    pub(crate) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Found>, Ends> {
        if !read_whole(input, buffer, self.header)? {
            return Ok(None);
        }
        let number = |at| self.order.u32(buffer, at);
        let (seconds, units) = (u64::from(number(0)), u64::from(number(4)));
        let (bytes, length) = (number(8), number(12));
        if bytes > MOST_BYTES {
            return Err(Ends::Damaged(format!("it would have {bytes} bytes")));
        }
        if !read_whole(input, buffer, bytes)? {
            return Err(Ends::Cut);
        }
        Ok(Some(Found {
            at: seconds * 1_000_000_000 + units * self.ns_per_unit,
            link: self.link,
            from: 0,
            to: buffer.len(),
            length: length.max(bytes),
        }))
    }
}
