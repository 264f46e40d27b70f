//! The order of things: checked, noted, done, undone.

use super::*;
use crate::{Bounds, Cut, Restriction, fake::Fake};

fn done(fake: &Fake, what: Act, dry_run: bool) -> Result<Done, ActError> {
    fake.with(|target| act(target, &fake.restrictions(), what, dry_run))
}

fn restriction(fake: &Fake) -> Option<Restriction> {
    let restrictions = fake.restrictions().into_inner().expect("ours alone");
    restrictions.of(fake.id("root/job")).cloned()
}

fn share(text: &str) -> Act {
    Act::Throttle(text.parse().expect("a share"))
}

#[test]
fn a_freeze_is_noted_and_undone_once() {
    let fake = Fake::new();
    let first = done(&fake, Act::Freeze, false).expect("frozen");
    assert_eq!(first.action, Some(Action::Frozen));
    assert_eq!(fake.read("cgroup.freeze"), "1");
    assert!(restriction(&fake).is_some_and(|it| it.frozen));
    assert_eq!(done(&fake, Act::Freeze, false).expect("again").action, None);

    fake.write("root/job/cgroup.events", "populated 0\nfrozen 0\n");
    let thawed = done(&fake, Act::Thaw, false).expect("thawed");
    assert_eq!(thawed, Done::new(Action::Thawed, ""));
    assert_eq!(
        (fake.read("cgroup.freeze").as_str(), restriction(&fake)),
        ("0", None)
    );
    assert_eq!(done(&fake, Act::Thaw, false).expect("again").action, None);
}

#[test]
fn what_somebody_else_froze_is_left_to_them() {
    let fake = Fake::new();
    fake.write("root/job/cgroup.freeze", "1\n");
    let found = done(&fake, Act::Freeze, false).expect("found");
    assert_eq!(found.action, None);
    assert!(found.note.contains("not by Hayward"), "{}", found.note);
    let refused = done(&fake, Act::Thaw, false);
    assert!(
        matches!(refused, Err(ActError::NotOurs { .. })),
        "{refused:?}"
    );
    assert_eq!(
        (fake.read("cgroup.freeze").as_str(), restriction(&fake)),
        ("1", None)
    );
}

#[test]
fn a_throttle_gives_back_exactly_what_was_there() {
    let fake = Fake::new();
    fake.write("root/job/cpu.max", "150000 100000\n");
    fake.write("root/job/cpu.max.burst", "7000\n");
    let first = done(&fake, share("5%"), false).expect("throttled");
    assert_eq!(first.action, Some(Action::Throttled));
    assert_eq!(fake.read("cpu.max"), "5000 100000");
    assert_eq!(fake.read("cpu.max.burst"), "0");
    done(&fake, share("50%"), false).expect("another share");
    assert_eq!(fake.read("cpu.max"), "50000 100000");
    done(&fake, Act::Release, false).expect("released");
    assert_eq!(fake.read("cpu.max"), "150000 100000");
    assert_eq!(fake.read("cpu.max.burst"), "7000");
    assert_eq!(restriction(&fake), None);
    assert_eq!(
        done(&fake, Act::Release, false).expect("again").action,
        None
    );
}

#[test]
fn a_limit_is_never_raised_nor_one_of_somebody_else_undone() {
    let fake = Fake::new();
    fake.write("root/job/cpu.max", "2000 100000\n");
    assert_eq!(done(&fake, share("5%"), false).expect("found").action, None);
    assert_eq!(fake.read("cpu.max"), "2000 100000");
    fake.write("root/job/cpu.max", "max 100000\n");
    done(&fake, share("5%"), false).expect("throttled");
    fake.write("root/job/cpu.max", "9000 100000\n");
    let released = done(&fake, Act::Release, false).expect("released");
    assert!(released.note.contains("somebody else"), "{}", released.note);
    assert_eq!(
        (fake.read("cpu.max").as_str(), restriction(&fake)),
        ("9000 100000", None)
    );
}

#[test]
fn without_the_controller_there_is_no_throttle() {
    let fake = Fake::new();
    let refused = done(&fake, share("5%"), false);
    let text = refused.expect_err("impossible").to_string();
    assert!(
        text.contains("`cpu`") && text.contains("hayward freeze"),
        "{text}"
    );
    assert_eq!(restriction(&fake), None);
}

#[test]
fn what_cannot_be_noted_is_not_done() {
    let fake = Fake::new();
    fake.write("root/job/cpu.max", "max 100000\n");
    let nowhere = fake.path("none");
    let refused = fake.with(|target| {
        let restrictions = Restrictions::open(&nowhere).0.into();
        let frozen = act(target, &restrictions, Act::Freeze, false);
        assert!(
            matches!(frozen, Err(ActError::Restrictions(_))),
            "{frozen:?}"
        );
        act(target, &restrictions, share("5%"), false)
    });
    assert!(
        matches!(refused, Err(ActError::Restrictions(_))),
        "{refused:?}"
    );
    assert_eq!(
        (
            fake.read("cpu.max").as_str(),
            fake.read("cgroup.freeze").as_str()
        ),
        ("max 100000", "0")
    );
}

#[test]
fn a_quarantine_is_noted_for_its_time_and_released_with_a_throttle() {
    let fake = Fake::new();
    fake.write("root/job/cpu.max", "max 100000\n");
    let asked = std::cell::RefCell::new(Vec::new());
    let cut = |_: &str, cut: Cut| {
        asked.borrow_mut().push(cut);
        Ok(())
    };
    let bounds = Bounds {
        quarantine: &cut,
        ..fake.bounds()
    };
    let target = Target::open(&bounds, fake.id("root/job"), "/root/job").expect("it is there");
    let done = |what| act(&target, &fake.restrictions(), what, false).expect("done");
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(
        done(Act::Quarantine(hour)).action,
        Some(Action::Quarantined)
    );
    let noted = || restriction(&fake).and_then(|it| it.quarantined);
    assert!(noted().is_some_and(|it| it.until.is_some()));
    // A shorter one changes nothing, a longer one does.
    let shorter = done(Act::Quarantine(Some(Duration::from_secs(60))));
    assert_eq!(shorter.action, None, "{shorter:?}");
    done(Act::Quarantine(None));
    assert!(noted().is_some_and(|it| it.until.is_none()));
    done(share("5%"));
    let released = done(Act::Release);
    assert!(
        released.note.starts_with("quarantined no more; cpu.max"),
        "{released:?}"
    );
    assert_eq!(restriction(&fake), None);
    let cuts = [Cut::For(hour), Cut::For(None), Cut::Nothing];
    assert_eq!(*asked.borrow(), cuts);
    assert_eq!(done(Act::Lift).action, None);
    // One that is over is not there any more.
    done(Act::Quarantine(Some(Duration::ZERO)));
    assert_eq!(restriction(&fake), None);
}

#[test]
fn a_dry_run_changes_nothing() {
    let fake = Fake::new();
    fake.write("root/job/cpu.max", "max 100000\n");
    fake.write("root/job/cgroup.kill", "");
    for (what, action) in [
        (Act::Freeze, Some(Action::Frozen)),
        (share("5%"), Some(Action::Throttled)),
        (Act::KillWorkload, Some(Action::WorkloadKilled)),
        (Act::Thaw, None),
        (Act::Release, None),
    ] {
        assert_eq!(done(&fake, what, true).expect("checked").action, action);
    }
    assert_eq!(fake.read("cgroup.freeze"), "0");
    assert_eq!(fake.read("cpu.max"), "max 100000");
    assert_eq!(fake.read("cgroup.kill"), "");
    assert_eq!(restriction(&fake), None);
}
