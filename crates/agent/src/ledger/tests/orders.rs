//! What operators ask for.

use std::time::Instant;

use super::*;

#[test]
fn who_is_never_banned_is_not_and_whoever_asks_is_told_why() {
    let bench = Bench::new();
    let never = [
        ("192.0.2.1", "this host's own address"),
        ("10.0.0.0/8", "private"),
    ];
    let never = never.map(|(net, what)| (self::net(net), what.to_owned()));
    bench.ledger.set_never(never.to_vec()).expect("written");
    for (asked, words) in [
        ("192.0.2.1", "it is this host's own address"),
        ("192.0.2.0/24", "around 192.0.2.1, which is this host's own"),
        ("0.0.0.0/0", "this host's own address"),
        ("10.1.2.3", "within 10.0.0.0/8, which is private"),
    ] {
        let order = order(&["198.51.100.7", asked], None);
        let error = bench.ledger.ban(&order).expect_err(asked).to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(bench.map.nets(), Vec::<String>::new());
        let event = event(asked, InboundVerdict::Banned);
        bench
            .map
            .ban_by_kernel(&net(asked).to_string(), HOUR, BanStrength::Full);
        assert_eq!(
            bench.ledger.found(&settings(), &event, "a").expect("asked"),
            None
        );
        assert_eq!(bench.map.nets(), Vec::<String>::new());
    }
    let some = BanOrder {
        skip_refused: true,
        ..order(&["198.51.100.7", "10.0.0.1"], None)
    };
    let done = bench.ledger.ban(&some).expect("banned");
    assert_eq!((done.bans.len(), done.refused.len()), (1, 1));
}

#[test]
fn who_is_allowed_is_banned_no_more_until_that_is_over() {
    let bench = Bench::new();
    let bans = order(&["192.0.2.7", "192.0.2.8", "192.0.0.0/16"], None);
    bench.ledger.ban(&bans).expect("banned");
    bench
        .map
        .ban_by_kernel("192.0.2.9/32", HOUR, BanStrength::Soft);
    let allowed = bench.ledger.allow(&allow(&["192.0.2.0/24"], Some(HOUR)));
    let allowed = allowed.expect("allowed");
    assert_eq!(allowed.nets, nets(&["192.0.2.7", "192.0.2.8", "192.0.2.9"]));
    assert!(allowed.notes[0].contains("though 192.0.0.0/16 is banned"));
    assert_eq!(bench.map.nets(), ["192.0.0.0/16"]);
    let bench = bench.restarted();
    assert_eq!(bench.map.nets(), ["192.0.0.0/16"]);
    assert!(bench.map.maps().never.contains(&net("192.0.2.0/24")));
    let error = bench.ledger.ban(&order(&["192.0.2.7"], None));
    let error = error.expect_err("allowed").to_string();
    assert!(error.contains("a friend"), "{error}");
    assert!(
        error.contains("hayward bans allow remove 192.0.2.0/24"),
        "{error}"
    );
    let ended = bench.ledger.tick(later(HOUR)).expect("ended");
    assert_eq!(ended.allows.len(), 1);
    assert!(bench.map.maps().never.is_empty());
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], None))
        .expect("banned");

    bench
        .ledger
        .allow(&allow(&["2001:db8::/32"], None))
        .expect("allowed");
    let gone = bench
        .ledger
        .disallow(&nets(&["2001:db8::/32", "192.0.2.1"]));
    let gone = gone.expect("removed");
    assert_eq!((gone.nets.len(), gone.unknown.len()), (1, 1));
    assert!(bench.map.maps().never.is_empty());
    let left = bench.restarted().ledger.allowed();
    assert!(!left.iter().any(|allow| allow.net == net("2001:db8::/32")));
}

#[test]
fn a_ban_within_a_wider_one_is_kept_and_said_to_add_nothing() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.0/24"], Some(HOUR)))
        .expect("banned");
    let done = bench.ledger.ban(&order(&["192.0.2.7"], Some(HOUR / 2)));
    assert!(done.expect("banned").notes[0].contains("adds nothing: 192.0.2.0/24"));
    let done = bench.ledger.ban(&order(&["192.0.2.8"], None));
    assert_eq!(done.expect("banned").notes, Vec::<String>::new());
    let why = bench.ledger.why("192.0.2.7".parse().expect("an address"));
    let why = why.expect("asked");
    let bans: Vec<String> = why.bans.iter().map(|it| it.ban.net.to_string()).collect();
    assert_eq!(bans, ["192.0.2.7/32", "192.0.2.0/24"]);
    bench.ledger.lift(&nets(&["192.0.2.0/24"])).expect("lifted");
    assert_eq!(bench.map.nets(), ["192.0.2.7/32", "192.0.2.8/32"]);
}

#[test]
fn a_list_shortens_no_ban_and_says_what_was_there() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], None))
        .expect("banned");
    let list = BanOrder {
        origin: BanOrigin::Import,
        ..order(&["192.0.2.7", "192.0.2.8"], Some(HOUR))
    };
    let dry = BanOrder {
        dry_run: true,
        ..list.clone()
    };
    assert_eq!(bench.ledger.ban(&dry).expect("checked").bans.len(), 1);
    assert_eq!(bench.map.nets(), ["192.0.2.7/32"]);
    let done = bench.ledger.ban(&list).expect("banned");
    assert_eq!((done.bans.len(), done.unchanged), (1, 1));
    assert_eq!(bench.map.left("192.0.2.7/32"), None);
    // An operator may say so.
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], Some(HOUR)))
        .expect("banned");
    assert!(bench.map.left("192.0.2.7/32").is_some());
}

#[test]
fn where_all_cannot_be_banned_nobody_is() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.1"], Some(HOUR)))
        .expect("banned");
    bench.map.maps().most = Some(3);
    let many = order(&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], None);
    let error = bench.ledger.ban(&many).expect_err("full").to_string();
    assert!(
        error.contains("ban one of a length that there is"),
        "{error}"
    );
    bench.map.maps().most = None;
    assert_eq!(bench.map.nets(), ["192.0.2.1/32"]);
    assert!(bench.map.left("192.0.2.1/32").is_some());
    let full = BanOrder {
        most: 3,
        ..many.clone()
    };
    let error = bench.ledger.ban(&full).expect_err("full").to_string();
    assert!(error.contains("most_bans"), "{error}");
    assert_eq!(bench.restarted().banned(), ["192.0.2.1/32"]);
}

#[test]
fn without_the_guard_nobody_is_banned() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, _) = Ledger::beside(folder.path());
    let error = ledger.ban(&order(&["192.0.2.7"], None)).expect_err("off");
    assert!(error.to_string().contains("the guard inbound is off"));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn ten_thousand_bans_are_taken_in_one_go() {
    let bench = Bench::new();
    let texts: Vec<String> = (0..10_000_u32)
        .map(|number| std::net::Ipv4Addr::from(0xc612_0000 + number).to_string())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let order = BanOrder {
        most: 10_000,
        ..order(&texts, None)
    };
    let began = Instant::now();
    bench.ledger.ban(&order).expect("banned");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(bench.ledger.count(), 10_000);
}
