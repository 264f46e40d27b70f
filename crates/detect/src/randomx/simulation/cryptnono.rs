//! cryptnono's rule on the same samples, for comparison.

use hayward_model::RoundingSample;

use super::{
    super::{Settings, judge},
    Plan, Process,
    innocents::classes,
    miners::fast,
};

/// After how many samples of a process cryptnono kills it: once another mode than nearest was seen more than 64 times.
fn cryptnono(samples: &[RoundingSample]) -> Option<usize> {
    let others = samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sample.mode != 0);
    others.map(|(index, _)| index + 1).nth(64)
}

#[test]
fn simulation_of_cryptnono() {
    let told = |after: Option<usize>| after.map_or("never".to_owned(), |after| after.to_string());
    let mut all = classes();
    all.push(("RandomX", Box::new(fast)));
    let mut killed = 0;
    for (name, make) in all {
        let mut process = Process::new(Plan::ONE, &*make, 1);
        let samples: Vec<RoundingSample> =
            (0..10_000).flat_map(|_| process.next().samples).collect();
        let theirs = cryptnono(&samples);
        let ours = judge(&samples, &Settings::default()).decided_after;
        println!(
            "{name:32} samples until found: cryptnono {:>5}   Hayward {:>5}",
            told(theirs),
            told(ours)
        );
        killed += usize::from(theirs.is_some());
        assert_eq!(ours.is_some(), name == "RandomX", "{name}");
    }
    assert!(
        killed > 20,
        "its rule knows one class of innocents, nearest alone: {killed}"
    );
}
