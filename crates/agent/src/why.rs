//! What the guards may do in one workload, and which part of the settings says so.

use std::collections::BTreeMap;

use hayward_model::{Guard, Mode, Workload};
use hayward_policy::Origin;
use hayward_respond::Standing;
use serde::{Deserialize, Serialize};

use crate::{
    agent::Agent,
    workloads::{FindError, modes},
};

/// `hayward status --workload`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhyReport {
    /// Which one.
    pub workload: Workload,
    /// The mode of each guard that judges there; none where it is out of scope.
    pub guards: BTreeMap<Guard, Mode>,
    /// What decided, as a sentence.
    pub why: String,
}

impl Agent {
    /// Says what the guards may do in a workload, and why.
    pub fn why(&self, text: &str) -> Result<WhyReport, FindError> {
        let workload = self.find_workload(text)?;
        let policy = self.policy();
        let decision = self.decide(&workload.cgroup);
        let is_in = self.standing(&policy, &workload.cgroup) == Standing::In;
        let guards = is_in.then(|| modes(&policy, decision.policy));
        Ok(WhyReport {
            workload,
            guards: guards.unwrap_or_default(),
            why: sentence(&decision.origin, is_in),
        })
    }
}

fn sentence(origin: &Origin, is_in: bool) -> String {
    match origin {
        Origin::Exclude(selector) => format!("`scope.exclude` has {selector}"),
        Origin::Runtime => "it is a container runtime's own, which is never acted on".to_owned(),
        Origin::Override(number, selector) => format!("override {number} is for {selector}"),
        Origin::Include(selector) => format!("`scope.include` has {selector}"),
        Origin::Unnamed => {
            "`scope.include` goes by names, and no runtime has told this one's yet".to_owned()
        }
        Origin::Nothing if is_in => "`scope.include` has users".to_owned(),
        Origin::Nothing => "nothing in `scope.include` selects it".to_owned(),
    }
}
