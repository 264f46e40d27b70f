use hayward_record::{Journal, JournalOptions};

use super::*;
use crate::agent::Agent;

fn journal(folder: &Path) -> Journal {
    let options = JournalOptions {
        directory: folder.to_owned(),
        keep: std::time::Duration::from_secs(60),
        max_bytes: 2 << 20,
    };
    Journal::open(options).expect("a journal").0
}

fn killed(pid: u32) -> Record {
    Record {
        process: Some(Process {
            pid,
            parent_pid: 1,
            start_boot_ns: 5,
            uid: 0,
            comm: String::new(),
            executable: String::new(),
            command_line: String::new(),
            command_line_bytes: 0,
        }),
        ..Agent::new_record(Action::Killed)
    }
}

fn process(record: &Record) -> &Process {
    record.process.as_ref().expect("it has one")
}

#[test]
fn what_was_kept_and_not_written_is_left_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(folder.path());
    let kept = Kept::beside(folder.path());
    assert_eq!(kept.left(&journal.reader()), []);
    let records = [1, 2, 3, 4].map(killed);
    for record in &records {
        kept.keep(record);
    }
    kept.release(&records[0].id);
    journal.append(&records[2]).expect("written");
    let left = kept.left(&journal.reader());
    assert_eq!(left, [records[1].clone(), records[3].clone()]);
    let files = fs::read_dir(folder.path().join(NAME)).expect("the folder");
    assert_eq!(files.count(), 2, "what the journal has is kept no more");
}

#[test]
fn what_was_cut_short_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(folder.path());
    let kept = Kept::beside(folder.path());
    let record = killed(1);
    kept.keep(&record);
    let text = fs::read(kept.path(&record.id)).expect("a file");
    fs::write(kept.path(&record.id), &text[..text.len() / 2]).expect("a file");
    assert_eq!(kept.left(&journal.reader()), []);
    assert!(!kept.path(&record.id).exists());
}

#[test]
fn ends_that_were_recorded_or_kept_are_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let journal = journal(folder.path());
    let [written, kept, new] = [1, 2, 3].map(killed);
    journal.append(&written).expect("written");
    let ended = Ended::of(&journal.reader(), std::slice::from_ref(&kept));
    assert!(ended.has(process(&written)) && ended.has(process(&kept)));
    assert!(!ended.has(process(&new)));
    let later = Process {
        start_boot_ns: 6,
        ..process(&written).clone()
    };
    assert!(!ended.has(&later), "the same number, another process");
}
