//! The kernel's judgement of one command line, for tests and benchmarks. It attaches and acts on nothing.

use hayward_model::KernelVerdict;
use libbpf_rs::{Object, ProgramInput};

use crate::{
    KernelError,
    error::Doing,
    object::{COMMAND, Load},
    table::{self, size_class},
    wire::kernel_verdict,
};

/// The program `judge_line` with a table of its own.
#[derive(Debug)]
pub struct KernelJudge {
    object: Object,
}

impl KernelJudge {
    /// Loads the program and puts a table in its maps, which nobody else sees.
    pub fn new(words: &[u32]) -> Result<Self, KernelError> {
        let class = size_class(words.len() * 4)?;
        let object =
            Load { bytes: COMMAND, pins: None, instance: 0, tables: ("command_tables", class) }
                .load()?;
        let map = object.maps().find(|map| map.name() == "command_tables");
        if let Some(map) = map {
            table::swap(&map, "command_table", class, words)?;
        }
        Ok(Self { object })
    }

    /// Judges `line` (arguments each ended by NUL, as the kernel keeps them): the verdict, and the rule's index.
    /// None is a clean command line.
    pub fn judge(&self, line: &[u8]) -> Result<Option<(KernelVerdict, u32)>, KernelError> {
        let (result, _) = self.run(line, 1)?;
        Ok(kernel_verdict(result & 0xff).map(|verdict| (verdict, result >> 8)))
    }

    /// Judges `line` so many times and returns the kernel's own mean in ns.
    pub fn time(&self, line: &[u8], repeat: u32) -> Result<u64, KernelError> {
        let mut total = 0;
        for _ in 0..repeat {
            total += self.run(line, 1)?.1;
        }
        Ok(total / u64::from(repeat.max(1)))
    }

    fn run(&self, line: &[u8], repeat: u32) -> Result<(u32, u64), KernelError> {
        let mut arguments = [0u8; 16];
        arguments[..8].copy_from_slice(&(line.as_ptr() as u64).to_ne_bytes());
        arguments[8..].copy_from_slice(&(line.len() as u64).to_ne_bytes());
        let program = self.object.progs_mut_by_name("judge_line")?;
        let input = ProgramInput { context_in: Some(&mut arguments), repeat, ..Default::default() };
        let output =
            program.test_run(input).doing(|| "run the program judge_line".to_owned())?;
        Ok((output.return_value, u64::try_from(output.duration.as_nanos()).unwrap_or(0)))
    }
}
