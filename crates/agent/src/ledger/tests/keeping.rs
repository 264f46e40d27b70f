//! What becomes of the file when it is damaged, torn, full or gone.

use super::*;
use crate::ledger::{
    book::MOST_PAST,
    entry::Line,
    file::{NAME, replay},
};

fn ban(net: IpNet, until: Option<Timestamp>, times: u32, origin: BanOrigin) -> Ban {
    Ban {
        net,
        origin,
        strength: BanStrength::Full,
        made: Timestamp::UNIX_EPOCH,
        until,
        times,
        record: None,
        reason: None,
        actor: None,
    }
}

fn some_net() -> impl Strategy<Value = IpNet> {
    let nets = nets(&["192.0.2.1", "192.0.2.0/24", "192.0.0.0/16", "2001:db8::/64"]);
    prop::sample::select(nets)
}

fn some_line() -> impl Strategy<Value = Line> {
    let time = |seconds: i64| Timestamp::from_second(seconds).expect("in time");
    prop_oneof![
        4 => (some_net(), prop::option::of(0_i64..100), 1_u32..9, any::<bool>()).prop_map(
            move |(net, until, times, scan)| {
                let origin = if scan { BanOrigin::Scan } else { BanOrigin::Import };
                Line::Ban(ban(net, until.map(time), times, origin))
            }
        ),
        2 => some_net().prop_map(Line::Lifted),
        1 => (some_net(), prop::option::of(0_i64..100)).prop_map(move |(net, until)| {
            Line::Allow(Allow {
                net,
                made: Timestamp::UNIX_EPOCH,
                until: until.map(time),
                comment: Some("x\ny\u{2028}".to_owned()),
                actor: None,
            })
        }),
        1 => some_net().prop_map(Line::Disallow),
        1 => Just(Line::Flushed(Timestamp::UNIX_EPOCH)),
    ]
}

fn written(lines: &[Line]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line).expect("JSON");
        text.push(b'\n');
    }
    text
}

fn book(lines: &[Line]) -> Book {
    let mut book = Book::default();
    for line in lines {
        book.apply(line.clone());
    }
    book
}

proptest! {
    #[test]
    fn a_file_that_ends_anywhere_is_a_beginning_of_what_happened(
        lines in prop::collection::vec(some_line(), 0..20),
        cut in 0.0..=1.0,
    ) {
        let text = written(&lines);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let cut = (text.len() as f64 * cut) as usize;
        let (replayed, bad) = replay(&text[..cut]);
        prop_assert_eq!(bad, Vec::<usize>::new());
        let ends = text[..cut].iter().filter(|byte| **byte == b'\n').count();
        // The last line may be whole but for its end.
        let is_whole = text.get(cut) == Some(&b'\n');
        prop_assert_eq!(replayed, book(&lines[..ends + usize::from(is_whole)]));
    }

    #[test]
    fn what_is_written_anew_says_the_same(lines in prop::collection::vec(some_line(), 0..40)) {
        let book = book(&lines);
        let again: Vec<Line> = book.lines().collect();
        prop_assert_eq!(again.len(), book.len());
        prop_assert_eq!(super::keeping::book(&again), book);
    }

    #[test]
    fn what_is_undone_was_not_there(
        before in prop::collection::vec(some_line(), 0..20),
        lines in prop::collection::vec(some_line(), 0..10),
    ) {
        let before = book(&before);
        let mut after = before.clone();
        let undo = Undo::of(&after, &lines);
        for line in &lines {
            after.apply(line.clone());
        }
        undo.restore(&mut after);
        prop_assert_eq!(after, before);
    }

    #[test]
    fn prefixes_are_found_around_and_within_each_other(
        nets in prop::collection::btree_set((any::<u32>(), 0_u8..=32), 0..60),
        asked in (any::<u32>(), 0_u8..=32),
        shift in 0_u32..32,
    ) {
        // Some bits only, so that many lie within others.
        let of = |(bits, length): (u32, u8)| {
            let address = std::net::Ipv4Addr::from(bits & (0xff_u32.rotate_left(shift)));
            IpNet::new(address.into(), length).expect("a prefix").trunc()
        };
        let all: BTreeSet<IpNet> = nets.into_iter().map(of).collect();
        let asked = of(asked);
        let mut book = Book::default();
        for net in &all {
            book.apply(Line::Ban(ban(*net, None, 1, BanOrigin::Operator)));
        }
        let found: BTreeSet<IpNet> = book.bans_around(asked).map(|ban| ban.net).collect();
        let expected = all.iter().filter(|net| net.contains(&asked)).copied();
        prop_assert_eq!(found, expected.collect::<BTreeSet<_>>());
        let found: BTreeSet<IpNet> = book.bans_within(asked).map(|ban| ban.net).collect();
        let expected = all.iter().filter(|net| asked.contains(*net)).copied();
        prop_assert_eq!(found, expected.collect::<BTreeSet<_>>());
    }
}

#[test]
fn so_many_sources_are_remembered_and_those_whose_bans_ended_first_forgotten() {
    let mut book = Book::default();
    let until = |number: u32| Timestamp::from_second(i64::from(number)).expect("in time");
    let source = |number: u32| IpNet::from(std::net::IpAddr::from(number.to_be_bytes()));
    let most = u32::try_from(MOST_PAST).expect("not so many");
    for number in 0..most + 100 {
        let one = ban(source(number), Some(until(number)), 2, BanOrigin::Scan);
        book.apply(Line::Ban(one));
    }
    book.end(until(u32::MAX));
    assert_eq!(book.len(), MOST_PAST);
    let times = |number| book.times(source(number), Duration::MAX / 2, until(number));
    assert_eq!((times(99), times(100)), (0, 2));
}

#[test]
fn a_file_grows_no_longer_than_what_it_says_is_worth() {
    let bench = Bench::new();
    let file = bench.folder.path().join(NAME);
    let mut most = 0;
    for _ in 0..1500 {
        bench
            .ledger
            .ban(&order(&["192.0.2.7"], None))
            .expect("banned");
        let text = fs::read(&file).expect("the file");
        most = most.max(text.iter().filter(|byte| **byte == b'\n').count());
    }
    assert!((900..1100).contains(&most), "{most}");
    assert_eq!(bench.restarted().banned(), ["192.0.2.7/32"]);
}

#[test]
fn a_torn_line_is_left_out_and_what_is_added_then_stands_by_itself() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], None))
        .expect("banned");
    let file = bench.folder.path().join(NAME);
    let mut text = fs::read(&file).expect("the file");
    text.extend(b"{\"ban\":{\"net\":\"192.0.2.8/32\",\"ori");
    fs::write(&file, text).expect("a file of our own");
    let bench = bench.rebooted();
    assert_eq!(bench.banned(), ["192.0.2.7/32"]);
    bench
        .ledger
        .ban(&order(&["192.0.2.9"], None))
        .expect("banned");
    assert_eq!(bench.rebooted().banned(), ["192.0.2.7/32", "192.0.2.9/32"]);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_file_kept() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.7", "192.0.2.8"], None))
        .expect("banned");
    let Bench { folder, ledger, .. } = bench;
    drop(ledger);
    let file = folder.path().join(NAME);
    for (number, aside) in ["bans.bad", "bans.bad.1"].iter().enumerate() {
        let mut text = fs::read_to_string(&file).expect("the file");
        text.insert_str(0, &format!("rubbish {number}\n"));
        fs::write(&file, &text).expect("a file of our own");
        let (ledger, problem) = Ledger::beside(folder.path());
        let problem = problem.expect("a problem");
        assert!(problem.contains("bans.lines:1 cannot be read"), "{problem}");
        assert!(problem.ends_with(aside), "{problem}");
        assert_eq!(ledger.count(), 2);
        let kept = fs::read_to_string(folder.path().join(aside)).expect("kept");
        assert_eq!(kept, text);
        let map = FakeMap::default();
        ledger.attach(map.clone());
        ledger.ban(&order(&["192.0.2.7"], None)).expect("banned");
        assert_eq!(map.nets().len(), 2);
    }
    let (ledger, problem) = Ledger::beside(folder.path());
    assert_eq!((ledger.count(), problem), (2, None));
}

#[test]
fn a_file_that_cannot_be_read_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join(NAME)).expect("a folder in its place");
    let (ledger, problem) = Ledger::beside(folder.path());
    assert!(problem.is_some_and(|problem| problem.contains(NAME)));
    let map = FakeMap::default();
    ledger.attach(map.clone());
    // By hand, nothing is done that would be lost; a scan is stopped all the same.
    let error = ledger
        .ban(&order(&["192.0.2.7"], None))
        .expect_err("refused");
    assert!(error.to_string().contains("would not hold after a restart"));
    assert_eq!(map.nets(), Vec::<String>::new());
    assert_eq!(ledger.count(), 0);
    let event = event("192.0.2.8", InboundVerdict::Banned);
    let ban = ledger.found(&settings(), &event, "a").expect("banned");
    assert!(ban.is_some());
    assert_eq!(map.nets(), ["192.0.2.8/32"]);
    assert!(folder.path().join(NAME).is_dir());
}

#[test]
fn what_could_not_be_written_is_written_when_that_works_again() {
    let bench = Bench::new();
    let ban = |text: &str| bench.ledger.ban(&order(&[text], None));
    ban("192.0.2.1").expect("banned");
    bench.ledger.lock().file.fill_disk();
    let event = event("192.0.2.8", InboundVerdict::Banned);
    let found = bench.ledger.found(&settings(), &event, "a");
    assert!(found.is_ok_and(|ban| ban.is_some()));
    // Nor is there a folder in which it could be written anew.
    let folder = bench.folder.path().to_owned();
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).expect("moved");
    assert!(matches!(ban("192.0.2.7"), Err(LedgerError::File(_))));
    fs::rename(&away, &folder).expect("moved back");
    assert_eq!(bench.map.nets(), ["192.0.2.1/32", "192.0.2.8/32"]);
    ban("192.0.2.9").expect("banned");
    let expected = ["192.0.2.1/32", "192.0.2.8/32", "192.0.2.9/32"];
    assert_eq!(bench.rebooted().banned(), expected);
}

#[test]
fn what_cannot_be_kept_is_not_done() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.1"], Some(HOUR)))
        .expect("banned");
    bench.ledger.lock().file.fill_disk();
    let again = order(&["192.0.2.1", "192.0.2.7"], None);
    assert!(matches!(
        bench.ledger.ban(&again),
        Err(LedgerError::File(_))
    ));
    assert_eq!(bench.map.nets(), ["192.0.2.1/32"]);
    assert!(bench.map.left("192.0.2.1/32").is_some());
    assert_eq!(bench.rebooted().banned(), ["192.0.2.1/32"]);
}

#[test]
fn reading_a_damaged_ledger_never_panics() {
    use hayward_fuzz::{Corpus, throw};
    let lines = [
        Line::Ban(ban(
            net("192.0.2.7"),
            Some(Timestamp::MAX),
            3,
            BanOrigin::Scan,
        )),
        Line::Lifted(net("2001:db8::/32")),
        Line::Flushed(Timestamp::UNIX_EPOCH),
    ];
    let corpus = Corpus::new([written(&lines)], ["\n", "null", "::/0", "4294967296"]);
    throw(300, &corpus.damaged(), |input| {
        let _ = replay(&input.0);
        Ok(())
    });
}
