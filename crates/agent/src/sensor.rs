//! The life of the `randomx` guard's sensor: when it is on its event, and how often it is given something to see there.
//!
//! It stays on its event, unless threads are switched so often that calling it would cost them something. Then it is
//! there for a short while, at moments that nobody can foretell, and busy processors are interrupted only then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hayward_kernel::{AFFORDABLE_CALLS, Kernel, KernelError, Nudger, Windows};
use hayward_model::Guard;

use crate::{
    AgentError,
    agent::Agent,
    steer::{self, Steer},
};

/// How long one decision holds.
const TURN: Duration = Duration::from_millis(500);
/// So many times as much may be spent while somebody may be mining.
const SUSPICION: u64 = 5;
/// A processor is never interrupted more often in a second, however short the while.
const MOST_OFTEN: f64 = 1_000.0;

/// Starts the thread that sees to the sensor.
pub(crate) fn start(
    agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, AgentError> {
    let body = move || {
        let mut sensor = Sensor {
            agent,
            stop,
            steer: Steer::default(),
            windows: Windows::default(),
            nudger: None,
            attached_at: None,
        };
        while !sensor.stop.load(Relaxed) {
            sensor.turn();
        }
    };
    let builder = std::thread::Builder::new().name("sensor".to_owned());
    builder
        .spawn(body)
        .map_err(|source| AgentError::Thread { source })
}

struct Sensor {
    agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
    steer: Steer,
    windows: Windows,
    /// Interrupts busy processors, where settings want it.
    nudger: Option<Nudger>,
    /// When it was put on its event, or when calls were counted last since then.
    attached_at: Option<Instant>,
}

impl Sensor {
    fn turn(&mut self) {
        if !self.is_wanted() {
            self.nudger = None;
            self.detach();
            self.tell(0.0);
            self.wait(TURN);
            return;
        }
        self.see_to_nudger();
        let (rates, share) = match self.decide() {
            Ok(decision) => decision,
            Err(error) => return self.fail(&error),
        };
        self.tell(share);
        if share < 1.0 {
            self.nudge(&[]);
            self.detach();
            let apart = 0.5 + fastrand::f64();
            self.wait(TURN.mul_f64((1.0 - share) * apart));
        }
        if let Err(error) = self.agent.with_kernel(Kernel::attach_sensor) {
            return self.fail(&error);
        }
        self.attached_at.get_or_insert_with(Instant::now);
        self.nudge(
            &rates
                .iter()
                .map(|rate| denser(*rate, share))
                .collect::<Vec<_>>(),
        );
        self.wait(TURN.mul_f64(share));
    }

    fn is_wanted(&self) -> bool {
        let off = self
            .agent
            .with_kernel(|kernel| kernel.cells().off_until(Guard::Randomx));
        self.agent.policy().lists(Guard::Randomx) && !matches!(off, Ok(Some(_)))
    }

    /// Settings may have changed.
    fn see_to_nudger(&mut self) {
        if !self.agent.policy().randomx.nudge {
            self.nudger = None;
        } else if self.nudger.is_none() {
            let sightings = self.agent.with_kernel(|kernel| kernel.sightings());
            self.nudger = Nudger::start(sightings.ok())
                .inspect_err(|error| tracing::warn!("busy processors are not interrupted: {error}"))
                .ok();
        }
    }

    /// How often each processor is interrupted, and for which part of the time the sensor is on its event.
    fn decide(&mut self) -> Result<(Vec<u32>, f64), KernelError> {
        let seen = self
            .agent
            .with_kernel(|kernel| kernel.rounding_by_processor())?;
        let now = Instant::now();
        let attached = self.attached_at.as_mut();
        let attached = attached.map(|at| now.duration_since(std::mem::replace(at, now)));
        let evidence = self.agent.pipeline.suspects() > 0;
        if self.agent.pipeline.take_found() {
            self.steer.begin_anew();
        }
        let rates = self.steer.rates(&steer::stat(), &seen, evidence);
        let affordable = match self.steer.often() {
            true => AFFORDABLE_CALLS * SUSPICION,
            false => AFFORDABLE_CALLS,
        };
        let attached = attached.unwrap_or_default();
        let share = self.windows.share(&seen, attached, affordable);
        Ok((rates, share))
    }

    fn tell(&self, share: f64) {
        let metrics = self.agent.pipeline.recorder.metrics();
        metrics.set_attached(Guard::Randomx, share);
        let nudges = self.nudger.as_ref().map_or(0, Nudger::take_nudges);
        metrics.count_nudges(Guard::Randomx, nudges);
        metrics.set_suspects(Guard::Randomx, self.agent.pipeline.suspects());
    }

    fn nudge(&self, rates: &[u32]) {
        let Some(nudger) = &self.nudger else { return };
        for processor in nudger.processors() {
            nudger.set_rate(processor, rates.get(processor).copied().unwrap_or(0));
        }
    }

    /// Not while a canary waits to be seen.
    fn detach(&mut self) {
        self.attached_at = None;
        let canary = &self.agent.pipeline.rounding_canary;
        let detached = self.agent.with_kernel(|kernel| {
            if canary.load(Relaxed) == 0 {
                kernel.detach_sensor();
            }
            Ok(())
        });
        if let Err(error) = detached {
            self.fail(&error);
        }
    }

    fn fail(&self, error: &KernelError) {
        tracing::error!("the guard randomx sees nothing: {error}");
        self.agent.disprove(Guard::Randomx, error.to_string());
        self.wait(TURN);
    }

    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stop.load(Relaxed) && Instant::now() < until {
            std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
    }
}

/// As many interruptions in a part of the time as there would be in all of it.
fn denser(rate: u32, share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the most that it can be is a small number"
    )]
    let denser = (f64::from(rate) / share).min(MOST_OFTEN) as u32;
    denser
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_less_time_processors_are_interrupted_as_often() {
        assert_eq!(denser(0, 0.01), 0);
        assert_eq!(denser(30, 1.0), 30);
        assert_eq!(denser(30, 0.1), 300);
        assert_eq!(denser(80, 0.01), 1_000);
    }
}
