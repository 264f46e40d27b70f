//! Bytes of the kernel's event ring become events. Anything may come in; nothing panics.

use hayward_model::{
    Event, ExecEvent, KernelVerdict, RoundingEvent, RoundingSample, UnscannedCause, joined,
};

/// `struct exec_event` of `bpf/layout.h`, up to the command line.
const FIXED_BYTES: usize = WINDOW_OFFSET + WINDOW_BYTES;
const PATH_OFFSET: usize = 96;
const PATH_BYTES: usize = 512;
const WINDOW_OFFSET: usize = PATH_OFFSET + 2 * PATH_BYTES;
const WINDOW_BYTES: usize = 128;
const EVENT_EXEC: u32 = 1;
const EVENT_ROUNDING: u32 = 2;
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
    let rule = u32_at(bytes, 48)?;
    let path_end = PATH_OFFSET + PATH_BYTES;
    Ok(ExecEvent {
        boot_ns: u64_at(bytes, 8)?,
        start_boot_ns: u64_at(bytes, 16)?,
        cgroup_id: u64_at(bytes, 24)?,
        generation: u32_at(bytes, 32)?,
        pid: u32_at(bytes, 36)?,
        parent_pid: u32_at(bytes, 40)?,
        uid: u32_at(bytes, 44)?,
        verdict: kernel_verdict(verdict).ok_or(WireError::UnknownVerdict(verdict))?,
        rule: (rule != NO_RULE).then_some(rule),
        comm: text(field(bytes, 80, 16)?),
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

/// `enum exec_verdict` of `bpf/layout.h`; none is a clean command line.
pub(crate) fn kernel_verdict(verdict: u32) -> Option<KernelVerdict> {
    match verdict {
        1 => Some(KernelVerdict::Killed),
        2 => Some(KernelVerdict::Observed),
        3 => Some(KernelVerdict::Spared),
        4 => Some(KernelVerdict::Unscanned(UnscannedCause::TooLong)),
        5 => Some(KernelVerdict::Unscanned(UnscannedCause::ReadFailed)),
        _ => None,
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
