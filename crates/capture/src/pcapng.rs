//! The format of Wireshark (draft-ietf-opsawg-pcapng): blocks, of which those matter that hold packets or describe what these
//! were captured on.

use std::io::Read;

use crate::{
    input::{Input, Order},
    reader::{Ends, Found, MOST_BYTES, order_of, read_whole},
};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Options of an interface.
const END: u16 = 0;
const RESOLUTION: u16 = 9;
const OFFSET: u16 = 14;

/// A block's type and length, and its length once more at its end.
const FRAME: u32 = 12;
/// What stands before a packet in its block, and options behind it.
const MOST_AROUND: u32 = 65_536;
/// More of them than anybody captures on.
const MOST_INTERFACES: usize = 4_096;

const NS: u128 = 1_000_000_000;

/// What packets were captured on.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    snap: u32,
    units_per_second: u128,
    /// Seconds that are added to each time.
    offset: i64,
}

impl Interface {
    fn time(&self, high: u32, low: u32) -> u64 {
        let units = u128::from(high) << 32 | u128::from(low);
        let ns = i128::try_from(units * NS / self.units_per_second).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset) * 1_000_000_000;
        let ns = ns.saturating_add(offset).max(0);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}

/// What the section says that is being read.
#[derive(Debug, Default)]
pub(crate) struct Pcapng {
    /// None before the first section, of which the first four bytes have been read.
    order: Option<Order>,
    interfaces: Vec<Interface>,
    /// Of the packet before; simple ones have no time.
    last: u64,
}

impl Pcapng {
    pub(crate) fn next<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Found>, Ends> {
        loop {
            let Some(kind) = self.kind(input, buffer)? else {
                return Ok(None);
            };
            let found = match kind {
                SECTION => {
                    self.start_section(input, buffer)?;
                    None
                }
                INTERFACE | OLD_PACKET | SIMPLE_PACKET | PACKET => {
                    self.block(input, buffer)?;
                    self.take(kind, buffer)?
                }
                _ => {
                    self.skip(input, buffer)?;
                    None
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// The next block's type; none at the end.
    fn kind<R: Read>(
        &self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<u32>, Ends> {
        let Some(order) = self.order else {
            return Ok(Some(SECTION));
        };
        Ok(read_whole(input, buffer, 4)?.then(|| order.u32(buffer, 0)))
    }

    fn start_section<R: Read>(
        &mut self,
        input: &mut Input<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Ends> {
        require(read_whole(input, buffer, 8)?)?;
        let magic = buffer[4..8].try_into().unwrap_or_default();
        let order = order_of(magic, BYTE_ORDER)
            .ok_or_else(|| Ends::Damaged("a section is of no byte order".to_owned()))?;
        self.order = Some(order);
        self.interfaces.clear();
        let length = order.u32(buffer, 0);
        let rest = length
            .checked_sub(FRAME)
            .filter(|rest| *rest >= 4 + 4)
            .ok_or_else(|| bad_length(length))?;
        // All but the frame's first eight bytes and the byte order.
        require(input.skip(u64::from(rest))? == u64::from(rest))
    }

    /// A block's length, of which as much follows as is returned.
    fn length<R: Read>(&self, input: &mut Input<R>, buffer: &mut Vec<u8>) -> Result<u32, Ends> {
        require(read_whole(input, buffer, 4)?)?;
        let length = self.order.unwrap_or(Order::Little).u32(buffer, 0);
        let is_good = length >= FRAME && length.is_multiple_of(4);
        is_good
            .then(|| length - 8)
            .ok_or_else(|| bad_length(length))
    }

    fn skip<R: Read>(&self, input: &mut Input<R>, buffer: &mut Vec<u8>) -> Result<(), Ends> {
        let rest = u64::from(self.length(input, buffer)?);
        require(input.skip(rest)? == rest)
    }

    /// Reads a block's body into the buffer.
    fn block<R: Read>(&self, input: &mut Input<R>, buffer: &mut Vec<u8>) -> Result<(), Ends> {
        let rest = self.length(input, buffer)?;
        if rest > MOST_BYTES + MOST_AROUND {
            return Err(bad_length(rest + 8));
        }
        require(read_whole(input, buffer, rest)?)?;
        let end = buffer.len() - 4;
        let again = self.order.unwrap_or(Order::Little).u32(buffer, end);
        buffer.truncate(end);
        if again != rest + 8 {
            let what = format!("a block has {} bytes and ends as one of {again}", rest + 8);
            return Err(Ends::Damaged(what));
        }
        Ok(())
    }

    /// What a block says: a packet, or nothing for now.
    fn take(&mut self, kind: u32, block: &[u8]) -> Result<Option<Found>, Ends> {
        let order = self.order.unwrap_or(Order::Little);
        let number = |at| order.u32(block, at);
        let (interface, time, from, bytes, length) = match kind {
            INTERFACE => {
                self.describe(order, block)?;
                return Ok(None);
            }
            SIMPLE_PACKET => {
                let length = number(0);
                let snap = self.interface(0)?.snap;
                let kept = if snap == 0 { length } else { length.min(snap) };
                (0, None, 4, kept, length)
            }
            OLD_PACKET => (
                u32::from(order.u16(block, 0)),
                Some((number(4), number(8))),
                20,
                number(12),
                number(16),
            ),
            _ => (
                number(0),
                Some((number(4), number(8))),
                20,
                number(12),
                number(16),
            ),
        };
        let interface = self.interface(interface)?;
        if let Some((high, low)) = time {
            self.last = interface.time(high, low);
        }
        let to = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| bytes.checked_add(from));
        let to = to.filter(|to| *to <= block.len() && bytes <= MOST_BYTES);
        let to = to.ok_or_else(|| {
            Ends::Damaged(format!(
                "{bytes} bytes of a packet do not fit into its block"
            ))
        })?;
        Ok(Some(Found {
            at: self.last,
            link: interface.link,
            from,
            to,
            length: length.max(bytes),
        }))
    }

    fn interface(&self, number: u32) -> Result<Interface, Ends> {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let known = self.interfaces.get(at).copied();
        known.ok_or_else(|| Ends::Damaged(format!("there is no interface {number}")))
    }

    fn describe(&mut self, order: Order, block: &[u8]) -> Result<(), Ends> {
        if block.len() < 8 || self.interfaces.len() >= MOST_INTERFACES {
            return Err(Ends::Damaged("an interface is too much".to_owned()));
        }
        let mut interface = Interface {
            link: order.u16(block, 0).into(),
            snap: order.u32(block, 4),
            units_per_second: 1_000_000,
            offset: 0,
        };
        let mut rest = &block[8..];
        while rest.len() >= 4 {
            let (option, length) = (order.u16(rest, 0), usize::from(order.u16(rest, 2)));
            let Some(value) = rest.get(4..4 + length) else {
                break;
            };
            match (option, value) {
                (END, _) => break,
                (RESOLUTION, [resolution, ..]) => {
                    interface.units_per_second = units_per_second(*resolution)?;
                }
                (OFFSET, [_, _, _, _, _, _, _, _, ..]) => {
                    let (first, second) = (order.u32(value, 0), order.u32(value, 4));
                    let (high, low) = match order {
                        Order::Little => (second, first),
                        Order::Big => (first, second),
                    };
                    interface.offset = (i64::from(high) << 32) | i64::from(low);
                }
                _ => {}
            }
            rest = rest
                .get(4 + length.next_multiple_of(4)..)
                .unwrap_or_default();
        }
        self.interfaces.push(interface);
        Ok(())
    }
}

/// What a resolution says: a power of ten, or with its highest bit one of two.
fn units_per_second(resolution: u8) -> Result<u128, Ends> {
    let power = u32::from(resolution & 0x7f);
    let units = if resolution & 0x80 == 0 {
        10_u128.checked_pow(power)
    } else {
        2_u128.checked_pow(power)
    };
    // Times of 64 bits in finer units than that are over at once.
    let units = units.filter(|units| *units <= 1 << 64);
    units.ok_or_else(|| Ends::Damaged(format!("times in units of {resolution} are too fine")))
}

fn require(is_there: bool) -> Result<(), Ends> {
    is_there.then_some(()).ok_or(Ends::Cut)
}

fn bad_length(length: u32) -> Ends {
    Ends::Damaged(format!("a block would have {length} bytes"))
}
