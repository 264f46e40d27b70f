//! What lists say, and what is wrong with them.

use std::{fs, time::Instant};

use hayward_fuzz::{Corpus, throw};

use super::*;

const WIDEST: Widest = Widest { v4: 8, v6: 16 };

fn parsed(text: &str) -> BanList {
    parse_bans("a.txt", text.as_bytes(), WIDEST).expect("a good list")
}

fn nets(texts: &[&str]) -> Vec<Ipv6Net> {
    let nets = texts.iter().map(|text| text.parse::<IpNet>());
    nets.map(|net| prefix(net.expect("a prefix"))).collect()
}

#[test]
fn addresses_prefixes_and_names_are_told_apart() {
    let list = parsed(
        "# Source: https://lists.example/drop.txt, hourly\n\
         # Last modified: 2026-05-04T03:02:01Z\n\
         \n\
         192.0.2.7\r\n\
         198.51.100.0/24 ; SB1\n\
         2001:db8::/32#x\n\
         192.0.2.7\n\
         miners.example\n\
         127.0.0.1 localhost localhost.localdomain\n\
         0.0.0.0 0.0.0.0\n\
         0.0.0.0 pool.example other.example # two\n",
    );
    let mut expected = nets(&["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32"]);
    expected.sort_unstable();
    assert_eq!(list.nets, expected);
    let names = ["miners.example", "pool.example", "other.example"];
    let mut names = names.map(domain_hash);
    names.sort_unstable();
    assert_eq!(list.names, names);
    assert_eq!(
        list.source.as_deref(),
        Some("https://lists.example/drop.txt")
    );
    assert_eq!(
        list.date.map(|date| date.to_string()).as_deref(),
        Some("2026-05-04T03:02:01Z")
    );
}

#[test]
fn dates_are_read_as_lists_write_them() {
    for (text, expected) in [
        ("# Date: 2026-05-04", Some("2026-05-04T00:00:00Z")),
        (
            "; Last-Modified: Mon, 04 May 2026 03:02:01 GMT",
            Some("2026-05-04T03:02:01Z"),
        ),
        (
            "# updated: 2026-05-04 03:02 by hand",
            Some("2026-05-04T00:00:00Z"),
        ),
        ("# Entries: 2026-05-04", None),
        ("# Date: tomorrow, or ", None),
        ("1.2.3.4\n# Date: 2026-05-04", None),
    ] {
        let date = parsed(text).date.map(|date| date.to_string());
        assert_eq!(date.as_deref(), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_what_to_do() {
    for (line, part) in [
        ("0.0.0.0/0", "wider than /8"),
        ("10.0.0.0/7", "wider than /8"),
        ("::/0", "wider than /16"),
        ("2000::/15", "wider than /16"),
        ("::ffff:0:0/96", "wider than /8"),
        ("192.0.2.7/24", "write 192.0.2.0/24"),
        ("192.0.2.300", "neither an address"),
        ("192.0.2.7:443", "neither an address"),
        ("com", "neither an address"),
        ("a..b", "neither an address"),
        ("192.0.2.7 pool.example", "more than an address"),
        ("duckdns.org", "all who have a name below it"),
        ("0.0.0.0 DuckDNS.org", "all who have a name below it"),
        ("<html>", "neither an address"),
    ] {
        let text = format!("# a comment\n1.2.3.4\n{line}\n");
        let error = parse_bans("a.txt", text.as_bytes(), WIDEST).expect_err(line);
        let problem = &error.problems[0];
        assert_eq!((problem.line, error.problems.len()), (3, 1), "{error}");
        assert!(problem.message.contains(part), "{line}: {error}");
        assert!(!problem.help.is_empty(), "{line}");
    }
    for good in [
        "10.0.0.0/8",
        "2002::/16",
        "a.duckdns.org",
        "*.pool.example.",
    ] {
        parsed(good);
    }
    let page = "<a href>\n".repeat(500);
    let error = parse_bans("a.txt", page.as_bytes(), WIDEST).expect_err("a page");
    assert_eq!(error.problems.len(), 21);
}

#[test]
fn exceptions_win_and_of_two_lists_the_first_is_named() {
    let one = parsed("10.0.0.0/8\n192.0.2.7\n198.51.100.7\n");
    let other = BanList {
        name: "b.txt".to_owned(),
        ..parsed("192.0.2.7\n203.0.113.0/24\n")
    };
    let exceptions = ["10.1.0.0/16", "198.51.100.0/24", "8.8.8.8/32"];
    let exceptions = exceptions.map(|text| text.parse().expect("a prefix"));
    let number = |name: &str| Some(u8::from(name == "b.txt"));
    let found = bans(&[one, other], &exceptions, number);
    let expected: Bans = [
        ("10.0.0.0/8", Some(0)),
        ("10.1.0.0/16", None),
        ("192.0.2.7/32", Some(0)),
        ("203.0.113.0/24", Some(1)),
    ]
    .into_iter()
    .map(|(net, number)| (nets(&[net])[0], number))
    .collect();
    assert_eq!(found, expected);
}

#[test]
fn of_names_the_first_list_is_named_and_exceptions_are_kept() {
    let one = parsed("Pool.example.\n*.miners.example\n");
    let other = BanList {
        name: "b.txt".to_owned(),
        ..parsed("pool.example\nother.example\n")
    };
    let number = |name: &str| Some(u8::from(name == "b.txt"));
    let exceptions = ["www.pool.example".to_owned()];
    let found = banned_names(&[one, other], &exceptions, number);
    let expected = [
        ("pool.example", Some(0)),
        ("miners.example", Some(0)),
        ("other.example", Some(1)),
        ("www.pool.example", None),
    ];
    let expected = expected.map(|(name, number)| (domain_hash(name), number));
    assert_eq!(found, expected.into_iter().collect());
    assert!(banned_names(&[], &exceptions, number).is_empty());
}

#[test]
fn a_hundred_thousand_lines_are_read_fast() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = |n: u32| format!("{}\n", std::net::Ipv4Addr::from(0x0b00_0000 + n * 7));
    let text: String = (0..100_000).map(line).collect();
    fs::write(folder.path().join("many.txt"), text).expect("a file");
    let glob = folder.path().join("*.txt").display().to_string();
    let start = Instant::now();
    let lists = load_bans(&[glob], WIDEST).expect("a good list");
    assert_eq!(lists[0].nets.len(), 100_000);
    assert!(lists[0].date.is_some(), "when it was written");
    // Unoptimized, on a busy machine.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn a_file_that_is_not_there_and_too_many_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let error = load_bans(&[path("none.txt")], WIDEST).expect_err("not there");
    assert!(
        error.problems[0].message.contains("cannot be read"),
        "{error}"
    );
    assert_eq!(load_bans(&[path("*.none")], WIDEST), Ok(Vec::new()));
    for number in 0..=MOST_BAN_LISTS {
        fs::write(path(&format!("{number}.list")), "1.2.3.4\n").expect("a file");
    }
    let error = load_bans(&[path("*.list")], WIDEST).expect_err("65");
    assert!(error.to_string().contains("64 are possible"), "{error}");
}

#[test]
fn parsing_damaged_lists_never_panics() {
    let seeds = [
        "# Date: 2026-05-04\n1.2.3.0/24 ; x\n2001:db8::/32\n",
        "0.0.0.0 pool.example\n# https://lists.example/a\n",
    ];
    let corpus = Corpus::new(seeds, ["\u{e4}", "#", ";", "/", ":", "::", "65536"]);
    throw(500, &corpus.damaged(), |input| {
        let _ = parse_bans("a", &input.0, WIDEST);
        Ok(())
    });
}
