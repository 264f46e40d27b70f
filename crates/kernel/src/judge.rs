//! The kernel's judgement of one command line, for tests and benchmarks. It attaches and acts on nothing.

use hayward_model::KernelVerdict;
use libbpf_rs::{MapCore, Object, ProgramInput};
use std::os::fd::AsFd;

use crate::{
    KernelError, RunTime, Statistics, Variant,
    object::{COMMAND, Load},
    statistics::run_time,
    table::{self, size_class},
    test_run,
    wire::kernel_verdict,
};

const PROGRAM: &str = "judge_line";

/// The program `judge_line` with a table of its own.
#[derive(Debug)]
pub struct KernelJudge {
    object: Object,
}

impl KernelJudge {
    /// Loads the program, as this kernel takes it, and puts a table in its maps, which nobody else sees.
    pub fn new(words: &[u32]) -> Result<Self, KernelError> {
        Self::of(Variant::ALL, words)
    }

    /// The same for the first of some variants that loads.
    pub fn of(variants: &[Variant], words: &[u32]) -> Result<Self, KernelError> {
        let class = size_class(words.len() * 4)?;
        let (object, _) = Load {
            variants,
            table_bytes: words.len() * 4,
            ..Load::unpinned(&COMMAND)
        }
        .load()?;
        let map = object.maps().find(|map| map.name() == COMMAND.tables);
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
        let result = test_run::run(&self.object, PROGRAM, input)?.return_value;
        Ok(kernel_verdict(result & 0xff).map(|verdict| (verdict, result >> 8)))
    }

    /// The kernel's own account of this program, which it keeps while a [`Statistics`] lives.
    pub fn run_time(&self, _counting: &Statistics) -> Result<RunTime, KernelError> {
        run_time(test_run::program(&self.object, PROGRAM)?.as_fd())
    }
}
