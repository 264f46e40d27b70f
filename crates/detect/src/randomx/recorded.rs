//! Judging what was recorded of several processes, as the agent would have.

use std::collections::BTreeMap;

use hayward_model::{RoundingEvent, RoundingSample};
use serde::Serialize;

use super::{Alternative, Randomx, Settings, judge};

/// What was recorded of one process, and what the detector says of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Process id.
    pub pid: u32,
    /// Name of the thread that was seen first.
    pub comm: String,
    /// How many threads were seen.
    pub threads: usize,
    /// How often each mode was seen: to nearest, down, up, towards zero.
    pub modes: [u32; 4],
    /// How often numbers too small to be normal were flushed to zero.
    pub flushed: u32,
    /// Seconds from the first sample to the last.
    pub seconds: f64,
    /// Seconds from the first sample to the one that completed the evidence, where one did.
    pub found_after_seconds: Option<f64>,
    /// Samples until then.
    pub found_after_samples: Option<u32>,
    /// What else than mining explains the thread that was seen most; none where nothing does.
    pub explanation: Option<String>,
}

/// Judges events in the order in which they were sent. Processes come in the order in which they were first seen.
pub fn judge_recorded(events: &[RoundingEvent], settings: &Settings) -> Vec<Recorded> {
    let mut order = Vec::new();
    let mut processes: BTreeMap<(u32, u64), Vec<&RoundingEvent>> = BTreeMap::new();
    for event in events {
        let id = (event.pid, event.start_boot_ns);
        let of_process = processes.entry(id).or_insert_with(|| {
            order.push(id);
            Vec::new()
        });
        of_process.push(event);
    }
    let processes = order.iter().filter_map(|id| processes.get(id));
    processes
        .filter_map(|events| of_process(events, settings))
        .collect()
}

fn of_process(events: &[&RoundingEvent], settings: &Settings) -> Option<Recorded> {
    let first = events.first()?;
    let mut threads: BTreeMap<(u32, u64), Vec<RoundingSample>> = BTreeMap::new();
    let mut detector = Randomx::new(*settings);
    let (mut began, mut last) = (None, 0);
    let (mut modes, mut flushed) = ([0; 4], 0);
    let mut found = None;
    for event in events {
        let thread = threads
            .entry((event.thread, event.thread_start_boot_ns))
            .or_default();
        for sample in &event.samples {
            let Some(count) = modes.get_mut(usize::from(sample.mode)) else {
                continue;
            };
            *count += 1;
            flushed += u32::from(sample.flush);
            let began = *began.get_or_insert(sample.boot_ns);
            last = last.max(sample.boot_ns);
            thread.push(*sample);
            let one = RoundingEvent {
                samples: vec![*sample],
                ..(*event).clone()
            };
            if detector.take(&one).is_some() && found.is_none() {
                let samples = modes.iter().sum::<u32>();
                found = Some((seconds(began, sample.boot_ns), samples));
            }
        }
    }
    let most = threads.values().max_by_key(|samples| samples.len())?;
    let explanation = explain(most, settings).map(|alternative| alternative.to_string());
    Some(Recorded {
        pid: first.pid,
        comm: first.comm.clone(),
        threads: threads.len(),
        modes,
        flushed,
        seconds: seconds(began?, last),
        found_after_seconds: found.map(|(seconds, _)| seconds),
        found_after_samples: found.map(|(_, samples)| samples),
        explanation,
    })
}

/// The alternative that explains the samples best, if it does: the evidence against it is never enough.
fn explain(samples: &[RoundingSample], settings: &Settings) -> Option<Alternative> {
    let against = judge(samples, settings).against;
    let best = against.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (best.1 < settings.threshold_nats).then_some(best.0)
}

#[expect(clippy::cast_precision_loss, reason = "a duration in ns")]
fn seconds(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::{
        super::simulation::{
            Make, Plan, Process,
            programs::{Blocks, RandomX},
        },
        *,
    };

    fn recorded(make: Make, pid: u32) -> Vec<RoundingEvent> {
        let mut process = Process::new(Plan::ONE, make, 1);
        let events = (0..600).map(|_| RoundingEvent {
            pid,
            ..process.next()
        });
        events.collect()
    }

    #[test]
    fn each_process_is_judged_by_itself_and_what_explains_an_innocent_one_is_named() {
        let miner = recorded(&|_| Box::new(RandomX::new(0.000_15, 0.1)), 8);
        let sweep = recorded(&|_| Box::new(Blocks::new(0.02, false)), 3);
        let mixed: Vec<_> = miner
            .into_iter()
            .zip(sweep)
            .flat_map(<[_; 2]>::from)
            .collect();
        let judged = judge_recorded(&mixed, &Settings::default());
        let [miner, sweep] = judged.as_slice() else {
            panic!("{judged:?}");
        };
        assert_eq!((miner.pid, sweep.pid), (8, 3));
        assert!(
            miner
                .found_after_samples
                .is_some_and(|samples| samples < 600)
        );
        assert_eq!(miner.explanation, None);
        assert_eq!(sweep.found_after_samples, None);
        assert_eq!(
            sweep.explanation.as_deref(),
            Some("takes the modes in a regular order")
        );
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(judge_recorded(&[], &Settings::default()), []);
        let mut damaged = recorded(&|_| Box::new(Blocks::new(0.02, true)), 3);
        damaged.truncate(1);
        damaged[0]
            .samples
            .iter_mut()
            .for_each(|sample| sample.mode = 9);
        assert_eq!(judge_recorded(&damaged, &Settings::default()), []);
    }
}
