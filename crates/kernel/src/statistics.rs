//! The kernel's own account of what programs cost. The kernel keeps it only while somebody asks for it.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use libbpf_rs::libbpf_sys;

use crate::{AttachedProgram, KernelError, Pins, error::Doing};

/// Makes the kernel count time and runs of every program, until it is dropped or its process ends.
#[derive(Debug)]
pub struct Statistics {
    _enabled: OwnedFd,
}

/// Totals of one program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunTime {
    /// Nanoseconds spent in it.
    pub ns: u64,
    /// How often it ran.
    pub runs: u64,
}

impl Statistics {
    /// Turns counting on.
    pub fn enable() -> Result<Self, KernelError> {
        // SAFETY: the call takes a number and touches no memory of ours; what it returns is a descriptor that nobody
        // else has, or negative.
        #[expect(unsafe_code, reason = "libbpf-rs has no wrapper of this call")]
        let enabled = unsafe {
            let descriptor = libbpf_sys::bpf_enable_stats(libbpf_sys::BPF_STATS_RUN_TIME);
            (descriptor >= 0).then(|| OwnedFd::from_raw_fd(descriptor))
        };
        let enabled = enabled
            .ok_or_else(std::io::Error::last_os_error)
            .doing(|| "count the run time of kernel programs".to_owned())?;
        Ok(Self { _enabled: enabled })
    }

    /// Totals of a program that an agent has attached, by its name, such as `on_exec`.
    pub fn of_attached(&self, pins: &Pins, program: &str) -> Result<RunTime, KernelError> {
        let program = AttachedProgram::open(pins, program)?;
        run_time(program.as_fd())
    }
}

/// What the kernel says of the program behind a descriptor.
pub(crate) fn run_time(program: BorrowedFd<'_>) -> Result<RunTime, KernelError> {
    let path = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
    let text = fs::read_to_string(&path).doing(|| format!("read {path}"))?;
    let value = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .unwrap_or_default()
    };
    Ok(RunTime {
        ns: value("run_time_ns:"),
        runs: value("run_cnt:"),
    })
}
