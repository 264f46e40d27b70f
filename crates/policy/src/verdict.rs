//! A finding seen through the policy becomes a verdict. Pure.

use hayward_model::{Action, Finding, Mode, Response, Verdict};

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
        let response = rule_response.unwrap_or(self.command.response);
        let mode = match finding.done {
            Some(Action::Killed) => Mode::Enforce,
            Some(Action::Observed) => Mode::Observe,
            _ => self.mode_in(path).and(rule_mode),
        };
        let mode = if response == Response::Observe {
            Mode::Observe
        } else {
            mode
        };
        Verdict {
            finding,
            mode,
            response,
        }
    }

    /// The `command` guard's mode where no override says otherwise.
    pub fn general_mode(&self) -> Mode {
        self.mode.and(self.command.mode)
    }

    /// The `command` guard's mode in a cgroup.
    fn mode_in(&self, path: Option<&str>) -> Mode {
        let general = self.general_mode();
        let Some(path) = path else { return general };
        let index = usize::from(self.scope_rules().classify(path));
        match self.scope_rules().policies().get(index).copied().flatten() {
            Some(policy) => self.mode.and(policy.command),
            None if self.scope_rules().users() => general,
            None => Mode::Observe,
        }
    }
}
