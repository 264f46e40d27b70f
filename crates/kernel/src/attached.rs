//! A program that an agent has attached, as a measurement finds it: the agent need not know.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use libbpf_rs::{Link, Program, libbpf_sys};

use crate::{KernelError, Pins, error::Doing};

/// One of an agent's programs, with the maps that the agent reads.
#[derive(Debug)]
pub struct AttachedProgram {
    program: OwnedFd,
    name: String,
}

impl AttachedProgram {
    /// Finds it by its name, such as `on_exec`. Of several links, as at several devices, any will do: the program is the same.
    pub fn open(pins: &Pins, name: &str) -> Result<Self, KernelError> {
        let is_it = |path: &std::path::Path| {
            let file = path.file_name().and_then(|file| file.to_str());
            let rest = file.and_then(|file| file.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(['-', '@']))
        };
        let mut links = pins.pinned_links().into_iter();
        let path = links
            .find_map(|(path, _)| is_it(&path).then_some(path))
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
            .doing(|| format!("find the pinned link of {name}"))?;
        let link =
            Link::open(&path).doing(|| format!("open the pinned link {}", path.display()))?;
        let info = link
            .info()
            .doing(|| format!("ask for the program of {}", path.display()))?;
        let program = Program::fd_from_id(info.prog_id)
            .doing(|| format!("open the program of {}", path.display()))?;
        Ok(Self {
            program,
            name: name.to_owned(),
        })
    }

    /// Runs one that looks at packets as if this frame had arrived. Returns what it answers.
    pub fn run(&self, frame: &[u8]) -> Result<u32, KernelError> {
        let mut options = libbpf_sys::bpf_test_run_opts {
            sz: size_of::<libbpf_sys::bpf_test_run_opts>() as libbpf_sys::size_t,
            data_in: frame.as_ptr().cast(),
            data_size_in: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            ..libbpf_sys::bpf_test_run_opts::default()
        };
        #[expect(
            unsafe_code,
            reason = "libbpf-rs runs programs alone that it has loaded"
        )]
        // SAFETY: the descriptor is open, the options are of the size that they say, and the frame, which is only read, is as long as
        // they say and outlives the call. There is no other pointer in them.
        let result = unsafe {
            libbpf_sys::bpf_prog_test_run_opts(self.program.as_raw_fd(), &raw mut options)
        };
        let result = if result == 0 {
            Ok(options.retval)
        } else {
            Err(io::Error::from_raw_os_error(-result))
        };
        result.doing(|| format!("run the program {}", self.name))
    }
}

impl AsFd for AttachedProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }
}
