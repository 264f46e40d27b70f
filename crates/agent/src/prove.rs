//! Proof that a guard works, before the status says so: harm that is none, in a cgroup made for it.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hayward_kernel::{Kernel, NO_LIST, Nudger, Outbound, Pins};
use hayward_model::{Guard, GuardStatus, Mode, ScopePolicy};

use crate::{agent::Agent, canary::CanaryCgroup};

/// How long a canary's event may take from the kernel to the agent.
const EVENT: Duration = Duration::from_secs(1);
/// How many canaries are sent before the guard is called degraded.
const CANARIES: usize = 5;
/// How often a second the canary that rounds is interrupted.
const RATE: u32 = 250;
/// What is true of a guard before its canary was sent.
pub(crate) const UNSEEN: &str = "its canary has not been seen to be stopped yet";

/// Why guards are not in force, where they are not: the status that is true, and the reason.
pub(crate) type Unproven = BTreeMap<Guard, (GuardStatus, String)>;

impl Agent {
    /// Sends the guard's canary, and remembers what came of it. What the kernel cannot carry is not tried.
    pub(crate) fn prove(&self, guard: Guard) {
        if !self.policy().lists(guard) || !self.carries(guard) {
            return;
        }
        let off = self.with_kernel(|kernel| kernel.cells().off_until(guard));
        let proof = match (off, guard) {
            (Ok(Some(_)), _) => {
                Err("it has not been seen to work since it was switched off".to_owned())
            }
            (_, Guard::Command) => self.fly_canary(),
            (_, Guard::Randomx) => self.round_canary(),
            (_, Guard::Egress) => self.send_canary(),
            (_, Guard::Outbound) => self.contact_canary(),
            (_, Guard::Pool) => self.subscribe_canary(),
            (_, Guard::Inbound) => self.play_inbound(),
        };
        let mut unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        match proof {
            Ok(()) => {
                if unproven
                    .remove(&guard)
                    .is_some_and(|(_, reason)| reason != UNSEEN)
                {
                    tracing::info!("the canary was seen to be stopped now: {guard} is in force");
                }
            }
            Err(reason) => {
                drop(unproven);
                self.disprove(guard, reason);
            }
        }
    }

    /// Whether the kernel can carry this guard.
    pub(crate) fn carries(&self, guard: Guard) -> bool {
        let unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        let status = unproven.get(&guard).map(|(status, _)| *status);
        status != Some(GuardStatus::Absent)
    }

    /// What was proven is not true any more.
    pub(crate) fn disprove(&self, guard: Guard, reason: String) {
        let mut unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        unproven.insert(guard, (GuardStatus::Degraded, reason));
    }

    /// Where a guard was not proven to be in force, tries again.
    pub(crate) fn prove_again(&self) {
        let unproven = self.unproven.lock().unwrap_or_else(PoisonError::into_inner);
        let guards: Vec<Guard> = unproven.keys().copied().collect();
        drop(unproven);
        for guard in guards {
            self.prove(guard);
        }
    }

    /// A banned command dies, and its event comes through.
    fn fly_canary(&self) -> Result<(), String> {
        let (cgroup, _) = self.canary_cgroup(Guard::Command, Mode::Enforce)?;
        let seen = || self.pipeline.canaries.load(Ordering::Relaxed);
        let before = seen();
        // A flood of events may crowd out the event of one canary, which says nothing of the guard.
        for _ in 0..CANARIES {
            match cgroup.fly(&self.canary_argument) {
                Ok(true) => {}
                Ok(false) => return Err(
                    "the canary was not killed: this kernel attaches the program and does not run it"
                        .to_owned(),
                ),
                Err(error) => return Err(format!("the canary could not be started: {error}")),
            }
            if wait_until(|| seen() > before) {
                return Ok(());
            }
        }
        Err("the canary was killed and its event did not arrive".to_owned())
    }

    /// A process that rounds as RandomX does is seen.
    fn round_canary(&self) -> Result<(), String> {
        let (cgroup, id) = self.canary_cgroup(Guard::Randomx, Mode::Observe)?;
        let awaited = &self.pipeline.rounding_canary;
        // From here on nobody takes the sensor off its event.
        awaited.store(id, Ordering::Relaxed);
        let seen = self.sees_rounding(&cgroup);
        awaited.store(0, Ordering::Relaxed);
        if seen? {
            return Ok(());
        }
        Err("a process that rounds as RandomX does was not seen".to_owned())
    }

    fn sees_rounding(&self, cgroup: &CanaryCgroup) -> Result<bool, String> {
        self.with_kernel(Kernel::attach_sensor)
            .map_err(|error| error.to_string())?;
        // On an idle machine nothing else would interrupt it.
        let nudger =
            Nudger::start(None).map_err(|error| format!("no thread for the canary: {error}"))?;
        for processor in nudger.processors() {
            nudger.set_rate(processor, RATE);
        }
        let mut rounding = cgroup
            .round()
            .map_err(|error| format!("the canary could not be started: {error}"))?;
        let seen = wait_until(|| self.pipeline.rounding_canary.load(Ordering::Relaxed) == 0);
        let _ = rounding.kill();
        let _ = rounding.wait();
        Ok(seen)
    }

    /// A packet is refused where nothing may be reached, and that is told.
    fn send_canary(&self) -> Result<(), String> {
        let policy = ScopePolicy::OUT.with_egress(Mode::Enforce, NO_LIST);
        let (cgroup, id) = self.cgroup_under(policy)?;
        refused(&self.pipeline.egress_canary, id, || cgroup.send())
    }

    /// A packet is stopped where the kernel was asked to, and that is told.
    fn contact_canary(&self) -> Result<(), String> {
        let (cgroup, id) = self.canary_cgroup(Guard::Outbound, Mode::Enforce)?;
        let proof = Outbound::open(&Pins::new(&self.policy().pins));
        proof
            .and_then(|outbound| outbound.prove(id))
            .map_err(|error| error.to_string())?;
        refused(&self.pipeline.outbound_canary, id, || cgroup.send())
    }

    /// What miners say is refused, and that is told.
    fn subscribe_canary(&self) -> Result<(), String> {
        let (cgroup, id) = self.canary_cgroup(Guard::Pool, Mode::Enforce)?;
        refused(&self.pipeline.pool_canary, id, || cgroup.subscribe())
    }

    /// A cgroup for a canary of this guard, and its id.
    fn canary_cgroup(&self, guard: Guard, mode: Mode) -> Result<(CanaryCgroup, u64), String> {
        self.cgroup_under(ScopePolicy::of(guard, mode))
    }

    fn cgroup_under(&self, policy: ScopePolicy) -> Result<(CanaryCgroup, u64), String> {
        let cgroup = CanaryCgroup::create(&self.root)
            .map_err(|error| format!("no cgroup for the canary: {error}"))?;
        let entered = cgroup
            .id()
            .map_err(|error| error.to_string())
            .and_then(|id| {
                self.with_kernel(|kernel| kernel.set_scope(id, policy))
                    .map_err(|error| error.to_string())?;
                Ok(id)
            });
        match entered {
            Ok(id) => Ok((cgroup, id)),
            Err(error) => Err(format!(
                "the canary could not be brought into scope: {error}"
            )),
        }
    }
}

/// Whether what a canary in a cgroup does was refused, and its event came through.
fn refused(
    awaited: &AtomicU64,
    id: u64,
    does: impl FnOnce() -> std::io::Result<bool>,
) -> Result<(), String> {
    awaited.store(id, Ordering::Relaxed);
    let refused = does();
    let seen = wait_until(|| awaited.load(Ordering::Relaxed) == 0);
    awaited.store(0, Ordering::Relaxed);
    match refused {
        Ok(true) if seen => Ok(()),
        Ok(true) => Err("the canary was refused and its event did not arrive".to_owned()),
        Ok(false) => Err(
            "the canary was not refused: this kernel attaches the programs and does not run them"
                .to_owned(),
        ),
        Err(error) => Err(format!("the canary could not be started: {error}")),
    }
}

fn wait_until(is_so: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + EVENT;
    while !is_so() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    is_so()
}
