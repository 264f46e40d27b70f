//! Reading a capture, packet by packet: no more of it is in memory than one.

use std::io::{self, Read};

use crate::{
    input::{Input, Order},
    pcap::Pcap,
    pcapng::Pcapng,
};

/// The most bytes that are taken of a packet: what tcpdump and Wireshark keep of one at most.
pub(crate) const MOST_BYTES: u32 = 262_144;

/// Why a capture is not read, or not further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// It is of no format that is read here.
    #[error("is no capture: {0}")]
    NoCapture(&'static str),
    /// It ends within a packet, as it does where whoever captured was stopped, or is still at it.
    #[error("ends within packet {packet}, at byte {offset}")]
    Cut {
        /// Counted from 1.
        packet: u64,
        /// Where it ends.
        offset: u64,
    },
    /// What stands there cannot be.
    #[error("is damaged before packet {packet}, at byte {offset}: {what}")]
    Damaged {
        /// The packet that would have come next, counted from 1.
        packet: u64,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// A packet as it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Ns since 1970.
    pub at: u64,
    /// What kind of link it was captured on: `LINKTYPE_*`.
    pub link: u32,
    /// What was kept of it.
    pub bytes: &'a [u8],
    /// How long it was.
    pub length: u32,
}

/// What a format's reader found: a packet, whose bytes stand in the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) at: u64,
    pub(crate) link: u32,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) length: u32,
}

/// Why a format's reader found none.
#[derive(Debug)]
pub(crate) enum Ends {
    Cut,
    Damaged(String),
    Io(io::Error),
}

impl From<io::Error> for Ends {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// A capture that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    buffer: Vec<u8>,
    packets: u64,
}

impl<R: Read> Reader<R> {
    /// Finds out of what format a capture is. A buffered reader is the caller's to give.
    pub fn new(inner: R) -> Result<Self, CaptureError> {
        let mut input = Input::new(inner);
        let mut magic = [0; 4];
        if input.fill(&mut magic)? < magic.len() {
            return Err(CaptureError::NoCapture("it has fewer than four bytes"));
        }
        let format = match magic {
            [0x0a, 0x0d, 0x0d, 0x0a] => Format::Pcapng(Pcapng::default()),
            [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd] | [0xfd, b'7', b'z', b'X'] => {
                return Err(CaptureError::NoCapture("it is compressed"));
            }
            _ => match Pcap::new(magic, &mut input)? {
                Some(pcap) => Format::Pcap(pcap),
                None => {
                    return Err(CaptureError::NoCapture(
                        "it begins neither as pcap nor as pcapng does",
                    ));
                }
            },
        };
        Ok(Self {
            input,
            format,
            buffer: Vec::new(),
            packets: 0,
        })
    }

    /// The next packet; none at the end.
    ///
    /// # Errors
    /// Where nothing can be read from there on.
    #[expect(
        clippy::should_implement_trait,
        reason = "a packet is the reader's until the next"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.input, &mut self.buffer),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.input, &mut self.buffer),
        };
        let packet = self.packets + 1;
        let offset = self.input.offset;
        let found = found.map_err(|ends| match ends {
            Ends::Cut => CaptureError::Cut { packet, offset },
            Ends::Damaged(what) => CaptureError::Damaged {
                packet,
                offset,
                what,
            },
            Ends::Io(error) => CaptureError::Io(error),
        })?;
        let Some(found) = found else {
            return Ok(None);
        };
        self.packets = packet;
        Ok(Some(Record {
            at: found.at,
            link: found.link,
            bytes: self.buffer.get(found.from..found.to).unwrap_or_default(),
            length: found.length,
        }))
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.input.offset
    }
}

/// Reads so many bytes into the buffer. Returns false where there is none at all.
pub(crate) fn read_whole<R: Read>(
    input: &mut Input<R>,
    buffer: &mut Vec<u8>,
    bytes: u32,
) -> Result<bool, Ends> {
    // The caller has seen to it that these are few.
    buffer.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
    match input.fill(buffer)? {
        0 if bytes > 0 => Ok(false),
        filled if filled < buffer.len() => Err(Ends::Cut),
        _ => Ok(true),
    }
}

/// Either order's reading of a number that stands for itself in one of them.
pub(crate) fn order_of(magic: [u8; 4], number: u32) -> Option<Order> {
    [Order::Little, Order::Big]
        .into_iter()
        .find(|order| order.u32(&magic, 0) == number)
}
