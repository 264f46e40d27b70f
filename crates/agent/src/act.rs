//! What operators do to whole workloads by hand.

use std::{
    os::unix::fs::MetadataExt,
    sync::{MutexGuard, PoisonError},
};

use hayward_model::{Action, Actor, Workload};
use hayward_respond::{Act, ActError, Bounds, Fallback, Restrictions, Target, act, act_or_next};
use serde::{Deserialize, Serialize};

use crate::{
    agent::Agent,
    workloads::{FindError, standing},
};

/// Body of `POST /v1/act`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// A workload's name or its beginning, a cgroup id, or a cgroup's path.
    pub workload: String,
    /// What to do.
    pub act: Act,
    /// Check everything, and only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Do what comes next where it is impossible.
    #[serde(default)]
    pub fallback: bool,
}

/// What was done, or would be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActReport {
    /// To what.
    pub workload: Workload,
    /// What records call it; none where nothing had to be done.
    pub action: Option<Action>,
    /// What operators should know.
    pub note: String,
    /// What was tried before, and why it was impossible.
    #[serde(default)]
    pub impossible: Vec<String>,
    /// Nothing was done.
    pub dry_run: bool,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is not known which workload is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It is forbidden, impossible, or failed.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl Agent {
    pub(crate) fn restrictions(&self) -> MutexGuard<'_, Restrictions> {
        let restrictions = self.restrictions.lock();
        restrictions.unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to a workload, and records who asked for it.
    pub fn act(&self, request: &ActRequest, actor: Actor) -> Result<ActReport, RequestError> {
        let workload = self.find_workload(&request.workload)?;
        let policy = self.policy();
        let below = self.root.strip_prefix(&self.mount).unwrap_or(&self.root);
        let bounds = Bounds {
            mount: self.mount.clone(),
            root: format!("/{}", below.display()),
            standing: &|path| standing(&policy, path),
        };
        let target = Target::open(&bounds, workload.cgroup_id, &workload.cgroup)?;
        // Held to the end: one action after the other.
        let mut restrictions = self.restrictions();
        restrictions.keep(|id, path| {
            let folder = self.mount.join(path.trim_start_matches('/'));
            std::fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.ino() == id)
        });
        let (wanted, dry_run) = (request.act, request.dry_run);
        let tried = if request.fallback {
            act_or_next(&target, &mut restrictions, wanted, None, dry_run)
        } else {
            act(&target, &mut restrictions, wanted, dry_run).map(Fallback::from)
        };
        drop(restrictions);
        let record = |action, detail| {
            let actor = Some(actor.clone());
            self.record_act_on(action, None, actor, Some(workload.clone()), detail);
        };
        if let Err(error @ ActError::Left { .. }) = &tried {
            // Some of its processes were ended all the same.
            record(Action::WorkloadKilled, error.to_string());
        }
        let Fallback { done, impossible } = tried?;
        if let Some(action) = done.action.filter(|_| !dry_run) {
            let before = impossible.iter().map(|why| format!("tried before: {why}"));
            let mut parts: Vec<_> = [done.note.clone()].into_iter().chain(before).collect();
            parts.retain(|part| !part.is_empty());
            record(action, parts.join("; "));
        }
        Ok(ActReport {
            workload,
            action: done.action,
            note: done.note,
            impossible,
            dry_run,
        })
    }
}
