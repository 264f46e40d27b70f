//! The journal when its writer is killed, or the disk takes no more.

mod common;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use hayward_record::{Journal, Query};
    use tempfile::tempdir;

    use super::common::{options, pids, record};

    const DIRECTORY: &str = "HAYWARD_TEST_JOURNAL";

    /// Starts this test program as a writer, behind `prelude` in a shell.
    fn writer(prelude: &str, directory: &Path) -> Child {
        Command::new("sh")
            .arg("-c")
            .arg(format!("{prelude} exec \"$0\" \"$@\""))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "tests::child_writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Reads what the writer says until a line begins with `word`, and returns the number behind it. The writer's pipe
    /// stays open.
    fn wait_for(output: &mut impl BufRead, word: &str) -> u32 {
        for line in output.lines().map_while(Result::ok) {
            if let Some(number) = line.strip_prefix(word) {
                return number.trim().parse().unwrap();
            }
        }
        panic!("the writer ended without saying '{word}'");
    }

    #[test]
    #[ignore = "the other tests start it as a process of its own"]
    fn child_writer() {
        let Some(directory) = std::env::var_os(DIRECTORY) else {
            return;
        };
        let directory = PathBuf::from(directory);
        let (journal, _) = Journal::open(options(&directory, 1 << 30)).unwrap();
        let mut output = std::io::stdout();
        for pid in 0..200_000 {
            if let Err(error) = journal.append(&record(pid, 1, "w")) {
                assert!(error.to_string().contains("free space"), "{error}");
                assert!(journal.append(&record(pid, 1, "w")).is_err());
                writeln!(output, "\nfull {pid}").unwrap();
                return;
            }
            if pid == 500 {
                writeln!(output, "\nappended {pid}").unwrap();
            }
        }
    }

    #[test]
    fn nothing_that_was_appended_is_lost_when_the_writer_is_killed() {
        let directory = tempdir().unwrap();
        let mut child = writer("", directory.path());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        wait_for(&mut output, "appended");
        child.kill().unwrap();
        child.wait().unwrap();
        let (journal, _) = Journal::open(options(directory.path(), 1 << 30)).unwrap();
        let (found, unreadable) = pids(directory.path(), Query::default());
        assert_eq!(unreadable, 0);
        assert!(found.len() > 500);
        assert!(
            found
                .iter()
                .copied()
                .eq(0..u32::try_from(found.len()).unwrap())
        );
        journal.append(&record(0, 1, "w")).unwrap();
    }

    #[test]
    fn a_line_that_the_disk_took_only_half_of_is_taken_back() {
        let directory = tempdir().unwrap();
        // The shell bounds the size of files, so that a write is cut short as on a full disk.
        let mut child = writer("trap '' XFSZ; ulimit -f 64;", directory.path());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let full = wait_for(&mut output, "full");
        assert!(child.wait().unwrap().success());
        assert!(full > 10);
        let (_journal, notices) = Journal::open(options(directory.path(), 1 << 30)).unwrap();
        assert_eq!(notices, []);
        let found = pids(directory.path(), Query::default());
        assert_eq!(found, (Vec::from_iter(0..full), 0));
    }
}
