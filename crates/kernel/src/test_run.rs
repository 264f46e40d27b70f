//! Running one of an object's programs on what we hand to it (`BPF_PROG_TEST_RUN`), as if its event had happened.

use std::io;

use libbpf_rs::{Object, ProgramInput, ProgramMut, ProgramOutput};

use crate::{KernelError, error::Doing};

/// The program of this name.
pub(crate) fn program<'a>(object: &'a Object, name: &str) -> Result<ProgramMut<'a>, KernelError> {
    let mut programs = object.progs_mut();
    let program = programs.find(|program| program.name() == name);
    program
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        .doing(|| format!("find the program {name}"))
}

/// Runs it. Returns all that the kernel says of that.
pub(crate) fn run<'a>(
    object: &Object,
    name: &str,
    input: ProgramInput<'a>,
) -> Result<ProgramOutput<'a>, KernelError> {
    let output = program(object, name)?.test_run(input);
    output.doing(|| format!("run the program {name}"))
}

/// Runs it as if this frame had come. Returns what it answers.
pub(crate) fn run_on_frame(object: &Object, name: &str, frame: &[u8]) -> Result<u32, KernelError> {
    let input = ProgramInput {
        data_in: Some(frame),
        ..ProgramInput::default()
    };
    Ok(run(object, name, input)?.return_value)
}
