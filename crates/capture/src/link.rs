//! What stands before an IP packet on the links that captures are made on, and what a packet must be for a host to take it.

use hayward_kernel::Packet;

use crate::{Record, Unread};

/// `LINKTYPE_*`.
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
/// Raw IP, by the numbers that systems once had for it, and by the one that they agreed on.
const RAW: [u32; 3] = [12, 14, 101];
const LOOPBACK: u32 = 108;
const COOKED: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const COOKED_2: u32 = 276;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Tags of VLANs: 802.1Q, 802.1ad, and what came before that.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const MOST_TAGS: usize = 4;

/// The IP packet that was captured.
pub(crate) fn packet<'a>(record: &Record<'a>) -> Result<Packet<'a>, Unread> {
    let bytes = record.bytes;
    let at = match record.link {
        ETHERNET => behind_ethertype(bytes, 12)?,
        COOKED => behind_ethertype(bytes, 14)?,
        // The protocol stands first.
        COOKED_2 => match ethertype(bytes, 0)? {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => 20,
            tag if TAGS.contains(&tag) => behind_ethertype(bytes, 22)?,
            _ => return Err(Unread::NoIp),
        },
        NULL | LOOPBACK => 4,
        link if RAW.contains(&link) || [IPV4, IPV6].contains(&link) => 0,
        link => return Err(Unread::Link(link)),
    };
    let bytes = bytes.get(at..).filter(|bytes| !bytes.is_empty());
    let bytes = bytes.ok_or(Unread::Short)?;
    let there_was = record.length.saturating_sub(u32::try_from(at).unwrap_or(0));
    let length = length(bytes, there_was)?;
    let kept = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    Ok(Packet {
        bytes: &bytes[..kept],
        length,
    })
}

fn ethertype(bytes: &[u8], at: usize) -> Result<u16, Unread> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.copied().map(u16::from_be_bytes).ok_or(Unread::Short)
}

/// Where the packet begins whose type stands there, or behind tags that do.
fn behind_ethertype(bytes: &[u8], mut at: usize) -> Result<usize, Unread> {
    for _ in 0..=MOST_TAGS {
        match ethertype(bytes, at)? {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Ok(at + 2),
            tag if TAGS.contains(&tag) => at += 4,
            _ => break,
        }
    }
    Err(Unread::NoIp)
}

/// How long an IP packet is, of which there were so many bytes. A host takes none whose header says what cannot be.
fn length(bytes: &[u8], there_was: u32) -> Result<u32, Unread> {
    let field = |at: usize| {
        let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
        field
            .map(|field| u32::from(u16::from_be_bytes(*field)))
            .ok_or(Unread::Short)
    };
    let (header, said) = match bytes.first().map(|byte| (byte >> 4, byte & 15)) {
        Some((4, words)) if words >= 5 => (u32::from(words) * 4, field(2)?),
        Some((6, _)) => (40, field(4)? + 40),
        Some((4, _)) => return Err(Unread::Damaged),
        _ => return Err(Unread::NoIp),
    };
    // What the card was to cut into packets has no length of its own yet.
    let is_uncut = there_was > 65_535 && (said == 0 || said == 40);
    let is_offloaded = said == 0 && bytes[0] >> 4 == 4;
    let length = if is_uncut || is_offloaded {
        there_was
    } else {
        said
    };
    (header <= length && length <= there_was)
        .then_some(length)
        .ok_or(Unread::Damaged)
}
