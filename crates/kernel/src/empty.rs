//! The least that a program costs, for measurements: one that lets everything pass.

use std::{
    fs::File,
    io::Error,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    ptr,
};

use libbpf_rs::libbpf_sys::{self, bpf_insn, bpf_prog_load_opts};

use crate::{KernelError, RunTime, error::Doing, statistics::run_time};

/// What an empty program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyHook {
    /// An IPv4 socket is connected.
    Connect,
    /// A packet leaves.
    Departure,
    /// A packet arrives.
    Arrival,
}

impl EmptyHook {
    /// The type of the program, and where it is attached.
    fn types(self) -> (u32, u32) {
        match self {
            Self::Connect => (
                libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
                libbpf_sys::BPF_CGROUP_INET4_CONNECT,
            ),
            Self::Departure => (
                libbpf_sys::BPF_PROG_TYPE_CGROUP_SKB,
                libbpf_sys::BPF_CGROUP_INET_EGRESS,
            ),
            Self::Arrival => (
                libbpf_sys::BPF_PROG_TYPE_CGROUP_SKB,
                libbpf_sys::BPF_CGROUP_INET_INGRESS,
            ),
        }
    }
}

/// A program of a cgroup, until it is dropped.
#[derive(Debug)]
pub struct EmptyProgram {
    program: OwnedFd,
    _link: OwnedFd,
}

impl EmptyProgram {
    /// Attaches it to a cgroup, by its open folder.
    pub fn attach(cgroup: &File, hook: EmptyHook) -> Result<Self, KernelError> {
        let (kind, place) = hook.types();
        let mut options = bpf_prog_load_opts {
            sz: size_of::<bpf_prog_load_opts>() as u64,
            expected_attach_type: place,
            ..bpf_prog_load_opts::default()
        };
        let instruction = |code: u32, imm| bpf_insn {
            code: code.to_le_bytes()[0],
            imm,
            ..bpf_insn::default()
        };
        let instructions = [
            instruction(libbpf_sys::BPF_ALU64 | libbpf_sys::BPF_MOV, 1),
            instruction(libbpf_sys::BPF_JMP | libbpf_sys::BPF_EXIT, 0),
        ];
        let doing = || "load an empty program".to_owned();
        // SAFETY: two instructions, two strings and the options are read, all of which live until it returns.
        #[expect(unsafe_code, reason = "libbpf-rs loads objects alone")]
        let program = unsafe {
            libbpf_sys::bpf_prog_load(
                kind,
                c"empty".as_ptr(),
                c"GPL".as_ptr(),
                instructions.as_ptr(),
                instructions.len() as u64,
                &raw mut options,
            )
        };
        let program = owned(program).doing(doing)?;
        // SAFETY: the call takes numbers, and no options.
        #[expect(unsafe_code, reason = "libbpf-rs attaches programs of objects alone")]
        let link = unsafe {
            libbpf_sys::bpf_link_create(program.as_raw_fd(), cgroup.as_raw_fd(), place, ptr::null())
        };
        let link = owned(link).doing(|| "attach an empty program".to_owned())?;
        Ok(Self {
            program,
            _link: link,
        })
    }

    /// What it cost so far, while a [`crate::Statistics`] lives.
    pub fn run_time(&self) -> Result<RunTime, KernelError> {
        run_time(self.program.as_fd())
    }
}

fn owned(descriptor: i32) -> std::io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(Error::from_raw_os_error(descriptor.saturating_neg()));
    }
    #[expect(
        unsafe_code,
        reason = "a descriptor of the kernel's becomes one that is closed"
    )]
    // SAFETY: it was just made, and nobody else has it.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Ok(owned)
}
