//! The ledger with a map of its own in place of the kernel's.

use std::fs;

use hayward_model::{InboundEvidence, InboundLimit, ProbeKind, ScanShape};
use hayward_policy::Policy;
use proptest::prelude::*;
use tempfile::TempDir;

mod keeping;
mod orders;

use super::{fake::FakeMap, *};

const HOUR: Duration = Duration::from_secs(3600);
const MOST: usize = 1000;

fn net(text: &str) -> IpNet {
    parse_source(text).expect(text)
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

fn settings() -> InboundSettings {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("hayward.yaml");
    fs::write(&file, "{}\n").expect("settings");
    let policy = Policy::load(Some(&file)).expect("the defaults");
    InboundSettings {
        ban: HOUR,
        longest_ban: 24 * HOUR,
        memory: 24 * HOUR,
        ..policy.inbound
    }
}

fn event(source: &str, verdict: InboundVerdict) -> InboundEvent {
    InboundEvent {
        boot_ns: 1,
        verdict,
        device: 2,
        banned_ns: 60_000_000_000,
        evidence: InboundEvidence {
            source: net(source),
            target: "192.0.2.1".parse().expect("an address"),
            limit: InboundLimit::Unanswered,
            kinds: vec![ProbeKind::Syn],
            shape: ScanShape::Vertical,
            contacts: 12,
            answered: 1,
            failed: 11,
            ports: vec![21, 22],
            milliseconds: 900,
            proven: true,
            decoys: false,
            sources: None,
            interface: None,
        },
    }
}

fn order(texts: &[&str], time: Option<Duration>) -> BanOrder {
    BanOrder {
        nets: nets(texts),
        time,
        strength: BanStrength::Full,
        origin: BanOrigin::Operator,
        comment: Some("abuse letter".to_owned()),
        actor: Some("ann (uid 1000)".to_owned()),
        most: MOST,
        skip_refused: false,
        dry_run: false,
    }
}

fn allow(texts: &[&str], time: Option<Duration>) -> AllowOrder {
    AllowOrder {
        nets: nets(texts),
        time,
        comment: Some("a friend".to_owned()),
        actor: None,
    }
}

/// A ledger in a folder, with a map.
struct Bench {
    folder: TempDir,
    ledger: Ledger,
    map: FakeMap,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::in_folder(folder, FakeMap::default())
    }

    fn in_folder(folder: TempDir, map: FakeMap) -> Self {
        let (ledger, problem) = Ledger::beside(folder.path());
        assert_eq!(problem, None);
        ledger.attach_never(map.clone()).expect("written");
        let attached = ledger.attach(map.clone());
        assert_eq!(attached.problems, Vec::<String>::new());
        Self {
            folder,
            ledger,
            map,
        }
    }

    /// As after the agent was killed: nothing is told to anybody.
    fn restarted(self) -> Self {
        Self::in_folder(self.folder, self.map)
    }

    /// As after the host was: the kernel knows nothing.
    fn rebooted(self) -> Self {
        Self::in_folder(self.folder, FakeMap::default())
    }

    fn banned(&self) -> Vec<String> {
        let list = self.ledger.list();
        list.iter().map(|it| it.ban.net.to_string()).collect()
    }
}

fn later(time: Duration) -> Timestamp {
    Timestamp::now().checked_add(time).expect("in time")
}

#[test]
fn what_an_operator_bans_holds_over_a_restart_and_a_reboot_until_it_is_lifted() {
    let bench = Bench::new();
    let order = order(&["192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.1"], None);
    bench.ledger.ban(&order).expect("banned");
    let expected = ["192.0.2.7/32", "198.51.100.1/32", "2001:db8::/32"];
    assert_eq!(bench.map.nets(), expected);
    let bench = bench.restarted();
    assert_eq!(bench.map.nets(), expected);
    let bench = bench.rebooted();
    assert_eq!(bench.map.nets(), expected);
    let list = bench.ledger.list();
    assert_eq!(list[0].ban.actor.as_deref(), Some("ann (uid 1000)"));
    assert_eq!(list[0].ban.reason.as_deref(), Some("abuse letter"));
    assert_eq!(list[0].dropped, Some(7));

    let lifted = bench
        .ledger
        .lift(&nets(&["192.0.2.7", "192.0.2.8", "2001:db8::1"]));
    let lifted = lifted.expect("lifted");
    assert_eq!(lifted.nets, nets(&["192.0.2.7"]));
    assert!(lifted.unknown[0].contains("192.0.2.8 is not banned"));
    assert!(lifted.unknown[1].contains("2001:db8::/32 is"), "{lifted:?}");
    let bench = bench.restarted();
    assert_eq!(bench.map.nets(), expected[1..]);
    assert_eq!(bench.ledger.flush().expect("lifted"), 2);
    assert_eq!(bench.map.nets(), Vec::<String>::new());
    assert_eq!(bench.rebooted().banned(), Vec::<String>::new());
}

#[test]
fn a_time_goes_on_over_a_reboot_and_what_is_over_is_not_restored() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], Some(HOUR)))
        .expect("banned");
    let short = Some(Duration::from_millis(1));
    bench
        .ledger
        .ban(&order(&["192.0.2.8"], short))
        .expect("banned");
    while bench.banned().len() > 1 {
        std::thread::yield_now();
    }
    let bench = bench.rebooted();
    assert_eq!(bench.map.nets(), ["192.0.2.7/32"]);
    let left = bench.map.left("192.0.2.7/32").expect("banned");
    assert!(left < HOUR && left > HOUR - Duration::from_secs(60));
}

#[test]
fn bans_end_to_the_second() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["192.0.2.7"], Some(HOUR)))
        .expect("banned");
    bench
        .ledger
        .ban(&order(&["192.0.2.0/24"], None))
        .expect("banned");
    let soon = bench.ledger.tick(later(HOUR - Duration::from_secs(1)));
    assert_eq!(soon.expect("asked"), Ended::default());
    let ended = bench.ledger.tick(later(HOUR)).expect("ended");
    assert_eq!(ended.bans.len(), 1);
    assert_eq!(bench.map.nets(), ["192.0.2.0/24"]);
    assert_eq!(bench.banned(), ["192.0.2.0/24"]);
}

#[test]
fn who_scans_again_is_banned_for_longer_and_remembered_over_a_restart() {
    let bench = Bench::new();
    let settings = settings();
    let event = event("192.0.2.7", InboundVerdict::Banned);
    let mut expected = HOUR;
    for times in 1..8 {
        bench
            .map
            .ban_by_kernel("192.0.2.7/32", HOUR, BanStrength::Full);
        let ban = bench.ledger.found(&settings, &event, "01J");
        let ban = ban.expect("banned").expect("entered");
        assert_eq!((ban.times, ban.record.as_deref()), (times, Some("01J")));
        let left = bench.map.left("192.0.2.7/32").expect("banned");
        let until = ban.until.expect("an end");
        assert!(left <= expected.mul_f64(1.1), "{times} {left:?}");
        assert!(left >= expected.mul_f64(0.89), "{times} {left:?}");
        assert!(until <= later(settings.longest_ban));
        expected = (expected * 2).min(settings.longest_ban);
        bench.ledger.tick(until).expect("ended");
        assert_eq!(bench.map.nets(), Vec::<String>::new());
    }
    let bench = bench.restarted();
    assert_eq!(bench.ledger.list()[0].ban.times, 7);
    // Whoever ends a ban by hand did not think that it was deserved.
    bench.ledger.found(&settings, &event, "a").expect("banned");
    bench.ledger.lift(&nets(&["192.0.2.7"])).expect("lifted");
    let ban = bench.ledger.found(&settings, &event, "b").expect("banned");
    assert_eq!(ban.map(|ban| ban.times), Some(1));
}

#[test]
fn a_source_whose_ban_is_over_is_remembered_over_a_restart() {
    let mut bench = Bench::new();
    let event = event("192.0.2.7", InboundVerdict::Banned);
    let short = InboundSettings {
        ban: Duration::from_nanos(1),
        ..settings()
    };
    for times in 1..4 {
        let ban = bench.ledger.found(&short, &event, "a").expect("banned");
        assert_eq!(ban.map(|ban| ban.times), Some(times));
        while !bench.banned().is_empty() {
            std::thread::yield_now();
        }
        bench = bench.restarted();
        assert_eq!(bench.map.nets(), Vec::<String>::new());
    }
}

#[test]
fn a_source_is_forgotten_when_it_was_quiet_for_long_enough() {
    let bench = Bench::new();
    let event = event("192.0.2.7", InboundVerdict::Banned);
    let short = InboundSettings {
        ban: Duration::from_millis(1),
        memory: Duration::from_millis(1),
        ..settings()
    };
    for _ in 0..3 {
        let ban = bench.ledger.found(&short, &event, "a").expect("banned");
        let ban = ban.expect("entered");
        assert_eq!(ban.times, 1);
        let over = ban.until.expect("an end").checked_add(short.memory);
        let over = over.expect("in time");
        while Timestamp::now() < over {
            std::thread::yield_now();
        }
    }
}

#[test]
fn what_may_be_somebody_elses_address_is_not_kept_and_leaves_the_map() {
    let bench = Bench::new();
    let none = bench.ledger.found(
        &settings(),
        &event("192.0.2.7", InboundVerdict::SoftBanned),
        "a",
    );
    assert_eq!(none.expect("noted"), None);
    bench.ledger.tick(Timestamp::now()).expect("swept");
    bench
        .map
        .ban_by_kernel("192.0.2.7/32", Duration::ZERO, BanStrength::Soft);
    // Banned anew meanwhile.
    bench
        .ledger
        .found(
            &settings(),
            &event("192.0.2.8", InboundVerdict::SoftBanned),
            "a",
        )
        .expect("noted");
    bench
        .map
        .ban_by_kernel("192.0.2.8/32", HOUR, BanStrength::Soft);
    let ended = bench.ledger.tick(later(Duration::from_secs(59)));
    assert_eq!(ended.expect("ended").passing, 0);
    let ended = bench.ledger.tick(later(Duration::from_secs(61)));
    assert_eq!(ended.expect("ended").passing, 1);
    assert_eq!(bench.map.nets(), ["192.0.2.8/32"]);
    assert!(bench.ledger.list()[0].passing);
    assert_eq!(bench.ledger.count(), 0);
    for verdict in [InboundVerdict::Observed, InboundVerdict::NoRoom] {
        let event = event("192.0.2.9", verdict);
        assert_eq!(
            bench.ledger.found(&settings(), &event, "a").expect("noted"),
            None
        );
    }
    assert_eq!(bench.map.nets(), ["192.0.2.8/32"]);
}

#[test]
fn bans_whose_events_were_lost_are_found_in_the_map() {
    let bench = Bench::new();
    bench
        .map
        .ban_by_kernel("192.0.2.7/32", HOUR, BanStrength::Full);
    for number in 0..255 {
        let net = format!("198.51.100.{number}/32");
        bench
            .map
            .ban_by_kernel(&net, Duration::ZERO, BanStrength::Soft);
    }
    bench.ledger.tick(Timestamp::now()).expect("swept");
    assert_eq!(bench.ledger.count(), 1);
    let ended = bench.ledger.tick(Timestamp::now()).expect("swept");
    assert_eq!(ended.passing, 255);
    assert_eq!(bench.rebooted().banned(), ["192.0.2.7/32"]);
}

#[test]
fn what_the_kernel_banned_while_no_agent_ran_is_taken_up_once() {
    let bench = Bench::new();
    bench
        .ledger
        .ban(&order(&["203.0.113.1"], None))
        .expect("banned");
    bench
        .map
        .ban_by_kernel("192.0.2.7/32", HOUR, BanStrength::Full);
    bench
        .map
        .ban_by_kernel("192.0.2.8/32", HOUR, BanStrength::Soft);
    bench
        .map
        .ban_by_kernel("192.0.2.9/32", Duration::ZERO, BanStrength::Full);
    bench.map.maps().bans.remove(&net("203.0.113.1"));
    let unknown = bench
        .map
        .clone()
        .put(net("192.0.2.10"), None, BanStrength::Full);
    unknown.expect("put");
    let bench = bench.restarted();
    assert_eq!(
        bench.map.nets(),
        ["192.0.2.7/32", "192.0.2.8/32", "203.0.113.1/32"]
    );
    assert_eq!(bench.ledger.count(), 2);
    // Its event is read after that, and is no second scan.
    let event = event("192.0.2.7", InboundVerdict::Banned);
    let ban = bench.ledger.found(&settings(), &event, "01J");
    let ban = ban.expect("banned").expect("entered");
    assert_eq!((ban.times, ban.record.as_deref()), (1, Some("01J")));
    let bench = bench.rebooted();
    assert_eq!(bench.map.nets(), ["192.0.2.7/32", "203.0.113.1/32"]);
}
