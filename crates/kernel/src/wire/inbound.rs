//! Events of the guard `inbound`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use hayward_model::{
    InboundContact, InboundEvent, InboundEvidence, InboundLimit, InboundVerdict, ProbeKind,
    ScanShape, canonical,
};
use ipnet::Ipv6Net;

use super::{WireError, field, u32_at, u64_at};

/// `struct inbound_event` of `bpf/inbound_layout.h`: where its contacts begin, and what one has.
const KNOWN: usize = 104;
const CONTACT_BYTES: usize = 8;
const CONTACTS: usize = 16;

/// Somebody probes.
pub(super) fn finding(bytes: &[u8]) -> Result<InboundEvent, WireError> {
    let verdict = match u32_at(bytes, 4)? {
        1 => InboundVerdict::Banned,
        2 => InboundVerdict::SoftBanned,
        3 => InboundVerdict::Observed,
        4 => InboundVerdict::Spared,
        5 => InboundVerdict::NoRoom,
        6 => InboundVerdict::Decoys,
        other => return Err(WireError::UnknownVerdict(other)),
    };
    let limit = match u32_at(bytes, 72)? {
        1 => InboundLimit::Unanswered,
        2 => InboundLimit::Failures,
        3 => InboundLimit::Ports,
        4 => InboundLimit::Distributed,
        other => return Err(WireError::UnknownType(other)),
    };
    let length = u8::try_from(u32_at(bytes, 64)?).unwrap_or(u8::MAX);
    let source =
        Ipv6Net::new(address_at(bytes, 32)?, length).map_err(|_| WireError::BadLength("source"))?;
    let kinds = u32_at(bytes, 76)?;
    let (ports, shape) = ports(field(bytes, KNOWN, CONTACTS * CONTACT_BYTES)?);
    let sources = u32_at(bytes, 100)?;
    Ok(InboundEvent {
        boot_ns: u64_at(bytes, 8)?,
        verdict,
        device: u32_at(bytes, 68)?,
        banned_ns: u64_at(bytes, 24)?,
        evidence: InboundEvidence {
            source: canonical(source),
            target: ip(address_at(bytes, 48)?),
            limit,
            kinds: ProbeKind::ALL
                .into_iter()
                .enumerate()
                .filter_map(|(bit, kind)| (kinds >> bit & 1 != 0).then_some(kind))
                .collect(),
            shape,
            contacts: u32_at(bytes, 80)?,
            answered: u32_at(bytes, 84)?,
            failed: u32_at(bytes, 88)?,
            ports,
            milliseconds: u64_at(bytes, 16)? / 1_000_000,
            proven: u32_at(bytes, 92)? != 0,
            decoys: u32_at(bytes, 96)? != 0,
            sources: (sources > 0).then_some(sources),
            interface: None,
        },
    })
}

/// The ports of `struct inbound_contact`s that are in use, and over what these go.
fn ports(known: &[u8]) -> (Vec<u16>, ScanShape) {
    let word = |bytes: &[u8], at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let used = known
        .chunks_exact(CONTACT_BYTES)
        .filter(|contact| contact[4] != 0);
    let used: Vec<_> = used.map(|it| (word(it, 0), word(it, 2))).collect();
    let ports: BTreeSet<u16> = used.iter().map(|(port, _)| *port).collect();
    let hosts: BTreeSet<u16> = used.iter().map(|(_, host)| *host).collect();
    let shape = match (ports.len(), hosts.len()) {
        (_, 0 | 1) => ScanShape::Vertical,
        (1, _) => ScanShape::Horizontal,
        _ => ScanShape::Block,
    };
    (ports.into_iter().collect(), shape)
}

/// A first contact.
pub(super) fn contact(bytes: &[u8]) -> Result<InboundContact, WireError> {
    let kind = usize::try_from(u32_at(bytes, 4)?).unwrap_or(usize::MAX);
    let kind = *ProbeKind::ALL
        .get(kind)
        .ok_or(WireError::UnknownType(u32_at(bytes, 4)?))?;
    let port = |at| -> Result<u16, WireError> {
        u16::try_from(u32_at(bytes, at)?).map_err(|_| WireError::BadLength("port"))
    };
    Ok(InboundContact {
        boot_ns: u64_at(bytes, 8)?,
        source: ip(address_at(bytes, 16)?),
        source_port: port(48)?,
        target: ip(address_at(bytes, 32)?),
        port: port(52)?,
        kind,
        device: u32_at(bytes, 56)?,
    })
}

fn address_at(bytes: &[u8], at: usize) -> Result<Ipv6Addr, WireError> {
    let octets: [u8; 16] = field(bytes, at, 16)?
        .try_into()
        .map_err(|_| WireError::TooShort(bytes.len()))?;
    Ok(octets.into())
}

fn ip(address: Ipv6Addr) -> IpAddr {
    IpAddr::V6(address).to_canonical()
}
