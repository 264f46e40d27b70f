//! The workloads in scope: what there is, what was done to it, and which one an operator means.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use hayward_kernel::boot_ns;
use hayward_model::{Guard, Mode, ScopePolicy, Workload, WorkloadKind};
use hayward_policy::Policy;
use hayward_respond::{Restriction, Standing};
use hayward_workload::{name, own_cgroup};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, options::uid_min, process, scan::members, scope::walk};

/// A workload in scope.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkloadReport {
    /// What it is. Its cgroup is the whole workload's.
    pub workload: Workload,
    /// Processes in it, but for those of containers in it.
    pub processes: usize,
    /// The mode of each guard that judges there.
    pub guards: BTreeMap<Guard, Mode>,
    /// It was told to freeze.
    #[serde(default)]
    pub frozen: bool,
    /// What Hayward did to it and can undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restriction: Option<Restriction>,
    /// Seconds since the oldest of its processes started; none where there are no processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}

/// Why it is not known which workload is meant.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None.
    #[error(
        "no workload in scope is called {0}: `hayward workloads` lists them; a cgroup id or a cgroup's path will do too"
    )]
    Unknown(String),
    /// More than one.
    #[error("{text} may be any of these; write more of it, or a cgroup id:{}", lines(.all))]
    Ambiguous {
        /// What was asked for.
        text: String,
        /// The workloads that it may be.
        all: Vec<Workload>,
    },
}

fn lines(workloads: &[Workload]) -> String {
    let line = |one: &Workload| format!("\n  {}  {}  {}", one.cgroup_id, one.name, one.cgroup);
    workloads.iter().map(line).collect()
}

/// What the scope says of a cgroup for which `decided` holds; where `users` are in it, their slices are workloads too.
pub(crate) fn standing(policy: &Policy, path: &str, decided: ScopePolicy) -> Standing {
    let judged = |policy: ScopePolicy| {
        Guard::ALL
            .into_iter()
            .any(|guard| policy.mode(guard).is_some())
    };
    let users = policy.scope_rules().users();
    match decided {
        _ if decided.is_excluded() => Standing::Excluded,
        _ if judged(decided) => Standing::In,
        _ if users && name(0, path).uid.is_some_and(|uid| uid >= uid_min()) => Standing::In,
        _ => Standing::Out,
    }
}

/// The path of the whole workload that a cgroup belongs to, as far as it is in scope.
pub(crate) fn whole(standing: impl Fn(&str) -> Standing, path: &str) -> &str {
    let own = own_cgroup(path);
    if standing(own) == Standing::In {
        own
    } else {
        path
    }
}

/// The mode of each guard that judges under a policy.
pub(crate) fn modes(policy: &Policy, decided: ScopePolicy) -> BTreeMap<Guard, Mode> {
    let decided = if decided.is_out() {
        policy.scope_rules().general()
    } else {
        decided
    };
    let guards = Guard::ALL.into_iter();
    let guards = guards.filter_map(|guard| Some((guard, decided.mode(guard)?)));
    guards.collect()
}

impl Agent {
    /// What the scope says of a cgroup.
    pub(crate) fn standing(&self, policy: &Policy, path: &str) -> Standing {
        standing(policy, path, self.decide(path).policy)
    }

    /// The workloads in scope, by path: those that hold processes, and those that are more than a plain cgroup.
    pub fn workloads(&self) -> Vec<WorkloadReport> {
        let policy = self.policy();
        let mut found: BTreeMap<String, (Option<u64>, Vec<u32>)> = BTreeMap::new();
        let standing = |path: &str| self.standing(&policy, path);
        walk(&self.mount, &self.root, &mut |id, folder, path| {
            if standing(path) != Standing::In {
                return;
            }
            let whole = whole(standing, path);
            let (its_id, pids) = found.entry(whole.to_owned()).or_default();
            if whole == path {
                *its_id = Some(id);
            }
            pids.extend(members(folder));
        });
        let reports = found.into_iter().filter_map(|(path, (id, pids))| {
            let id = id.or_else(|| self.id_of(&path))?;
            Some(self.report(&policy, self.named(id, &path), &pids))
        });
        reports
            .filter(|report| {
                report.processes > 0
                    || report.frozen
                    || report.restriction.is_some()
                    || report.workload.kind != WorkloadKind::Cgroup
            })
            .collect()
    }

    fn report(&self, policy: &Policy, workload: Workload, pids: &[u32]) -> WorkloadReport {
        let decided = self.decide(&workload.cgroup).policy;
        let folder = self.folder_of(&workload.cgroup);
        let frozen = fs::read_to_string(folder.join("cgroup.freeze"));
        let oldest = pids.iter().filter_map(|pid| process::started(*pid)).min();
        let restriction = self.restrictions().of(workload.cgroup_id).cloned();
        let restriction = restriction.and_then(|it| it.at(Timestamp::now()));
        WorkloadReport {
            processes: pids.len(),
            guards: modes(policy, decided),
            frozen: frozen.is_ok_and(|text| text.trim_end() == "1"),
            restriction,
            age_seconds: oldest.map(|start| boot_ns().saturating_sub(start) / 1_000_000_000),
            workload,
        }
    }

    /// The workload that is meant by a name, its own, its pod's or its container's, by a cgroup id, a container's id, a
    /// pod's UID, a cgroup's path, or the only beginning of a name. What has a path is found though it is out of scope, so that it can be said why nothing is
    /// done to it.
    pub fn find_workload(&self, text: &str) -> Result<Workload, FindError> {
        let policy = self.policy();
        if text.is_empty() {
            return Err(FindError::Unknown("\"\"".to_owned()));
        }
        let standing = |path: &str| self.standing(&policy, path);
        if let Some(path) = self.cgroup_path(text) {
            let path = whole(standing, &path).to_owned();
            let id = self.id_of(&path);
            return id
                .map(|id| self.named(id, &path))
                .ok_or_else(|| FindError::Unknown(text.to_owned()));
        }
        let mut exact = BTreeMap::new();
        let mut begin = BTreeMap::new();
        let id = text.parse::<u64>().ok();
        walk(&self.mount, &self.root, &mut |its_id, _, path| {
            if standing(path) != Standing::In {
                return;
            }
            let whole = whole(standing, path);
            let workload = self.named(0, whole);
            let others = [&workload.container_id, &workload.pod, &workload.container];
            let others = others.into_iter().flatten().map(String::as_str);
            let mut names = others.chain([workload.name.as_str()]);
            let found = if Some(its_id) == id || names.clone().any(|name| name == text) {
                &mut exact
            } else if names.any(|name| name.starts_with(text)) {
                &mut begin
            } else {
                return;
            };
            let own = (whole == path).then_some(its_id);
            found.entry(whole.to_owned()).or_insert(own);
        });
        let found = if exact.is_empty() { begin } else { exact };
        let found = found.into_iter();
        let found = found
            .filter_map(|(path, id)| Some(self.named(id.or_else(|| self.id_of(&path))?, &path)));
        let mut found: Vec<Workload> = found.collect();
        match found.len() {
            0 => Err(FindError::Unknown(text.to_owned())),
            1 => Ok(found.remove(0)),
            _ => Err(FindError::Ambiguous {
                text: text.to_owned(),
                all: found,
            }),
        }
    }

    /// A workload with what runtimes call it.
    pub(crate) fn named(&self, id: u64, path: &str) -> Workload {
        let mut workload = name(id, path);
        self.pipeline.names.fill_or_ask(&mut workload);
        workload
    }

    /// A path below the cgroup file system, also where it was written with that before it.
    fn cgroup_path(&self, text: &str) -> Option<String> {
        let below = Path::new(text).strip_prefix(&self.mount);
        let path = below.map_or(text.to_owned(), |below| format!("/{}", below.display()));
        let path = path
            .strip_suffix('/')
            .filter(|path| !path.is_empty())
            .unwrap_or(&path);
        let plain = !path.split('/').any(|part| [".", ".."].contains(&part));
        (path.starts_with('/') && plain).then(|| path.to_owned())
    }

    pub(crate) fn folder_of(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }

    fn id_of(&self, path: &str) -> Option<u64> {
        self.pipeline.cgroups.lock().ok()?.id_of(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_users_are_in_scope_their_slices_are_and_no_others() {
        let policy = |include: &str| {
            let text = format!(
                "scope: {{include: [{include}], exclude: [/user.slice/user-60001.slice]}}\n"
            );
            Policy::parse("a test", &text).expect("good settings")
        };
        let by_path = |policy: &Policy, path: &str| {
            standing(policy, path, policy.scope_rules().by_path(path).policy)
        };
        let (users, containers) = (policy("users"), policy("containers"));
        let container = format!("/docker/{}", "a".repeat(64));
        let own_slice = "/user.slice/user-60000.slice";
        for (path, with_users, without) in [
            (own_slice, Standing::In, Standing::Out),
            (
                "/user.slice/user-60001.slice",
                Standing::Excluded,
                Standing::Excluded,
            ),
            ("/user.slice/user-0.slice", Standing::Out, Standing::Out),
            ("/user.slice", Standing::Out, Standing::Out),
            ("/system.slice/ssh.service", Standing::Out, Standing::Out),
            (
                "/system.slice/docker.service",
                Standing::Excluded,
                Standing::Excluded,
            ),
            (container.as_str(), Standing::Out, Standing::In),
        ] {
            assert_eq!(by_path(&users, path), with_users, "{path}");
            assert_eq!(by_path(&containers, path), without, "{path}");
        }
        let below = format!("{own_slice}/user@60000.service/app.slice");
        assert_eq!(whole(|path| by_path(&users, path), &below), own_slice);
        // A unit that is not in scope as a whole is acted on as far as it is.
        let part = policy("\"/system.slice/a.service/jobs\"");
        let jobs = "/system.slice/a.service/jobs";
        assert_eq!(whole(|path| by_path(&part, path), jobs), jobs);
    }
}
