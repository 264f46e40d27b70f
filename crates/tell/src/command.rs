//! Running a command, with the message on its standard input.

use std::{io, process::Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe::Receiver,
    process::{Child, Command},
};

use crate::failure::Failure;

/// All that its environment holds.
const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/"),
    ("LANG", "C.UTF-8"),
];
/// Bytes of its output that are kept: the last.
const MOST_OUTPUT: usize = 4 << 10;
/// How often the pipe is read after the end: what fits into one, and no more.
const MOST_READS: usize = 32;

/// A process with those that it started. All of them end with it where it is not waited for to its end.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // It has no id any more once it was waited for: then another may have the number.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// One try. Where it is given up, the command ends, and what it has started.
pub(crate) async fn run(command: &[String], message: &[u8]) -> Result<(), Failure> {
    let cannot = |error: io::Error| Failure::passing(format!("cannot be started: {error}"));
    let (mut group, mut output) = start(command).map_err(cannot)?;
    let mut input = group.0.stdin.take();
    let mut feeding = Box::pin(async {
        if let Some(mut input) = input.take() {
            // A command may well not read what it does not want to know.
            let _ = input.write_all(message).await;
        }
    });
    let (mut fed, mut open) = (false, true);
    let (mut tail, mut buffer) = (Vec::new(), [0; 4096]);
    let status = loop {
        tokio::select! {
            status = group.0.wait() => break status,
            () = &mut feeding, if !fed => fed = true,
            read = output.read(&mut buffer), if open => match read {
                Ok(count) if count > 0 => keep(&mut tail, &buffer[..count]),
                _ => open = false,
            },
        }
    };
    let status = status.map_err(|error| Failure::passing(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    // What it wrote last may wait in the pipe; what others go on writing is not waited for.
    for _ in 0..MOST_READS {
        match output.try_read(&mut buffer) {
            Ok(count) if count > 0 => keep(&mut tail, &buffer[..count]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&tail);
    let last = text.lines().rev().find(|line| !line.trim().is_empty());
    let last = last.map(|line| format!(": {}", line.trim()));
    Err(Failure::passing(format!(
        "it ended with {status}{}",
        last.unwrap_or_default()
    )))
}

/// Starts the command, with both of its outputs in one pipe.
fn start(command: &[String]) -> io::Result<(Group, Receiver)> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (output, written) = io::pipe()?;
    let output = Receiver::from_owned_fd(output.into())?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(written.try_clone()?)
        .stderr(written)
        .process_group(0)
        .spawn()?;
    Ok((Group(child), output))
}

fn keep(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    let beyond = tail.len().saturating_sub(MOST_OUTPUT);
    tail.drain(..beyond);
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, time::Duration};

    use tokio::time::timeout;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime")
    }

    #[test]
    fn it_gets_the_message_and_a_small_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("got");
        let script = format!("(cat; env; pwd) > {}", path.display());
        let told = runtime().block_on(run(&shell(&script), b"{}\n"));
        assert_eq!(told, Ok(()));
        let got = fs::read_to_string(path).expect("it");
        assert!(got.starts_with("{}\n") && got.contains("HOME=/\n"), "{got}");
        assert!(got.ends_with("\n/\n") && !got.contains("CARGO"), "{got}");
    }

    #[test]
    fn failures_are_told_with_the_last_line() {
        let failing = |script: &str| {
            let told = runtime().block_on(run(&shell(script), &[b'x'; 1 << 20]));
            told.expect_err(script).reason
        };
        let reason = failing("echo first; echo last >&2; exit 7");
        assert_eq!(reason, "it ended with exit status: 7: last");
        assert!(failing("kill -9 $$").contains("signal: 9"));
        assert!(failing("head -c 9999999 /dev/zero; echo; echo end; exit 1").ends_with(": end"));
        // What holds on to its output is not waited for.
        assert!(failing("sleep 60 & echo $!; exit 1").contains("exit status: 1"));
        let missing = runtime().block_on(run(&["/no/such".to_owned()], b""));
        assert!(
            missing
                .expect_err("none")
                .reason
                .contains("cannot be started")
        );
    }

    #[test]
    fn it_ends_with_all_that_it_started_where_it_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pids");
        let script = format!(
            "sleep 600 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
            path.display()
        );
        runtime().block_on(async {
            let command = shell(&script);
            let running = run(&command, b"");
            tokio::pin!(running);
            while !path.exists() {
                let _ = timeout(Duration::from_millis(5), &mut running).await;
            }
        });
        let pids = fs::read_to_string(path).expect("it");
        for pid in pids.split_whitespace() {
            let status = Path::new("/proc").join(pid).join("status");
            let is_over = || {
                let status = fs::read_to_string(&status).unwrap_or_default();
                status.is_empty() || status.contains("State:\tZ")
            };
            while !is_over() {
                std::thread::yield_now();
            }
        }
    }
}
