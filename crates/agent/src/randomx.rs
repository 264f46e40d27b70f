//! The `randomx` guard's way: where threads rounded, and what their process holds in memory, become a finding.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use hayward_detect::randomx::{Mining, Randomx, Settings};
use hayward_model::{Action, Evidence, Finding, Guard, MiningEvidence, Process, RoundingEvent};
use hayward_policy::RandomxEvidence;

use crate::{
    memory::{self, CACHE_MIB, Memory},
    pipeline::Pipeline,
    process, scope,
};

/// How many forefathers are looked at: as many as a miner needs that hides in its children's short lives.
const MOST_FOREFATHERS: usize = 4;

/// The detector twice: for processes, and for workloads, whose processes may each be too short-lived to be found.
#[derive(Debug)]
pub(crate) struct Detectors {
    processes: Randomx,
    workloads: Randomx,
}

impl Default for Detectors {
    fn default() -> Self {
        Self {
            processes: Randomx::new(Settings::default()),
            workloads: Randomx::new(Settings::default()),
        }
    }
}

impl Detectors {
    /// What the samples complete the evidence for: against the process, or only against its workload.
    fn take(&mut self, event: &RoundingEvent) -> Option<(Mining, Against)> {
        // To the second detector all threads of a cgroup are one process's.
        let (pid, start_boot_ns) = (0, event.cgroup_id);
        if let Some(mining) = self.processes.take(event) {
            self.workloads.forget(pid, start_boot_ns);
            return Some((mining, Against::Process));
        }
        let as_one = RoundingEvent {
            pid,
            start_boot_ns,
            ..event.clone()
        };
        let mining = self.workloads.take(&as_one)?;
        Some((mining, Against::Workload))
    }
}

/// Whose evidence it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Process,
    Workload,
}

impl Pipeline {
    /// Whether a miner was found since this was last asked.
    pub(crate) fn take_found(&self) -> bool {
        self.found_miner.swap(false, Ordering::Relaxed)
    }

    /// Takes what was seen of one thread.
    pub(crate) fn take_rounding(&self, event: &RoundingEvent) {
        let awaited = &self.rounding_canary;
        if awaited.load(Ordering::Relaxed) == event.cgroup_id {
            awaited.store(0, Ordering::Relaxed);
            return;
        }
        if self.sightings.receiver_count() > 0 {
            // Nobody may be left to receive it.
            let _ = self.sightings.send(Arc::new(event.clone()));
        }
        let mut randomx = self.randomx.lock().unwrap_or_else(PoisonError::into_inner);
        let found = randomx.take(event);
        drop(randomx);
        let (Some((mining, against)), (Some(current), _)) = (found, self.tables_for(0)) else {
            return;
        };
        let metrics = self.recorder.metrics();
        metrics.observe_decision(Guard::Randomx, mining.seconds);
        let needed = self.evidence_in(event.cgroup_id);
        let mut events = vec![event.clone()];
        if against == Against::Workload {
            events.extend(self.forefathers(event));
        }
        for event in events {
            let finding = finding(&event, &mining, memory::read(event.pid), needed);
            let lacks = finding.evidence.mining.as_ref().map(|mining| &mining.lacks);
            if lacks.is_some_and(Option::is_none) {
                self.found_miner.store(true, Ordering::Relaxed);
            }
            self.conclude(finding, None, None, &current);
        }
    }

    /// What is asked for beside the rounding in a cgroup.
    fn evidence_in(&self, cgroup: u64) -> RandomxEvidence {
        let policy = self.policy();
        let cgroups = self.cgroups.lock().ok();
        let path = cgroups.and_then(|mut cgroups| cgroups.path_of(cgroup));
        let scope = path.map(|path| scope::decide(policy.scope_rules(), &self.names, &path));
        policy.evidence_in(scope.as_ref())
    }

    /// The processes that begot a short-lived one: those above it in its cgroup that run the same file. They hold what
    /// their children mine with.
    fn forefathers(&self, event: &RoundingEvent) -> Vec<RoundingEvent> {
        let path = self
            .cgroups
            .lock()
            .ok()
            .and_then(|mut c| c.path_of(event.cgroup_id));
        let executable = process::executable_file(event.pid);
        let (Some(path), Some(executable)) = (path, executable) else {
            return Vec::new();
        };
        let mut forefathers = Vec::new();
        let mut parent = event.parent_pid;
        while forefathers.len() < MOST_FOREFATHERS && parent > 1 {
            let related = process::executable_file(parent) == Some(executable)
                && self
                    .cgroups
                    .lock()
                    .is_ok_and(|cgroups| cgroups.holds(&path, parent));
            let Some(running) = process::read(parent).filter(|_| related) else {
                break;
            };
            forefathers.push(RoundingEvent {
                pid: parent,
                parent_pid: running.parent_pid,
                start_boot_ns: running.start_boot_ns,
                uid: running.uid,
                comm: running.comm,
                ..event.clone()
            });
            parent = running.parent_pid;
        }
        forefathers
    }

    /// How many processes and workloads there is evidence against.
    pub(crate) fn suspects(&self) -> usize {
        let randomx = self.randomx.lock().unwrap_or_else(PoisonError::into_inner);
        let now = hayward_kernel::boot_ns();
        randomx.processes.suspects(now).len() + randomx.workloads.suspects(now).len()
    }
}

fn finding(
    event: &RoundingEvent,
    mining: &Mining,
    memory: Option<Memory>,
    needed: RandomxEvidence,
) -> Finding {
    let lacks = lacks(mining, memory, needed);
    let mut process = Process {
        pid: event.pid,
        parent_pid: event.parent_pid,
        start_boot_ns: event.start_boot_ns,
        uid: event.uid,
        comm: event.comm.clone(),
        executable: String::new(),
        command_line: String::new(),
        command_line_bytes: 0,
    };
    process::complete(&mut process);
    Finding {
        guard: Guard::Randomx,
        rule: None,
        generation: 0,
        process,
        cgroup_id: event.cgroup_id,
        boot_ns: event
            .samples
            .last()
            .map_or(event.start_boot_ns, |sample| sample.boot_ns),
        done: lacks.is_some().then_some(Action::Observed),
        response: None,
        evidence: Evidence {
            judged_at: Some("running".to_owned()),
            mining: Some(MiningEvidence {
                samples: mining.samples,
                modes: mining.modes,
                flushed: whole(mining.flush_share * f64::from(mining.samples)),
                milliseconds: u64::from(whole(mining.seconds * 1e3)),
                threads: mining.threads,
                nats: whole(mining.evidence_nats),
                memory_mib: memory.map(|memory| memory.mib),
                generated_code: memory.map(|memory| memory.generated_code),
                lacks: lacks.map(str::to_owned),
            }),
            ..Evidence::default()
        },
    }
}

/// What settings ask for beside the rounding, and is not there.
fn lacks(mining: &Mining, memory: Option<Memory>, needed: RandomxEvidence) -> Option<&'static str> {
    // Half of the samples: while RandomX prepares a hash it need not flush.
    let flushes = mining.flush_share >= 0.5;
    match (needed, memory) {
        (RandomxEvidence::Rounding, _) => None,
        (_, None) => Some("the process's memory could not be read"),
        (_, Some(memory)) if memory.mib < CACHE_MIB => {
            Some("the process holds less than the 256 MiB that RandomX needs")
        }
        (RandomxEvidence::Strict, Some(memory)) if !flushes && !memory.generated_code => Some(
            "the process neither flushes small numbers to zero nor holds generated code, as RandomX does",
        ),
        _ => None,
    }
}

/// A number for people, without what follows the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and no such number is negative"
)]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINER: Mining = Mining {
        modes: [30, 30, 30, 30],
        samples: 120,
        seconds: 1.2,
        threads: 1,
        evidence_nats: 37.4,
        flush_share: 1.0,
    };

    #[test]
    fn beside_the_rounding_memory_is_needed_and_what_only_randomx_does_with_it() {
        let plain = Mining {
            flush_share: 0.4,
            ..MINER
        };
        let memory = |mib, generated_code| {
            Some(Memory {
                mib,
                generated_code,
            })
        };
        for (needed, mining, memory, expected) in [
            (RandomxEvidence::Strict, MINER, memory(256, false), None),
            (RandomxEvidence::Strict, plain, memory(256, true), None),
            (
                RandomxEvidence::Strict,
                plain,
                memory(300, false),
                Some("neither flushes"),
            ),
            (
                RandomxEvidence::Strict,
                MINER,
                memory(255, true),
                Some("less than the 256 MiB"),
            ),
            (
                RandomxEvidence::Strict,
                MINER,
                None,
                Some("could not be read"),
            ),
            (RandomxEvidence::Memory, plain, memory(300, false), None),
            (
                RandomxEvidence::Memory,
                plain,
                memory(20, true),
                Some("less than the 256 MiB"),
            ),
            (RandomxEvidence::Rounding, plain, memory(20, false), None),
            (RandomxEvidence::Rounding, plain, None, None),
        ] {
            let lacks = lacks(&mining, memory, needed);
            match expected {
                None => assert_eq!(lacks, None, "{needed:?} {memory:?}"),
                Some(text) => assert!(lacks.is_some_and(|lacks| lacks.contains(text)), "{lacks:?}"),
            }
        }
    }

    #[test]
    fn the_record_says_what_was_seen() {
        let event = RoundingEvent {
            thread: 8,
            thread_start_boot_ns: 2,
            pid: u32::MAX,
            parent_pid: 6,
            start_boot_ns: 1,
            uid: 1000,
            cgroup_id: 9,
            comm: "x".to_owned(),
            samples: Vec::new(),
        };
        let needed = RandomxEvidence::Memory;
        let finding = finding(&event, &MINER, None, needed);
        assert_eq!(
            (finding.guard, finding.done),
            (Guard::Randomx, Some(Action::Observed))
        );
        let mining = finding.evidence.mining.expect("evidence");
        assert_eq!(
            (mining.samples, mining.flushed, mining.milliseconds),
            (120, 120, 1200)
        );
        assert_eq!((mining.nats, mining.memory_mib), (37, None));
        assert!(mining.lacks.is_some());
    }
}
