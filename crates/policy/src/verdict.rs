//! A finding seen through the policy becomes a verdict. Pure.

use hayward_model::{Action, Finding, Guard, Mode, Response, ScopePolicy, Verdict};

use crate::{Decision, Origin, Policy, RandomxEvidence, guards::Guards};

impl Policy {
    /// Decides. What the kernel has done already is not decided again: it went by the same rules and modes.
    ///
    /// `scope` is what holds in the process's cgroup; none where that has gone, and then only the general settings do.
    pub fn judge(
        &self,
        finding: Finding,
        rule_mode: Mode,
        rule_response: Option<Response>,
        scope: Option<&Decision>,
    ) -> Verdict {
        let mode = match finding.done {
            Some(Action::Killed | Action::Denied) => Mode::Enforce,
            Some(Action::Observed) => Mode::Observe,
            _ if rule_response == Some(Response::Observe) => Mode::Observe,
            _ => self.mode_in(finding.guard, scope).and(rule_mode),
        };
        let response = rule_response.unwrap_or(self.response_in(finding.guard, scope));
        let response = match finding.done {
            // By settings that have changed since.
            Some(Action::Killed) if !response.kills() => Response::Kill,
            _ => response,
        };
        Verdict {
            finding,
            mode,
            response,
        }
    }

    /// What must be found beside rounding in a cgroup before a process is acted on.
    pub fn evidence_in(&self, scope: Option<&Decision>) -> RandomxEvidence {
        let overridden = self.overridden_in(scope);
        overridden.map_or(self.randomx.evidence, |guards| guards.randomx.evidence)
    }

    fn response_in(&self, guard: Guard, scope: Option<&Decision>) -> Response {
        let overridden = self.overridden_in(scope);
        overridden.map_or(self.modes(guard).1, |guards| guards.of(guard).2)
    }

    /// The settings of the override that holds in a cgroup, if any does.
    fn overridden_in(&self, scope: Option<&Decision>) -> Option<&Guards> {
        match &scope?.origin {
            Origin::Override(number, _) => self.overridden.get(number.checked_sub(1)?),
            _ => None,
        }
    }

    /// A guard's own mode and response.
    fn modes(&self, guard: Guard) -> (Mode, Response) {
        match guard {
            Guard::Command => (self.command.mode, self.command.response),
            Guard::Randomx => (self.randomx.mode, self.randomx.response),
            Guard::Egress => (self.egress.mode, self.egress.response),
            Guard::Outbound => (self.outbound.mode, self.outbound.response),
            Guard::Pool => (self.pool.mode, self.pool.response),
            Guard::Inbound => (self.inbound.mode, Response::Deny),
        }
    }

    /// Whether settings list the guard.
    pub fn lists(&self, guard: Guard) -> bool {
        match guard {
            Guard::Command => self.command.enabled,
            Guard::Randomx => self.randomx.enabled,
            Guard::Egress => self.egress.enabled,
            Guard::Outbound => self.outbound.enabled,
            Guard::Pool => self.pool.enabled,
            Guard::Inbound => self.inbound.enabled,
        }
    }

    /// Whether settings may have a workload quarantined because of a finding; rules may too.
    pub fn may_quarantine(&self) -> bool {
        let general = Guard::ALL.into_iter().map(|guard| self.modes(guard).1);
        let others = self.overridden.iter();
        let others =
            others.flat_map(|guards| Guard::ALL.into_iter().map(|guard| guards.of(guard).2));
        let steps = self.strikes.steps.iter().map(|step| step.response);
        let mut all = general.chain(others).chain(steps);
        all.any(|response| response == Response::Quarantine)
    }

    /// A guard's mode where no override says otherwise.
    pub fn general_mode(&self, guard: Guard) -> Mode {
        let general = self.scope_rules().general();
        general.mode(guard).unwrap_or(Mode::Observe)
    }

    /// A guard's mode in a cgroup.
    fn mode_in(&self, guard: Guard, scope: Option<&Decision>) -> Mode {
        let rules = self.scope_rules();
        let policy = match scope.map(|decision| decision.policy) {
            None => rules.general(),
            Some(policy) if policy.is_out() && rules.users() => rules.general(),
            Some(policy) => policy,
        };
        policy.mode(guard).unwrap_or(Mode::Observe)
    }

    /// How a guard acts, and what should be said beside it: it enforces where any workload is enforced.
    pub fn guard_mode(&self, guard: Guard) -> (Mode, Option<String>) {
        let scope = self.scope_rules();
        let mode_of = |policy: ScopePolicy| policy.mode(guard).unwrap_or(Mode::Observe);
        let general = self.general_mode(guard);
        let others = scope.overrides().iter();
        let others = match others.filter(|policy| mode_of(**policy) != general).count() {
            0 => None,
            1 => Some("1 override".to_owned()),
            more => Some(format!("{more} overrides")),
        };
        match (general, others) {
            (Mode::Enforce, None) => (Mode::Enforce, None),
            (Mode::Enforce, Some(others)) => {
                (Mode::Enforce, Some(format!("observing in {others}")))
            }
            (Mode::Observe, Some(others)) => (
                Mode::Enforce,
                Some(format!("in {others} only; it observes elsewhere")),
            ),
            (Mode::Observe, None) => {
                let by_mode = self.mode.and(self.modes(guard).0) == Mode::Observe;
                let key = if by_mode { "mode" } else { "response" };
                (Mode::Observe, Some(format!("{key} is observe")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> (Mode, String) {
        let policy = Policy::parse("h.yaml", text).expect(text);
        let (mode, reason) = policy.guard_mode(Guard::Command);
        (mode, reason.unwrap_or_default())
    }

    #[test]
    fn a_guard_enforces_where_anything_is_enforced_and_says_where_it_does_not() {
        let over = |guard: &str, modes: &[&str]| {
            let overrides = modes.iter().enumerate().map(|(number, mode)| {
                format!("  - {{match: /{number}, guards: {{command: {mode}}}}}\n")
            });
            let overrides: String = overrides.collect();
            mode(&format!(
                "guards: {{command: {guard}}}\noverrides:\n{overrides}"
            ))
        };
        let enforce = |reason: &str| (Mode::Enforce, reason.to_owned());
        assert_eq!(mode(""), enforce(""));
        assert_eq!(over("enforce", &["{}", "enforce"]), enforce(""));
        assert_eq!(
            over("enforce", &["observe"]),
            enforce("observing in 1 override")
        );
        assert_eq!(
            over("enforce", &["observe", "{response: observe}"]),
            enforce("observing in 2 overrides")
        );
        assert_eq!(
            over("observe", &["enforce", "{}"]),
            enforce("in 1 override only; it observes elsewhere")
        );
        let observe = |reason: &str| (Mode::Observe, reason.to_owned());
        assert_eq!(over("observe", &["{}"]), observe("mode is observe"));
        assert_eq!(
            over("{response: observe}", &["{mode: enforce}"]),
            observe("response is observe")
        );
        assert_eq!(
            mode("mode: observe\noverrides: [{match: /a, guards: {command: enforce}}]\n"),
            observe("mode is observe")
        );
    }
}
