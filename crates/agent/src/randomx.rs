//! The `randomx` guard's way: where threads rounded, and what their process holds in memory, become a finding.

use std::sync::{PoisonError, atomic::Ordering};

use hayward_detect::randomx::Mining;
use hayward_model::{
    Action, Evidence, Finding, Guard, MiningEvidence, Process, RoundingEvent, joined,
};
use hayward_policy::RandomxEvidence;

use crate::{
    agent::Agent,
    memory::{self, CACHE_MIB, Memory},
    pipeline::Pipeline,
    process, steer,
};

impl Pipeline {
    /// Takes what was seen of one thread.
    pub(crate) fn take_rounding(&self, event: &RoundingEvent) {
        let awaited = &self.rounding_canary;
        if awaited.load(Ordering::Relaxed) == event.cgroup_id {
            awaited.store(0, Ordering::Relaxed);
            return;
        }
        let mut randomx = self.randomx.lock().unwrap_or_else(PoisonError::into_inner);
        let found = randomx.take(event);
        drop(randomx);
        let (Some(mining), (Some(current), _)) = (found, self.tables_for(0)) else {
            return;
        };
        let needed = self.policy().randomx.evidence;
        let finding = finding(event, &mining, memory::read(event.pid), needed);
        self.conclude(finding, None, None, &current);
    }

    /// Whether there is evidence against anybody.
    fn has_suspects(&self) -> bool {
        let randomx = self.randomx.lock().unwrap_or_else(PoisonError::into_inner);
        !randomx.suspects(hayward_kernel::boot_ns()).is_empty()
    }
}

impl Agent {
    /// Decides anew how often each processor is interrupted.
    pub(crate) fn steer(&self) {
        let seen = self.with_kernel(|kernel| kernel.rounding_by_processor());
        let (Some(nudger), Ok(seen)) = (&self.nudger, seen) else {
            return;
        };
        let mut steer = self.steer.lock().unwrap_or_else(PoisonError::into_inner);
        let evidence = self.pipeline.has_suspects();
        let rates = steer.rates(&steer::stat(), &seen, evidence);
        for (processor, rate) in rates.into_iter().enumerate() {
            nudger.set_rate(processor, rate);
        }
    }
}

fn finding(
    event: &RoundingEvent,
    mining: &Mining,
    memory: Option<Memory>,
    needed: RandomxEvidence,
) -> Finding {
    let lacks = lacks(mining, memory, needed);
    let running = process::read(event.pid)
        .filter(|running| process::is_same(running.start_boot_ns, event.start_boot_ns));
    let (executable, command_line) = running.map_or_else(Default::default, |running| {
        (running.executable, joined(&running.arguments))
    });
    Finding {
        guard: Guard::Randomx,
        rule: None,
        generation: 0,
        process: Process {
            pid: event.pid,
            parent_pid: event.parent_pid,
            start_boot_ns: event.start_boot_ns,
            uid: event.uid,
            comm: event.comm.clone(),
            executable: String::from_utf8_lossy(&executable).into_owned(),
            command_line: String::from_utf8_lossy(&command_line).into_owned(),
            command_line_bytes: u32::try_from(command_line.len()).unwrap_or(u32::MAX),
        },
        cgroup_id: event.cgroup_id,
        boot_ns: event
            .samples
            .last()
            .map_or(event.start_boot_ns, |sample| sample.boot_ns),
        done: lacks.is_some().then_some(Action::Observed),
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
