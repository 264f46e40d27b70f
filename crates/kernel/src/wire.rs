//! Bytes of the kernel's event ring become events. Anything may come in; nothing panics.

mod inbound;

use std::net::Ipv6Addr;

use hayward_model::{
    CgroupEvent, ContactEvent, Destination, EgressEvent, EgressHook, Event, ExecEvent,
    KernelVerdict, OutboundEvent, PoolDialect, PoolEvent, RoundingEvent, RoundingSample,
    ScanEvidence, Sender, UnscannedCause, joined,
};

/// `struct exec_event` of `bpf/layout.h`, up to the command line.
const FIXED_BYTES: usize = WINDOW_OFFSET + WINDOW_BYTES;
const PATH_OFFSET: usize = 100;
const PATH_BYTES: usize = 512;
const CGROUP_OFFSET: usize = PATH_OFFSET + PATH_BYTES;
const CGROUP_BYTES: usize = 512;
const WINDOW_OFFSET: usize = CGROUP_OFFSET + CGROUP_BYTES;
const WINDOW_BYTES: usize = 128;
const EVENT_EXEC: u32 = 1;
const EVENT_ROUNDING: u32 = 2;
const EVENT_CGROUP: u32 = 3;
const EVENT_EGRESS: u32 = 4;
const EVENT_OUTBOUND: u32 = 5;
const EVENT_POOL: u32 = 6;
const EVENT_CONTACT: u32 = 7;
const EVENT_INBOUND: u32 = 8;
const EVENT_INBOUND_CONTACT: u32 = 9;
/// `struct cgroup_event`: its path.
const CGROUP_PATH_OFFSET: usize = 16;
/// `struct pool_event`: its message.
const MESSAGE_OFFSET: usize = 96;
const MESSAGE_BYTES: usize = 128;
const QUESTION_BYTES: usize = 128;
/// `EGRESS_OF_OTHERS`.
const OF_OTHERS: u32 = 1_000;
/// `struct rounding_event`: its samples, and what one holds.
const SAMPLES_OFFSET: usize = 64;
const SAMPLES: u32 = 8;
const RAN_OFFSET: usize = SAMPLES_OFFSET + 8 * SAMPLES as usize;
const SAMPLE_TIME_SHIFT: u32 = 3;
const SAMPLE_FLUSH: u64 = 4;
const SAMPLE_MODE: u64 = 3;
const NO_RULE: u32 = u32::MAX;
const FLAG_FILELESS: u32 = 1;
const FLAG_PATH_CUT: u32 = 2;
const FLAG_CGROUP_CUT: u32 = 4;
/// Stands for the front of a path that was longer than its field.
const CUT: &[u8] = "\u{2026}".as_bytes();

/// Why bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Fewer bytes than an event has.
    #[error("an event of {0} bytes is too short")]
    TooShort(usize),
    /// A type that this version does not know.
    #[error("unknown event type {0}")]
    UnknownType(u32),
    /// A verdict that this version does not know.
    #[error("unknown verdict {0}")]
    UnknownVerdict(u32),
    /// A length that its field cannot hold.
    #[error("the field {0} claims more bytes than it has")]
    BadLength(&'static str),
}

/// Decodes one event.
pub fn decode(bytes: &[u8]) -> Result<Event, WireError> {
    match u32_at(bytes, 0)? {
        EVENT_EXEC => exec(bytes).map(Event::Exec),
        EVENT_ROUNDING => rounding(bytes).map(Event::Rounding),
        EVENT_CGROUP => cgroup(bytes).map(Event::Cgroup),
        EVENT_EGRESS => egress(bytes).map(Event::Egress),
        EVENT_OUTBOUND => outbound(bytes).map(Event::Outbound),
        EVENT_POOL => pool(bytes).map(Event::Pool),
        EVENT_CONTACT => contact(bytes).map(Event::Contact),
        EVENT_INBOUND => inbound::finding(bytes).map(Event::Inbound),
        EVENT_INBOUND_CONTACT => inbound::contact(bytes).map(Event::InboundContact),
        other => Err(WireError::UnknownType(other)),
    }
}

fn exec(bytes: &[u8]) -> Result<ExecEvent, WireError> {
    if bytes.len() < FIXED_BYTES {
        return Err(WireError::TooShort(bytes.len()));
    }
    let verdict = u32_at(bytes, 4)?;
    let flags = u32_at(bytes, 52)?;
    let path_bytes = length(bytes, 64, PATH_BYTES, "path")?;
    let window_bytes = length(bytes, 68, WINDOW_BYTES, "window")?;
    let line_start = FIXED_BYTES;
    let kept = length(bytes, 72, bytes.len().saturating_sub(line_start), "line")?;
    let cgroup_bytes = length(bytes, 80, CGROUP_BYTES, "cgroup")?;
    let cgroup = cgroup_path(field(bytes, CGROUP_OFFSET, cgroup_bytes)?);
    let rule = u32_at(bytes, 48)?;
    let path_end = PATH_OFFSET + PATH_BYTES;
    Ok(ExecEvent {
        boot_ns: u64_at(bytes, 8)?,
        start_boot_ns: u64_at(bytes, 16)?,
        cgroup_id: u64_at(bytes, 24)?,
        cgroup: (flags & FLAG_CGROUP_CUT == 0).then_some(cgroup),
        generation: u32_at(bytes, 32)?,
        pid: u32_at(bytes, 36)?,
        parent_pid: u32_at(bytes, 40)?,
        uid: u32_at(bytes, 44)?,
        verdict: kernel_verdict(verdict).ok_or(WireError::UnknownVerdict(verdict))?,
        rule: (rule != NO_RULE).then_some(rule),
        comm: text(field(bytes, 84, 16)?),
        executable: [
            if flags & FLAG_PATH_CUT != 0 { CUT } else { b"" },
            field(bytes, path_end - path_bytes, path_bytes)?,
        ]
        .concat(),
        command_line: joined(field(bytes, line_start, kept)?),
        command_line_bytes: u32_at(bytes, 56)?,
        match_end: u32_at(bytes, 60)?,
        match_window: joined(field(bytes, WINDOW_OFFSET, window_bytes)?),
        fileless: flags & FLAG_FILELESS != 0,
        unscanned: match kernel_verdict(u32_at(bytes, 76)?) {
            Some(KernelVerdict::Unscanned(cause)) => Some(cause),
            _ => None,
        },
    })
}

fn rounding(bytes: &[u8]) -> Result<RoundingEvent, WireError> {
    let count = u32_at(bytes, 4)?;
    if count > SAMPLES {
        return Err(WireError::BadLength("samples"));
    }
    let samples = (0..count as usize).map(|index| {
        let word = u64_at(bytes, SAMPLES_OFFSET + 8 * index)?;
        Ok(RoundingSample {
            boot_ns: word >> SAMPLE_TIME_SHIFT,
            ran_ns: u64_at(bytes, RAN_OFFSET + 8 * index)?,
            mode: (word & SAMPLE_MODE) as u8,
            flush: word & SAMPLE_FLUSH != 0,
        })
    });
    Ok(RoundingEvent {
        thread_start_boot_ns: u64_at(bytes, 8)?,
        start_boot_ns: u64_at(bytes, 16)?,
        cgroup_id: u64_at(bytes, 24)?,
        thread: u32_at(bytes, 32)?,
        pid: u32_at(bytes, 36)?,
        parent_pid: u32_at(bytes, 40)?,
        uid: u32_at(bytes, 44)?,
        comm: text(field(bytes, 48, 16)?),
        samples: samples.collect::<Result<_, _>>()?,
    })
}

fn cgroup(bytes: &[u8]) -> Result<CgroupEvent, WireError> {
    let room = bytes.len().saturating_sub(CGROUP_PATH_OFFSET);
    let length = length(bytes, 4, room, "path")?;
    Ok(CgroupEvent {
        cgroup_id: u64_at(bytes, 8)?,
        path: text(field(bytes, CGROUP_PATH_OFFSET, length)?),
    })
}

fn egress(bytes: &[u8]) -> Result<EgressEvent, WireError> {
    let verdict = u32_at(bytes, 4)?;
    let quarantined = verdict == 3;
    let hook = match u32_at(bytes, 44)? {
        1 => EgressHook::Connect,
        2 => EgressHook::Send,
        3 => EgressHook::Packet,
        other => return Err(WireError::UnknownType(other)),
    };
    Ok(EgressEvent {
        sender: sender(
            bytes,
            72,
            quarantined || denied(verdict)?,
            destination(bytes, 48)?,
        )?,
        quarantined,
        // Programs of an earlier agent know of no bans.
        ban: u32_at(bytes, 88)
            .ok()
            .and_then(|ban| u8::try_from(ban.checked_sub(1)?).ok()),
        of_another: u32_at(bytes, 88).is_ok_and(|ban| ban == OF_OTHERS),
        name: asked_name(bytes).filter(|name| !name.is_empty()),
        hook,
    })
}

/// The name that was asked for, where that is what is banned.
fn asked_name(bytes: &[u8]) -> Option<String> {
    let length = length(bytes, 92, QUESTION_BYTES, "name").ok()?;
    Some(text(&name(field(bytes, 96, length).ok()?)))
}

/// `enum egress_verdict` of `bpf/layout.h`.
fn denied(verdict: u32) -> Result<bool, WireError> {
    match verdict {
        1 => Ok(true),
        2 => Ok(false),
        other => Err(WireError::UnknownVerdict(other)),
    }
}

/// A protocol, a port and an address, one behind the other.
fn destination(bytes: &[u8], at: usize) -> Result<Destination, WireError> {
    endpoint(u32_at(bytes, at)?, bytes, at + 4)
}

/// The same, where the protocol stands elsewhere.
fn endpoint(protocol: u32, bytes: &[u8], at: usize) -> Result<Destination, WireError> {
    let port = u16::try_from(u32_at(bytes, at)?).unwrap_or(0);
    let address = field(bytes, at + 4, 16)?;
    let address = <[u8; 16]>::try_from(address).map_err(|_| WireError::TooShort(bytes.len()))?;
    Ok(Destination {
        address: Ipv6Addr::from(address).to_canonical(),
        port: (port != 0).then_some(port),
        protocol: protocol_name(protocol),
    })
}

/// What follows the workload in `struct outbound_target` of `bpf/contacts.h`: an address, a port and a protocol.
pub(crate) fn target(bytes: &[u8]) -> Result<Destination, WireError> {
    let mut turned = field(bytes, 20, 4)?.to_vec();
    turned.extend(field(bytes, 16, 4)?);
    turned.extend(field(bytes, 0, 16)?);
    destination(&turned, 0)
}

/// What the events of all guards on the network begin with; the program's name stands at `comm`.
fn sender(
    bytes: &[u8],
    comm: usize,
    denied: bool,
    destination: Destination,
) -> Result<Sender, WireError> {
    Ok(Sender {
        boot_ns: u64_at(bytes, 8)?,
        cgroup_id: u64_at(bytes, 16)?,
        start_boot_ns: u64_at(bytes, 24)?,
        pid: u32_at(bytes, 32)?,
        parent_pid: u32_at(bytes, 36)?,
        uid: u32_at(bytes, 40)?,
        comm: text(field(bytes, comm, 16)?),
        denied,
        destination,
    })
}

/// `struct outbound_event` of `bpf/outbound_layout.h`.
fn outbound(bytes: &[u8]) -> Result<OutboundEvent, WireError> {
    let limit = match u32_at(bytes, 44)? {
        1 => "unanswered",
        2 => "failures",
        3 => "proof",
        4 => "packet-socket",
        5 => "unique-destinations",
        6 => "raw-socket",
        other => return Err(WireError::UnknownType(other)),
    };
    let denied = denied(u32_at(bytes, 4)?)?;
    Ok(OutboundEvent {
        sender: sender(bytes, 104, denied, destination(bytes, 80)?)?,
        workload: u64_at(bytes, 48)?,
        scan: ScanEvidence {
            limit: limit.to_owned(),
            by_process: u32_at(bytes, 56)? != 0,
            contacts: u32_at(bytes, 60)?,
            answered: u32_at(bytes, 64)?,
            refused: u32_at(bytes, 68)?,
            silent: u32_at(bytes, 72)?,
            waiting: u32_at(bytes, 76)?,
            destinations: Vec::new(),
        },
    })
}

/// `struct contact_event` of `bpf/outbound_layout.h`.
fn contact(bytes: &[u8]) -> Result<ContactEvent, WireError> {
    let destination = endpoint(u32_at(bytes, 4)?, bytes, 44)?;
    Ok(ContactEvent {
        sender: sender(bytes, 64, false, destination)?,
        workload: u64_at(bytes, 80)?,
    })
}

fn pool(bytes: &[u8]) -> Result<PoolEvent, WireError> {
    let dialect = match u32_at(bytes, 44)? {
        1 => PoolDialect::Stratum,
        2 => PoolDialect::Monero,
        3 => PoolDialect::EthereumWork,
        4 => PoolDialect::EthereumStratum1,
        5 => PoolDialect::EthereumStratum2,
        6 => PoolDialect::Zcash,
        7 => PoolDialect::Tls,
        8 => PoolDialect::Http,
        9 => PoolDialect::Dns,
        other => return Err(WireError::UnknownType(other)),
    };
    let message = length(bytes, 88, MESSAGE_BYTES, "message")?;
    let denied = denied(u32_at(bytes, 4)?)?;
    let destination = endpoint(u32_at(bytes, 92)?, bytes, 52)?;
    Ok(PoolEvent {
        sender: sender(bytes, 72, denied, destination)?,
        dialect,
        sent: u32_at(bytes, 48)? == 0,
        message: match dialect {
            PoolDialect::Dns => name(field(bytes, MESSAGE_OFFSET, message)?),
            _ => field(bytes, MESSAGE_OFFSET, message)?.to_vec(),
        },
    })
}

/// The name in a question of DNS, where each label's length stands before it; what is cut off is left out.
fn name(mut question: &[u8]) -> Vec<u8> {
    let mut name: Vec<u8> = Vec::new();
    while let Some((&length, rest)) = question.split_first()
        && length > 0
    {
        let length = usize::from(length).min(rest.len());
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend(&rest[..length]);
        question = &rest[length..];
    }
    name
}

/// The names of `IPPROTO_*` that people know.
fn protocol_name(number: u32) -> String {
    let name = match number {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// `enum exec_verdict` of `bpf/layout.h`; none is a clean command line.
pub(crate) fn kernel_verdict(verdict: u32) -> Option<KernelVerdict> {
    match verdict {
        1 => Some(KernelVerdict::Killed),
        2 => Some(KernelVerdict::Observed),
        3 => Some(KernelVerdict::Spared),
        6 => Some(KernelVerdict::Answered),
        4 => Some(KernelVerdict::Unscanned(UnscannedCause::TooLong)),
        5 => Some(KernelVerdict::Unscanned(UnscannedCause::ReadFailed)),
        _ => None,
    }
}

/// The path whose components these are, the last one first and each ended by NUL.
fn cgroup_path(names: &[u8]) -> String {
    let names = names.split(|byte| *byte == 0).rev();
    let names = names.filter(|name| !name.is_empty());
    let path: String = names
        .map(|name| format!("/{}", String::from_utf8_lossy(name)))
        .collect();
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn length(bytes: &[u8], at: usize, most: usize, name: &'static str) -> Result<usize, WireError> {
    let length = u32_at(bytes, at)? as usize;
    if length > most {
        Err(WireError::BadLength(name))
    } else {
        Ok(length)
    }
}

fn field(bytes: &[u8], at: usize, length: usize) -> Result<&[u8], WireError> {
    bytes
        .get(at..at + length)
        .ok_or(WireError::TooShort(bytes.len()))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, WireError> {
    let field = field(bytes, at, 4)?;
    Ok(u32::from_ne_bytes(
        field
            .try_into()
            .map_err(|_| WireError::TooShort(bytes.len()))?,
    ))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, WireError> {
    let field = field(bytes, at, 8)?;
    Ok(u64::from_ne_bytes(
        field
            .try_into()
            .map_err(|_| WireError::TooShort(bytes.len()))?,
    ))
}
