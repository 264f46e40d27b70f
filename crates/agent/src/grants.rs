//! What operators grant to a workload for a time, or take from it: in force in the kernel at once, and until that time
//! without the agent too.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use hayward_kernel::{Egress, Grant, KernelError, Pins, boot_ns};
use hayward_model::{Action, Actor, Destinations, Guard, Workload};
use hayward_policy::{destinations, spelled};
use hayward_respond::{Act, ActError, Cut};
use hayward_workload::own_cgroup;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, clock, scope::walk, workloads::FindError};

/// What holds beside a workload's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Everything may be reached.
    Granted,
    /// Nothing may.
    Quarantined,
    /// Neither: the list alone holds.
    List,
}

/// Body of `POST /v1/grants`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// A workload's name or its beginning, a cgroup id, or a cgroup's path.
    pub workload: String,
    /// What is to hold.
    pub holds: Holds,
    /// For how long; none until it is revoked.
    pub seconds: Option<u64>,
    /// What is granted, as settings write it (`10.0.0.0/8 443/tcp`, `pypi.org`); none is everything.
    #[serde(default)]
    pub to: Vec<String>,
}

/// What was granted to a workload, or taken from it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GrantReport {
    /// The workload.
    pub workload: Workload,
    /// What holds.
    pub holds: Holds,
    /// Until when; none until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What is granted beside the list; none is everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

/// Why nothing was granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// It is not known which workload is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It is never acted on.
    #[error(transparent)]
    Act(#[from] ActError),
    /// What is to be granted cannot be read.
    #[error("{0}")]
    Destination(String),
    /// There is nothing to grant.
    #[error(
        "the guard egress is off, and everything may be reached: list it under `guards` in the settings and restart the agent"
    )]
    Off,
    /// The kernel says no.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Until it is revoked.
const FOREVER: u64 = u64::MAX;

/// When a time that begins now is over (CLOCK_BOOTTIME in ns).
fn until(time: Option<Duration>) -> u64 {
    time.map_or(FOREVER, |time| {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(FOREVER);
        boot_ns().saturating_add(ns)
    })
}

impl Agent {
    /// Grants everything to a workload, takes everything from it, or has its list alone hold again, and records who
    /// asked for it.
    pub fn grant(&self, request: &GrantRequest, actor: Actor) -> Result<GrantReport, GrantError> {
        if !self.judges_packets() {
            return Err(GrantError::Off);
        }
        let to = destinations(&request.to).map_err(GrantError::Destination)?;
        let workload = self.find_workload(&request.workload)?;
        let (id, path) = (workload.cgroup_id, workload.cgroup.as_str());
        let time = request.seconds.map(Duration::from_secs);
        let wanted = match request.holds {
            Holds::Quarantined => Act::Quarantine(time),
            Holds::Granted | Holds::List => Act::Lift,
        };
        let done = self.carry_out(id, path, wanted, None, false)?.done;
        let until = until(time);
        let (action, detail) = match request.holds {
            Holds::Quarantined => (done.action, done.note),
            Holds::List if done.action.is_some() => (done.action, done.note),
            Holds::Granted => {
                self.write_granted(path, &to, until)?;
                let detail = time.map(|time| format!("for {} s", time.as_secs()));
                let detail = detail.unwrap_or_else(|| "until it is revoked".to_owned());
                let detail = match spelled(&to).join("; ") {
                    to if to.is_empty() => detail,
                    to => format!("{detail}, to {to}"),
                };
                (Some(Action::Granted), detail)
            }
            Holds::List => {
                self.write_grant(path, None)?;
                (Some(Action::Revoked), String::new())
            }
        };
        if let Some(action) = action {
            let (guard, actor) = (Some(Guard::Egress), Some(actor));
            self.record_act_on(action, guard, actor, Some(workload.clone()), detail);
        }
        // A quarantine that lasts longer stayed as it was.
        let egress = Egress::open(&Pins::new(&self.policy().pins))?;
        let until = egress.granted(id)?.map(|(_, until)| until);
        Ok(GrantReport {
            workload,
            holds: request.holds,
            until: until
                .filter(|until| *until != FOREVER)
                .map(clock::timestamp),
            to: spelled(&to),
        })
    }

    /// Grants what a list says, or with an empty one everything.
    fn write_granted(&self, path: &str, to: &Destinations, until: u64) -> Result<(), KernelError> {
        if to.is_empty() {
            return self.write_grant(path, Some((Grant::Granted, until)));
        }
        // Whoever reloads removes lists that no grant names, and another grant looks for the same number.
        let reloading = self.reloading.lock();
        let _reloading = reloading.unwrap_or_else(PoisonError::into_inner);
        let egress = Egress::open(&Pins::new(&self.policy().pins))?;
        let list = egress.add_grant_list(to)?;
        self.write_grant(path, Some((Grant::List(list), until)))
    }

    /// Has the kernel side quarantine all that is below a path, or end that: what acts on workloads asks for it.
    pub(crate) fn cut(&self, path: &str, cut: Cut) -> Result<(), String> {
        if !self.judges_packets() {
            return Err(
                "no program of Hayward's judges what leaves it: list the guard egress under `guards` in the settings, or make quarantine some response, and restart the agent"
                    .to_owned(),
            );
        }
        let grant = match cut {
            Cut::For(time) => Some((Grant::Quarantined, until(time))),
            Cut::Nothing => None,
        };
        let written = self.write_grant(path, grant);
        written.map_err(|error| error.to_string())
    }

    /// Whether what leaves workloads is judged in the kernel.
    pub(crate) fn judges_packets(&self) -> bool {
        let judges = self.with_kernel(|kernel| Ok(kernel.judges_packets()));
        judges.is_ok_and(|judges| judges)
    }

    /// Whether a quarantine lasts for so long that another finding adds too little to be worth a record.
    pub(crate) fn is_quarantined_for_long(&self, cgroup_id: u64) -> bool {
        let half = self.policy().quarantine / 2;
        let restrictions = self.restrictions();
        let quarantined = restrictions.of(cgroup_id);
        let quarantined = quarantined.and_then(|it| it.quarantined.as_ref());
        let until = Timestamp::now().checked_add(half);
        quarantined.is_some_and(|it| until.is_ok_and(|until| it.outlasts(Some(until))))
    }

    /// What holds from now on in a workload, and in all that is below it; none for its list alone.
    fn write_grant(&self, path: &str, grant: Option<(Grant, u64)>) -> Result<(), KernelError> {
        let egress = Egress::open(&Pins::new(&self.policy().pins))?;
        let mut result = Ok(());
        // The whole first: what is made below from then on comes with it.
        walk(&self.mount, &self.folder_of(path), &mut |id, _, _| {
            let written = match grant {
                Some((grant, until)) => egress.grant(id, grant, until),
                None => egress.revoke(id),
            };
            if written.is_err() {
                result = written;
            }
        });
        result
    }

    /// What is granted, or taken, and has not run out.
    pub fn grants(&self) -> Result<Vec<GrantReport>, KernelError> {
        if !self.judges_packets() {
            return Ok(Vec::new());
        }
        let egress = Egress::open(&Pins::new(&self.policy().pins))?;
        let now = boot_ns();
        let lists = egress.grant_lists();
        let mut found = BTreeMap::new();
        for (cgroup, grant, until) in egress.grants() {
            let path = self.pipeline.cgroups.lock().ok();
            let path = path.and_then(|mut cgroups| cgroups.path_of(cgroup));
            // Of a workload, the whole of it.
            if let Some(path) = path.filter(|path| until > now && own_cgroup(path) == path) {
                found.insert(
                    path.clone(),
                    GrantReport {
                        workload: self.named(cgroup, &path),
                        holds: match grant {
                            Grant::Granted | Grant::List(_) => Holds::Granted,
                            Grant::Quarantined => Holds::Quarantined,
                        },
                        to: match grant {
                            Grant::List(list) => lists.get(&list).map(spelled).unwrap_or_default(),
                            Grant::Granted | Grant::Quarantined => Vec::new(),
                        },
                        until: (until != FOREVER).then(|| clock::timestamp(until)),
                    },
                );
            }
        }
        Ok(found.into_values().collect())
    }
}
