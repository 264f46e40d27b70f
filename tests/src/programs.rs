//! Programs that tests make. Another process writes them: while this one had them open for writing, a child that another
//! test starts at that moment would inherit the open file, and what is open for writing cannot be started (ETXTBSY).

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Copies a program; anybody may run the copy.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let status = install(from.as_ref(), to.as_ref()).status();
    assert!(status.expect("install").success(), "a copy");
}

/// Writes a program that anybody may run.
pub fn write_program(bytes: &[u8], to: impl AsRef<Path>) {
    let mut install = install(Path::new("/dev/stdin"), to.as_ref())
        .stdin(Stdio::piped())
        .spawn()
        .expect("install");
    let mut input = install.stdin.take().expect("a pipe");
    input.write_all(bytes).expect("a program");
    drop(input);
    assert!(install.wait().expect("install").success(), "a program");
}

fn install(from: &Path, to: &Path) -> Command {
    let mut command = Command::new("install");
    command.args(["-m", "755"]).arg(from).arg(to);
    command
}
