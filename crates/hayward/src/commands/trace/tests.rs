//! Which contacts are shown, and what is said of them.

use std::path::Path;

use hayward_model::{Contact, Destination, Workload};
use jiff::Timestamp;

use super::{Found, MOST_SHOWN, Window};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn contact(second: i64, workload: u64, address: &str) -> Contact {
    Contact {
        time: at(second),
        process: None,
        workload: Workload {
            cgroup_id: workload,
            ..Workload::default()
        },
        destination: Destination {
            address: address.parse().expect("an address"),
            port: Some(22),
            protocol: "tcp".to_owned(),
        },
    }
}

fn found(contacts: &[(i64, u64, &str)], window: Option<Window>) -> Found {
    let sought = "192.0.2.1".parse().expect("an address");
    let mut found = Found::default();
    for (second, workload, address) in contacts {
        found.take(contact(*second, *workload, address), &sought, window);
    }
    found
}

fn seconds<'a>(contacts: impl IntoIterator<Item = &'a Contact>) -> Vec<i64> {
    let seconds = contacts.into_iter().map(|contact| contact.time.as_second());
    seconds.collect()
}

const LOG: [(i64, u64, &str); 6] = [
    (10, 1, "192.0.2.2"),
    (20, 1, "192.0.2.1"),
    (30, 1, "192.0.2.1"),
    (40, 2, "192.0.2.1"),
    (100, 3, "192.0.2.1"),
    (200, 1, "192.0.2.1"),
];

#[test]
fn without_a_time_all_are_shown_and_the_window_holds_both_its_ends() {
    assert_eq!(seconds(&found(&LOG, None).within), [20, 30, 40, 100, 200]);
    let within = found(&LOG, Some((at(30), at(100))));
    assert_eq!(seconds(&within.within), [30, 40, 100]);
    // The only one before is of a workload that is shown.
    assert_eq!(within.remarks(Some((at(30), at(100)))), [""; 0]);
}

#[test]
fn where_nothing_lies_within_the_latest_before_of_each_workload_is_shown_and_it_is_said() {
    let window = Some((at(60), at(90)));
    let before = found(&LOG, window);
    assert_eq!(seconds(before.before.values()), [30, 40]);
    let remarks = before.remarks(window);
    assert!(remarks[0].contains("1970-01-01 00:01:00") && remarks[0].contains("latest before"));
}

#[test]
fn others_that_were_in_touch_before_are_told_of() {
    let window = Some((at(90), at(110)));
    let remarks = found(&LOG, window).remarks(window);
    assert!(remarks[0].starts_with("2 workloads more"), "{remarks:?}");
}

#[test]
fn nothing_says_how_far_the_log_reaches() {
    let sought = "192.0.2.1".parse().expect("an address");
    let folder = Path::new("/a/folder");
    let none = found(&LOG[..1], None);
    assert!(none.is_empty());
    let said = none.nothing(&sought, Some((at(0), at(1))), folder);
    assert!(
        said.contains(
            "192.0.2.1 until 1970-01-01 00:00:01: the log reaches back to 1970-01-01 00:00:10"
        ),
        "{said}"
    );
    let said = found(&[], None).nothing(&sought, None, folder);
    assert!(said.ends_with("nothing is logged in /a/folder"), "{said}");
}

#[test]
fn of_too_many_the_newest_are_shown() {
    let mut many = Vec::new();
    for second in 0..=i64::try_from(MOST_SHOWN).expect("a number") {
        many.push((second, 1, "192.0.2.1"));
    }
    let found = found(&many, None);
    assert_eq!(found.within.len(), MOST_SHOWN);
    assert_eq!(found.within[0].time, at(1));
    assert!(found.remarks(None)[0].starts_with("1 older contact left out"));
}
