//! The kernel's judgement of one command line, for tests and benchmarks. It attaches and acts on nothing.

use hayward_model::KernelVerdict;
use libbpf_rs::{MapCore, Object, ProgramInput};
use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

use crate::{
    KernelError,
    error::Doing,
    object::{COMMAND, Load},
    table::{self, size_class},
    wire::kernel_verdict,
};

const PROGRAM: &str = "judge_line";

/// The program `judge_line` with a table of its own.
#[derive(Debug)]
pub struct KernelJudge {
    object: Object,
}

impl KernelJudge {
    /// Loads the program and puts a table in its maps, which nobody else sees.
    pub fn new(words: &[u32]) -> Result<Self, KernelError> {
        let class = size_class(words.len() * 4)?;
        let object = Load {
            bytes: COMMAND,
            pins: None,
            instance: 0,
            tables: ("command_tables", class),
        }
        .load()?;
        let map = object.maps().find(|map| map.name() == "command_tables");
        if let Some(map) = map {
            table::swap(&map, "command_table", class, words)?;
        }
        Ok(Self { object })
    }

    /// Judges `line` (arguments each ended by NUL, as the kernel keeps them): the verdict, and the rule's index.
    /// None is a clean command line.
    pub fn judge(&mut self, line: &[u8]) -> Result<Option<(KernelVerdict, u32)>, KernelError> {
        let mut arguments = [0u8; 16];
        arguments[..8].copy_from_slice(&(line.as_ptr() as u64).to_ne_bytes());
        arguments[8..].copy_from_slice(&(line.len() as u64).to_ne_bytes());
        let input = ProgramInput {
            context_in: Some(&mut arguments),
            ..Default::default()
        };
        let program = self
            .object
            .progs_mut()
            .find(|program| program.name() == PROGRAM);
        let output = program
            .ok_or_else(no_program)?
            .test_run(input)
            .doing(|| format!("run the program {PROGRAM}"))?;
        let result = output.return_value;
        Ok(kernel_verdict(result & 0xff).map(|verdict| (verdict, result >> 8)))
    }

    /// The kernel's own account of this program: time in ns and runs, while `kernel.bpf_stats_enabled` is 1.
    pub fn statistics(&self) -> Result<(u64, u64), KernelError> {
        let program = self.program()?;
        let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
        let text = fs::read_to_string(&path).doing(|| format!("read {path}"))?;
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
                .unwrap_or_default()
        };
        Ok((value("run_time_ns:"), value("run_cnt:")))
    }

    fn program(&self) -> Result<libbpf_rs::Program<'_>, KernelError> {
        self.object
            .progs()
            .find(|program| program.name() == PROGRAM)
            .ok_or_else(no_program)
    }
}

fn no_program() -> KernelError {
    KernelError::Io {
        what: format!("find the program {PROGRAM}"),
        source: std::io::ErrorKind::NotFound.into(),
    }
}
