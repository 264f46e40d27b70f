//! The guards' settings, in general or in an override.

use hayward_model::{Guard, Mode, Response, ScopePolicy};

use crate::{
    Between, CommandSettings, EgressSettings, InboundSettings, OutboundSettings, PoolSettings,
    RandomxSettings,
};

/// The settings of every guard that hold in some part of the scope.
#[derive(Debug, Clone)]
pub(crate) struct Guards {
    pub(crate) command: CommandSettings,
    pub(crate) randomx: RandomxSettings,
    pub(crate) egress: EgressSettings,
    pub(crate) outbound: OutboundSettings,
    pub(crate) pool: PoolSettings,
    pub(crate) inbound: InboundSettings,
}

impl Guards {
    /// What the guards may do where these settings hold; `list` is the number of the list that says what may be reached.
    /// Whoever says `observe` is obeyed.
    pub(crate) fn scope_policy(&self, agent: Mode, list: u16) -> ScopePolicy {
        let mut policy = ScopePolicy::OUT;
        for guard in Guard::ALL {
            let (enabled, mode, response) = self.of(guard);
            let response_mode = match response {
                Response::Observe => Mode::Observe,
                _ => Mode::Enforce,
            };
            if enabled {
                policy = policy.with(guard, agent.and(mode).and(response_mode));
            }
        }
        if policy.mode(Guard::Command) == Some(Mode::Enforce) && !self.command.response.kills() {
            policy = policy.milder_command();
        }
        if self.egress.enabled && self.egress.reach.between == Between::Refuse {
            policy = policy.apart();
        }
        policy.with_list(list)
    }

    /// Whether a guard is on, its mode and its response.
    pub(crate) const fn of(&self, guard: Guard) -> (bool, Mode, Response) {
        let (command, randomx) = (&self.command, &self.randomx);
        let (egress, outbound) = (&self.egress, &self.outbound);
        match guard {
            Guard::Command => (command.enabled, command.mode, command.response),
            Guard::Randomx => (randomx.enabled, randomx.mode, randomx.response),
            Guard::Egress => (egress.enabled, egress.mode, egress.response),
            Guard::Outbound => (outbound.enabled, outbound.mode, outbound.response),
            Guard::Pool => (self.pool.enabled, self.pool.mode, self.pool.response),
            Guard::Inbound => (self.inbound.enabled, self.inbound.mode, Response::Deny),
        }
    }
}
