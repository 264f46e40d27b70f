//! What a workload's first process was started with, as far as settings ask for it: which repository a Binder built,
//! whose server a JupyterHub started.
//!
//! It is what that process says of itself. One that runs as the user can write over it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// So much of an environment is read, in bytes.
const MOST_BYTES: u64 = 256 << 10;
/// So much of a value is kept, in bytes.
const MOST_OF_A_VALUE: usize = 256;
/// So many cgroups and processes are looked at to find the first process.
const MOST_FOLDERS: usize = 256;
const MOST_PROCESSES: usize = 4_096;

/// The wanted variables of the first process in a cgroup's folder and below, those left out that are not set. None where
/// no process is left.
pub(crate) fn of_first_process(
    folder: &Path,
    wanted: &[String],
) -> Option<BTreeMap<String, String>> {
    let environment = read(first_process(folder)?)?;
    Some(select(&environment, wanted))
}

/// The process that started first, of those that run there.
fn first_process(folder: &Path) -> Option<u32> {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let mut processes = Vec::new();
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        looked_at += 1;
        let list = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        processes.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()));
        if looked_at + folders.len() < MOST_FOLDERS {
            let entries = fs::read_dir(&folder).into_iter().flatten();
            let entries = entries.filter_map(Result::ok);
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
        }
        if processes.len() >= MOST_PROCESSES {
            break;
        }
    }
    processes.truncate(MOST_PROCESSES);
    let started = |pid: u32| Some((started(pid)?, pid));
    let first = processes.into_iter().filter_map(started).min();
    first.map(|(_, pid)| pid)
}

/// Ticks since boot. The program's name, which stands before, need not be UTF-8.
fn started(pid: u32) -> Option<u64> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

fn read(pid: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ")).ok()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    // Of a process that ends nothing is left.
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// The wanted ones of `NAME=value`, each ended by NUL. The first of a name counts, as it does for `getenv`.
fn select(environment: &[u8], wanted: &[String]) -> BTreeMap<String, String> {
    let mut selected = BTreeMap::new();
    for entry in environment.split(|byte| *byte == 0) {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (&entry[..equals], &entry[equals + 1..]);
        if let Some(name) = wanted.iter().find(|wanted| wanted.as_bytes() == name) {
            selected.entry(name.clone()).or_insert_with(|| shown(value));
        }
    }
    selected
}

/// So much of it, without what would break a line.
fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(MOST_OF_A_VALUE)]);
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use hayward_fuzz::{Corpus, throw};

    use super::*;

    fn wanted(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_wanted_is_taken_and_nothing_else() {
        let environment =
            b"PATH=/bin\0JUPYTERHUB_USER=alice\0JUPYTERHUB_USER=bob\0EMPTY=\0ODD\0=y\0";
        let names = wanted(&["JUPYTERHUB_USER", "EMPTY", "ODD", ""]);
        let selected = select(environment, &names);
        let expected = [("", "y"), ("EMPTY", ""), ("JUPYTERHUB_USER", "alice")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(selected, BTreeMap::from(expected));
    }

    #[test]
    fn values_are_cut_and_hold_nothing_that_would_break_a_line() {
        assert_eq!(shown(b"al\nice\x1b[31m"), "alice[31m");
        assert_eq!(shown(&[b'x'; 1_000]).len(), MOST_OF_A_VALUE);
        assert_eq!(shown(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn the_process_that_started_first_is_asked_wherever_it_is_below() {
        let mut children = ["first", "second"].map(|name| {
            Command::new("sleep")
                .arg("60")
                .env("NAME", name)
                .spawn()
                .expect("a child")
        });
        let folder = tempfile::tempdir().expect("a folder");
        let below = folder.path().join("init");
        fs::create_dir(&below).expect("a folder");
        // Two that start within a tick are told apart by their numbers, which here go up.
        let [first, second] = children.each_ref().map(|child| child.id());
        fs::write(folder.path().join("cgroup.procs"), format!("{second}\n")).expect("a file");
        fs::write(below.join("cgroup.procs"), format!("{first}\n4000000000\n")).expect("a file");
        let name = of_first_process(folder.path(), &wanted(&["NAME"]));
        for child in &mut children {
            child.kill().expect("our own child");
            child.wait().expect("it ended");
        }
        let name = name.expect("processes");
        assert_eq!(name.get("NAME").map(String::as_str), Some("first"));
        assert_eq!(of_first_process(&below, &wanted(&["NAME"])), None, "gone");
    }

    #[test]
    fn reading_damaged_environments_never_panics() {
        let corpus = Corpus::new(
            ["PATH=/bin\0REPO=https://a:b@example.org/x\0USER=alice\0"],
            ["REPO=", "://", "@", "\0", "=", "\u{fffd}"],
        );
        let names = wanted(&["REPO", "USER", ""]);
        throw(500, &corpus.damaged(), |input| {
            for value in select(&input.0, &names).values() {
                assert!(!value.chars().any(char::is_control));
            }
            Ok(())
        });
    }
}
