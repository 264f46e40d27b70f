//! The journal from outside: what is appended is found again, in order, and no more than is to be kept.

mod common;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

    use hayward_record::journal::{AppendError, Notice, Order, Start, Subject};
    use hayward_record::{Journal, JournalError, Query, Reader};
    use tempfile::tempdir;

    use super::common::{large, open, options, pids, record};

    fn segments(directory: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "jsonl"))
            .collect();
        paths.sort();
        paths
    }

    fn age(path: &Path, days: u64) {
        let time = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    #[test]
    fn records_are_found_in_both_orders_within_the_limit() {
        let directory = tempdir().unwrap();
        let journal = open(directory.path());
        for pid in 0..10 {
            journal.append(&record(pid, 1000 + pid % 2, "w")).unwrap();
        }
        let found = |query| pids(directory.path(), query).0;
        assert_eq!(found(Query::default()), Vec::from_iter(0..10));
        let query = Query {
            order: Order::NewestFirst,
            limit: Some(3),
            user: Some("1001".into()),
            ..Query::default()
        };
        assert_eq!(found(query), [9, 7, 5]);
    }

    #[test]
    fn only_the_owner_can_read_it() {
        let parent = tempdir().unwrap();
        let directory = parent.path().join("a/journal");
        open(&directory).append(&record(1, 1, "w")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&segments(&directory)[0]), 0o600);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let directory = tempdir().unwrap();
        let journal = open(directory.path());
        let first = journal.append(&record(1, 1, "w")).unwrap();
        let second = journal.append(&record(2, 1, "w")).unwrap();
        drop(journal);
        let path = segments(directory.path()).remove(0);
        let whole = fs::read(&path).unwrap();
        for length in first..first + second {
            fs::write(&path, &whole[..usize::try_from(length).unwrap()]).unwrap();
            let (journal, notices) = Journal::open(options(directory.path(), 1 << 30)).unwrap();
            let torn = length - first;
            let expected = (torn > 0).then(|| Notice::TornLine {
                path: path.clone(),
                bytes: torn,
            });
            assert_eq!(notices, Vec::from_iter(expected));
            journal.append(&record(3, 1, "w")).unwrap();
            assert_eq!(pids(directory.path(), Query::default()), (vec![1, 3], 0));
        }
    }

    #[test]
    fn unreadable_lines_are_counted_and_skipped() {
        let directory = tempdir().unwrap();
        let journal = open(directory.path());
        journal.append(&record(1, 1, "w")).unwrap();
        let path = segments(directory.path()).remove(0);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"\0\0\0\xff\n{\"id\":1}\n");
        fs::write(&path, &bytes).unwrap();
        journal.append(&record(2, 1, "w")).unwrap();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let (found, unreadable) = pids(
                directory.path(),
                Query {
                    order,
                    ..Query::default()
                },
            );
            assert_eq!((found.len(), unreadable), (2, 2));
        }
    }

    #[test]
    fn segments_rotate_and_the_oldest_go_when_there_is_too_much() {
        let directory = tempdir().unwrap();
        let max = 4 << 20;
        let (journal, _) = Journal::open(options(directory.path(), max)).unwrap();
        for pid in 0..100 {
            journal.append(&large(pid, 100_000)).unwrap();
            let on_disk: u64 = segments(directory.path())
                .iter()
                .map(|path| fs::metadata(path).unwrap().len())
                .sum();
            assert!(on_disk <= max, "{on_disk}");
            assert_eq!(journal.bytes(), on_disk);
        }
        let (found, unreadable) = pids(directory.path(), Query::default());
        assert_eq!(unreadable, 0);
        assert!((20..45).contains(&found.len()), "{}", found.len());
        let first = 100 - u32::try_from(found.len()).unwrap();
        assert_eq!(found, Vec::from_iter(first..100));
        let newest = Query {
            order: Order::NewestFirst,
            ..Query::default()
        };
        assert!(
            pids(directory.path(), newest)
                .0
                .into_iter()
                .rev()
                .eq(first..100)
        );
    }

    #[test]
    fn what_is_too_old_goes_and_a_new_day_begins_a_new_segment() {
        let directory = tempdir().unwrap();
        let line = |pid| serde_json::to_string(&record(pid, 1, "w")).unwrap() + "\n";
        for (name, pid, days) in [
            ("0000000001-2020-01-01.jsonl", 1, 8),
            ("0000000002-2020-01-02.jsonl", 2, 6),
            ("0000000003-2020-01-03.jsonl", 3, 0),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, line(pid)).unwrap();
            age(&path, days);
        }
        let journal = open(directory.path());
        journal.append(&record(4, 1, "w")).unwrap();
        assert_eq!(pids(directory.path(), Query::default()).0, [2, 3, 4]);
        let names = segments(directory.path());
        assert_eq!(names.len(), 3);
        assert!(
            names[2]
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("0000000004-")
        );
        age(&names[0], 8);
        journal.tidy().unwrap();
        assert_eq!(pids(directory.path(), Query::default()).0, [3, 4]);
    }

    #[test]
    fn one_writer_at_a_time_and_readers_beside_it() {
        let directory = tempdir().unwrap();
        let journal = open(directory.path());
        let second = Journal::open(options(directory.path(), 1 << 30));
        assert!(matches!(second, Err(JournalError::InUse { .. })));
        assert!(Reader::open(directory.path()).is_ok());
        drop(journal);
        open(directory.path());
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let directory = tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Journal::open(options(&file.join("journal"), 1 << 30)).unwrap_err();
        assert!(matches!(error, JournalError::Directory { .. }));
        let text = error.to_string();
        assert!(
            text.contains("file/journal") && text.contains("set `journal.path`"),
            "{text}"
        );
        let error = Journal::open(options(directory.path(), 1)).unwrap_err();
        assert!(error.to_string().contains("2MiB"), "{error}");
        let error = Reader::open(directory.path().join("none")).unwrap_err();
        assert!(
            matches!(error, JournalError::Missing { .. })
                && error.to_string().contains("hayward run")
        );
        let journal = open(directory.path());
        assert!(matches!(
            journal.append(&large(1, 2 << 20)),
            Err(AppendError::TooLong { .. })
        ));
        journal.append(&record(2, 1, "w")).unwrap();
        assert_eq!(pids(directory.path(), Query::default()), (vec![2], 0));
    }

    #[test]
    fn a_journal_removed_under_the_agent_is_begun_again() {
        let parent = tempdir().unwrap();
        let directory = parent.path().join("journal");
        let journal = open(&directory);
        journal.append(&record(1, 1, "w")).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        journal.append(&record(2, 1, "w")).unwrap();
        assert_eq!(pids(&directory, Query::default()).0, [2]);
    }

    #[test]
    fn following_goes_on_through_rotation_forgetting_and_restart() {
        let directory = tempdir().unwrap();
        let (journal, _) = Journal::open(options(directory.path(), 4 << 20)).unwrap();
        journal.append(&record(0, 1, "w")).unwrap();
        let reader = Reader::open(directory.path()).unwrap();
        let mut follow = reader.follow(Query::default(), Start::Now).unwrap();
        let mut from_start = reader.follow(Query::default(), Start::Beginning).unwrap();
        let mut new = || -> Vec<u32> {
            let records = follow.poll().unwrap();
            records
                .into_iter()
                .map(|record| record.process.unwrap().pid)
                .collect()
        };
        assert!(new().is_empty());
        for pid in 1..25 {
            journal.append(&large(pid, 100_000)).unwrap();
        }
        assert!(segments(directory.path()).len() > 1);
        assert_eq!(new(), Vec::from_iter(1..25));
        journal.append(&record(25, 7, "w")).unwrap();
        journal.append(&record(26, 1, "w")).unwrap();
        assert_eq!(new(), [25, 26]);
        assert_eq!(journal.forget(&Subject::Uid(7)).unwrap().removed, 1);
        journal.append(&record(27, 1, "w")).unwrap();
        assert_eq!(new(), [27]);
        drop(journal);
        let path = segments(directory.path()).pop().unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"torn\":");
        fs::write(&path, torn).unwrap();
        assert!(new().is_empty());
        let (journal, notices) = Journal::open(options(directory.path(), 4 << 20)).unwrap();
        assert_eq!(notices.len(), 1);
        journal.append(&record(28, 1, "w")).unwrap();
        assert_eq!(new(), [28]);
        assert_eq!(from_start.poll().unwrap().len(), 28);
    }

    #[test]
    fn forgetting_removes_one_subject_and_leaves_the_others() {
        let directory = tempdir().unwrap();
        let journal = open(directory.path());
        for (pid, uid, workload) in [
            (1, 10, "ann"),
            (2, 11, "joanna"),
            (3, 10, "bob"),
            (4, 12, "ann"),
        ] {
            journal.append(&record(pid, uid, workload)).unwrap();
        }
        let path = segments(directory.path()).remove(0);
        let newer = r#"{"action":"of a newer version","process":{"uid":10}}"#;
        fs::write(
            &path,
            fs::read_to_string(&path).unwrap() + newer + "\n" + "damaged\n",
        )
        .unwrap();
        age(&path, 3);
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let forgotten = journal.forget(&"ann".into()).unwrap();
        assert_eq!((forgotten.removed, forgotten.unreadable), (2, 1));
        assert_eq!(pids(directory.path(), Query::default()), (vec![2, 3], 1));
        assert_eq!(journal.forget(&"10".into()).unwrap().removed, 2);
        assert_eq!(pids(directory.path(), Query::default()), (vec![2], 0));
        let mut whose = record(6, 13, "w");
        let user = ("JUPYTERHUB_USER".to_owned(), "ann".to_owned());
        whose.workload.as_mut().unwrap().attributes.extend([user]);
        journal.append(&whose).unwrap();
        assert_eq!(journal.forget(&"ann".into()).unwrap().removed, 1);
        assert_eq!(pids(directory.path(), Query::default()), (vec![2], 0));
        assert_eq!(journal.forget(&"nobody".into()).unwrap().removed, 0);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        journal.append(&record(5, 1, "w")).unwrap();
        assert_eq!(pids(directory.path(), Query::default()).0, [2, 5]);
    }

    #[test]
    fn an_unfinished_rewrite_is_removed_with_a_notice() {
        let directory = tempdir().unwrap();
        open(directory.path()).append(&record(1, 1, "w")).unwrap();
        let left = directory.path().join("0000000001-2026-01-01.jsonl.rewrite");
        fs::write(&left, "half").unwrap();
        let (_journal, notices) = Journal::open(options(directory.path(), 1 << 30)).unwrap();
        assert_eq!(notices, [Notice::UnfinishedRewrite { path: left.clone() }]);
        assert!(!left.exists());
        assert_eq!(pids(directory.path(), Query::default()).0, [1]);
    }
}
