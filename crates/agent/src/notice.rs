//! A word on the terminal of whoever started a program that was killed, who would else read `Killed` and no more.
//!
//! The program's own terminal is asked of its parent, which is still there: a shell. It is written to through the parent's
//! open files, so no name in any mount namespace is followed, and only where that file is the terminal which the kernel
//! says is the parent's. Nothing here may wait.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hayward_model::{Action, Record};
use hayward_workload::in_time;
use rustix::fs::{OFlags, major, minor};

use crate::process;

/// A terminal gets no more than one in this time.
const PAUSE: Duration = Duration::from_secs(1);
/// Terminals that are remembered for that.
const MOST_TERMINALS: usize = 1_024;
/// Where a shell has its terminal open: the usual three, and where bash keeps it.
const DESCRIPTORS: [u32; 4] = [2, 1, 0, 255];

/// When terminals were last written to.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    written: Mutex<HashMap<u64, Instant>>,
}

impl Notices {
    /// Writes a text to the terminal that a killed program was started from, if it was. `{id}` stands for the record.
    pub(crate) fn tell(&self, record: &Record, text: &str) {
        let Some(process) = record.process.as_ref() else {
            return;
        };
        if record.action != Action::Killed || text.is_empty() {
            return;
        }
        let Some(terminal) = process::terminal(process.parent_pid) else {
            return;
        };
        if self.may_write(terminal, Instant::now()) {
            let text = text.replace("{id}", &record.id);
            // On a terminal in raw mode, a line feed alone stays in its column.
            let (text, pid) = (format!("\r\n{text}\r\n"), process.parent_pid);
            // What it has open may be files of a file system that never answers.
            in_time(move || write(pid, terminal, &text));
        }
    }

    fn may_write(&self, terminal: u64, now: Instant) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: &Instant| now.saturating_duration_since(*at) < PAUSE;
        if written.get(&terminal).is_some_and(is_recent) {
            return false;
        }
        if written.len() >= MOST_TERMINALS {
            written.retain(|_, at| is_recent(at));
        }
        if written.len() >= MOST_TERMINALS {
            return false;
        }
        written.insert(terminal, now);
        true
    }
}

/// Writes what a terminal takes at once. One that is stopped, or gone, gets nothing.
fn write(pid: u32, terminal: u64, text: &str) {
    for descriptor in DESCRIPTORS {
        let path = format!("/proc/{pid}/fd/{descriptor}");
        // Looked at before it is opened: to open some files has effects.
        if !fs::metadata(&path).is_ok_and(|metadata| is_terminal(&metadata, terminal)) {
            continue;
        }
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(&path);
        if let Ok(mut file) = opened
            && file
                .metadata()
                .is_ok_and(|metadata| is_terminal(&metadata, terminal))
        {
            let _ = file.write(text.as_bytes());
            return;
        }
    }
}

/// Whether a file is this terminal, by the number that /proc/PID/stat has for it.
fn is_terminal(metadata: &fs::Metadata, terminal: u64) -> bool {
    let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
    let number = u64::from(minor & 0xff | major << 8 | (minor & !0xff) << 12);
    metadata.file_type().is_char_device() && number == terminal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_written_to_once_in_a_while() {
        let notices = Notices::default();
        let now = Instant::now();
        assert!(notices.may_write(1, now));
        assert!(!notices.may_write(1, now + PAUSE / 2));
        assert!(notices.may_write(2, now + PAUSE / 2));
        assert!(notices.may_write(1, now + PAUSE));
        for terminal in 0..2 * MOST_TERMINALS as u64 {
            notices.may_write(terminal, now + PAUSE);
        }
        let written = notices.written.lock().expect("it");
        assert!(written.len() <= MOST_TERMINALS);
    }

    #[test]
    fn what_is_no_terminal_is_not_taken_for_one() {
        let null = fs::metadata("/dev/null").expect("/dev/null");
        assert!(is_terminal(&null, 0x0103), "its number, as a terminal's");
        assert!(!is_terminal(&null, 0x8803));
        let file = fs::metadata("/proc/self/exe").expect("this test");
        assert!(!is_terminal(&file, 0));
    }
}
