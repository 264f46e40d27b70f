//! A journal with damaged segments: every line that can be read is found, in both orders, and the others are counted.

mod common;

#[cfg(test)]
mod tests {
    use std::fs;

    use hayward_fuzz::{Corpus, throw};
    use hayward_record::{
        Journal, Query, Reader,
        journal::{Order, Start, Subject, parse_line},
    };
    use proptest::prelude::*;

    use super::common::{options, record};

    fn corpus() -> Corpus {
        let line = |pid| {
            let mut record = record(pid, 1000, "w");
            record.detail = Some("• \u{2028} \\".to_owned());
            serde_json::to_string(&record).expect("a record") + "\n"
        };
        let words = [
            "\"pid\":",
            "\"time\":\"",
            "null",
            "{\"id\":",
            "\\ud800",
            "[[[[[[[[",
        ];
        Corpus::new([line(1) + &line(2) + &line(3), line(4)], words)
    }

    #[test]
    fn parsing_damaged_lines_never_panics() {
        throw(500, &corpus().damaged(), |input| {
            for line in input.0.split(|byte| *byte == b'\n') {
                if let Ok(record) = parse_line(line) {
                    let again = serde_json::to_vec(&record).expect("a record");
                    prop_assert_eq!(parse_line(&again).expect("its own line"), record);
                }
            }
            Ok(())
        });
    }

    #[test]
    fn reading_damaged_journals_never_panics() {
        let segments = prop::collection::vec(corpus().damaged(), 1..4);
        throw(60, &segments, |segments| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut readable = 0;
            for (index, segment) in segments.iter().enumerate() {
                let name = format!("{:010}-2026-11-21.jsonl", index + 1);
                fs::write(folder.path().join(name), &segment.0).expect("a segment");
                let lines = segment.0.split_inclusive(|byte| *byte == b'\n');
                readable += lines
                    .filter(|line| line.ends_with(b"\n") && parse_line(line).is_ok())
                    .count();
            }
            let reader = Reader::open(folder.path()).expect("a journal");
            let found = |order| -> Vec<_> {
                let query = Query {
                    order,
                    ..Query::default()
                };
                let records = reader.query(query).expect("a query");
                records.map(|record| record.expect("a record")).collect()
            };
            let mut backwards = found(Order::NewestFirst);
            backwards.reverse();
            prop_assert_eq!(backwards.len(), readable);
            prop_assert_eq!(backwards, found(Order::OldestFirst));
            let follow = reader.follow(Query::default(), Start::Beginning);
            let mut follow = follow.expect("a place");
            let mut followed = 0;
            loop {
                let records = follow.poll().expect("records");
                if records.is_empty() {
                    break;
                }
                followed += records.len();
            }
            prop_assert_eq!(followed, readable);
            // A writer opens it all the same, repairs its end, and forgets.
            let (journal, _) = Journal::open(options(folder.path(), 1 << 30)).expect("opened");
            journal.append(&record(9, 9, "x")).expect("appended");
            let forgotten = journal.forget(&Subject::Uid(9)).expect("forgotten");
            prop_assert_eq!(forgotten.removed, 1);
            Ok(())
        });
    }
}
