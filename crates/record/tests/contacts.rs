//! The log of first contacts: a journal with other lines, which are kept, forgotten and read as records are.

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

    use hayward_model::{Contact, ContactProcess, Destination, Workload};
    use hayward_record::journal::Subject;
    use hayward_record::{Journal, JournalError, JournalOptions, Reader, contacts::folder};
    use jiff::Timestamp;
    use tempfile::tempdir;

    const MAX: u64 = 4 << 20;

    fn open(directory: &Path) -> Journal {
        let options = JournalOptions {
            directory: directory.to_owned(),
            keep: Duration::from_secs(7 * 24 * 3600),
            max_bytes: MAX,
        };
        Journal::open(options).unwrap().0
    }

    fn contact(port: u16, uid: u32, workload: &str) -> Contact {
        Contact {
            time: Timestamp::from_second(i64::from(port)).unwrap(),
            process: Some(ContactProcess {
                pid: 41,
                parent_pid: 40,
                start_boot_ns: 7,
                uid,
                comm: "python3 \"\n".to_owned(),
            }),
            workload: Workload {
                name: workload.to_owned(),
                attributes: [("JUPYTERHUB_USER".to_owned(), format!("of-{workload}"))].into(),
                ..Workload::default()
            },
            destination: Destination {
                address: "2001:db8::1".parse().unwrap(),
                port: Some(port),
                protocol: "tcp".to_owned(),
            },
        }
    }

    fn lines(contacts: &[Contact]) -> Vec<u8> {
        let mut lines = Vec::new();
        for contact in contacts {
            serde_json::to_writer(&mut lines, contact).unwrap();
            lines.push(b'\n');
        }
        lines
    }

    fn read(directory: &Path) -> (Vec<Contact>, u64) {
        let mut contacts = Reader::open(directory).unwrap().contacts().unwrap();
        let all = contacts.by_ref().collect::<Result<_, _>>().unwrap();
        (all, contacts.unreadable())
    }

    fn ports(directory: &Path) -> (Vec<u16>, u64) {
        let (contacts, unreadable) = read(directory);
        let ports = contacts.iter().filter_map(|it| it.destination.port);
        (ports.collect(), unreadable)
    }

    fn segments(directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        paths.sort();
        paths
    }

    #[test]
    fn a_batch_is_written_at_once_and_comes_out_as_it_was_put_in() {
        let journal = tempdir().unwrap();
        let folder = folder(journal.path());
        let log = open(&folder);
        let mut nobody = contact(2, 0, "b");
        nobody.process = None;
        let contacts = [contact(1, 1000, "a"), nobody, contact(3, 0, "c")];
        let written = log.append_lines(&lines(&contacts)).unwrap();
        assert_eq!(read(&folder), (contacts.to_vec(), 0));
        assert_eq!(fs::metadata(&segments(&folder)[0]).unwrap().len(), written);
        // The journal above it has other files, and neither takes the other's.
        let records = open(journal.path());
        assert_eq!(records.bytes(), 0);
        assert!(matches!(
            Journal::open(JournalOptions {
                directory: folder,
                keep: Duration::ZERO,
                max_bytes: MAX
            }),
            Err(JournalError::InUse { .. })
        ));
    }

    #[test]
    fn a_batch_may_be_torn_anywhere_and_the_next_begins_on_a_line_of_its_own() {
        let directory = tempdir().unwrap();
        let log = open(directory.path());
        let whole = lines(&[contact(1, 1, "a")]).len();
        log.append_lines(&lines(&[contact(1, 1, "a"), contact(2, 1, "a")]))
            .unwrap();
        drop(log);
        let path = segments(directory.path()).remove(0);
        let bytes = fs::read(&path).unwrap();
        for length in (0..bytes.len()).step_by(7) {
            fs::write(&path, &bytes[..length]).unwrap();
            let kept = if length < whole { vec![] } else { vec![1] };
            // Without an agent, the torn line is skipped.
            let torn = !length.is_multiple_of(whole);
            assert_eq!(ports(directory.path()), (kept.clone(), u64::from(torn)));
            let log = open(directory.path());
            log.append_lines(&lines(&[contact(3, 1, "a")])).unwrap();
            let expected = kept.into_iter().chain([3]).collect();
            assert_eq!(ports(directory.path()), (expected, 0), "{length}");
        }
    }

    #[test]
    fn damaged_lines_and_those_of_other_journals_are_counted_and_skipped() {
        let directory = tempdir().unwrap();
        let log = open(directory.path());
        log.append_lines(&lines(&[contact(1, 1, "a")])).unwrap();
        let path = segments(directory.path()).remove(0);
        let mut file = fs::File::options().append(true).open(path).unwrap();
        file.write_all(b"\0\xff\n{\"time\":\"2026-11-21T00:00:00Z\"}\n\n")
            .unwrap();
        log.append_lines(&lines(&[contact(2, 1, "a")])).unwrap();
        assert_eq!(ports(directory.path()), (vec![1, 2], 3));
    }

    #[test]
    fn the_log_never_holds_more_than_it_may_and_the_oldest_go() {
        let directory = tempdir().unwrap();
        let log = open(directory.path());
        let batch: Vec<Contact> = (0..500).map(|_| contact(9, 1, "a")).collect();
        let mut written = 0;
        while written < 3 * MAX {
            written += log.append_lines(&lines(&batch)).unwrap();
            let on_disk: u64 = segments(directory.path())
                .iter()
                .map(|path| fs::metadata(path).unwrap().len())
                .sum();
            assert!(on_disk <= MAX, "{on_disk}");
            assert_eq!(log.bytes(), on_disk);
        }
        let first = segments(directory.path()).remove(0);
        assert!(!first.ends_with("0000000001"), "{}", first.display());
        assert!(ports(directory.path()).0.len() > 5_000);
    }

    #[test]
    fn what_is_older_than_it_is_kept_goes() {
        let directory = tempdir().unwrap();
        let log = open(directory.path());
        log.append_lines(&lines(&[contact(1, 1, "a")])).unwrap();
        drop(log);
        let old = segments(directory.path()).remove(0);
        let later = old.with_file_name("0000000002-2026-11-20.jsonl");
        fs::write(&later, lines(&[contact(2, 1, "a")])).unwrap();
        let age = |path: &Path, days: u64| {
            let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
            let file = fs::File::options().append(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        };
        age(&old, 8);
        age(&later, 6);
        open(directory.path()).tidy().unwrap();
        assert_eq!(ports(directory.path()).0, [2]);
    }

    #[test]
    fn the_contacts_of_a_user_and_of_a_workload_are_forgotten_and_no_others() {
        let directory = tempdir().unwrap();
        let log = open(directory.path());
        let mut unseen = contact(4, 0, "d");
        unseen.process = None;
        let contacts = [
            contact(1, 1000, "a"),
            contact(2, 1001, "ann"),
            contact(3, 1001, "joanna"),
            unseen,
        ];
        log.append_lines(&lines(&contacts)).unwrap();
        let forget = |subject: &str| log.forget(&Subject::from(subject)).unwrap().removed;
        assert_eq!(forget("ann"), 1);
        assert_eq!(forget("ann"), 0);
        assert_eq!(ports(directory.path()).0, [1, 3, 4]);
        assert_eq!(forget("1000"), 1);
        assert_eq!(forget("of-d"), 1);
        assert_eq!(ports(directory.path()), (vec![3], 0));
        log.append_lines(&lines(&[contact(5, 1000, "a")])).unwrap();
        assert_eq!(ports(directory.path()).0, [3, 5]);
    }
}
