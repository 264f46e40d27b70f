//! A finding seen through the policy becomes a verdict. Pure.

use hayward_model::{Action, Finding, Guard, Mode, Response, ScopePolicy, Verdict};

use crate::Policy;

impl Policy {
    /// Decides. What the kernel has done already is not decided again: it went by the same rules and modes.
    ///
    /// `path` is the path of the process's cgroup; none where it has gone, and then only the general mode holds.
    pub fn judge(
        &self,
        finding: Finding,
        rule_mode: Mode,
        rule_response: Option<Response>,
        path: Option<&str>,
    ) -> Verdict {
        let mode = match finding.done {
            Some(Action::Killed) => Mode::Enforce,
            Some(Action::Observed) => Mode::Observe,
            _ if rule_response == Some(Response::Observe) => Mode::Observe,
            _ => self.mode_in(finding.guard, path).and(rule_mode),
        };
        let response = match mode {
            Mode::Enforce => Response::Kill,
            Mode::Observe => rule_response.unwrap_or(self.modes(finding.guard).1),
        };
        Verdict {
            finding,
            mode,
            response,
        }
    }

    /// A guard's own mode and response.
    fn modes(&self, guard: Guard) -> (Mode, Response) {
        match guard {
            Guard::Command => (self.command.mode, self.command.response),
            Guard::Randomx => (self.randomx.mode, self.randomx.response),
        }
    }

    /// Whether settings list the guard.
    pub fn lists(&self, guard: Guard) -> bool {
        match guard {
            Guard::Command => self.command.enabled,
            Guard::Randomx => self.randomx.enabled,
        }
    }

    /// A guard's mode where no override says otherwise.
    pub fn general_mode(&self, guard: Guard) -> Mode {
        let general = self.scope_rules().general();
        general.mode(guard).unwrap_or(Mode::Observe)
    }

    /// A guard's mode in a cgroup.
    fn mode_in(&self, guard: Guard, path: Option<&str>) -> Mode {
        let scope = self.scope_rules();
        let policy = match path.map(|path| scope.classify(path)) {
            None => scope.general(),
            Some(ScopePolicy::OUT) if scope.users() => scope.general(),
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
