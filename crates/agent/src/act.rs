//! What operators do to whole workloads by hand.

use std::{
    os::unix::fs::MetadataExt,
    sync::{MutexGuard, PoisonError},
};

use hayward_model::{Action, Actor, Workload};
use hayward_respond::{
    Act, ActError, Bounds, Fallback, Judged, Restrictions, Target, act, act_or_next,
};
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, workloads::FindError};

/// What `release` does beside undoing a throttle.
const CONTACTS: &str = "it may get in touch with others again";

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

    /// Does something to the workload of a cgroup: what is wanted alone, or with `fallback` what comes next where that is
    /// impossible, which may be about the process that was judged.
    pub(crate) fn carry_out(
        &self,
        id: u64,
        path: &str,
        wanted: Act,
        fallback: Option<Option<Judged>>,
        dry_run: bool,
    ) -> Result<Fallback, ActError> {
        self.with_bounds(|bounds| {
            let target = Target::open(bounds, id, path)?;
            self.carry_out_on(&target, wanted, fallback, dry_run)
        })
    }

    /// Where actions end.
    pub(crate) fn with_bounds<T>(&self, act: impl FnOnce(&Bounds) -> T) -> T {
        let policy = self.policy();
        let below = self.root.strip_prefix(&self.mount).unwrap_or(&self.root);
        act(&Bounds {
            mount: self.mount.clone(),
            root: format!("/{}", below.display()),
            standing: &|path| self.standing(&policy, path),
            stop: &|stop| self.pipeline.names.stop_workload(stop),
            quarantine: &|path, cut| self.cut(path, cut),
        })
    }

    fn carry_out_on(
        &self,
        target: &Target,
        wanted: Act,
        fallback: Option<Option<Judged>>,
        dry_run: bool,
    ) -> Result<Fallback, ActError> {
        self.restrictions().keep(|id, path| {
            let folder = self.mount.join(path.trim_start_matches('/'));
            std::fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.ino() == id)
        });
        match fallback {
            Some(judged) => act_or_next(target, &self.restrictions, wanted, judged, dry_run),
            None => act(target, &self.restrictions, wanted, dry_run).map(Fallback::from),
        }
    }

    /// Does something to a workload, and records who asked for it.
    pub fn act(&self, request: &ActRequest, actor: Actor) -> Result<ActReport, RequestError> {
        let workload = self.find_workload(&request.workload)?;
        let (wanted, dry_run) = (request.act, request.dry_run);
        let (id, path) = (workload.cgroup_id, workload.cgroup.as_str());
        let fallback = request.fallback.then_some(None);
        let tried = self.carry_out(id, path, wanted, fallback, dry_run);
        let record = |action, detail| {
            let actor = Some(actor.clone());
            self.record_act_on(action, None, actor, Some(workload.clone()), detail);
        };
        if let Err(error @ ActError::Left { .. }) = &tried {
            // Some of its processes were ended all the same.
            record(Action::WorkloadKilled, error.to_string());
        }
        let mut tried = tried?;
        if wanted == Act::Release && self.lets_contact_again(id, dry_run) {
            // What else there was to undo is told too.
            let also = tried.done.action.map(|_| format!("; {}", tried.done.note));
            tried.done.note = format!("{CONTACTS}{}", also.unwrap_or_default());
            tried.done.action = Some(Action::Released);
        }
        if let Some(action) = tried.done.action.filter(|_| !dry_run) {
            record(action, tried.detail());
        }
        let Fallback { done, impossible } = tried;
        Ok(ActReport {
            workload,
            action: done.action,
            note: done.note,
            impossible,
            dry_run,
        })
    }
}
