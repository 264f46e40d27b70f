//! What holds for a cgroup, and entering those that existed before the kernel programs did or whose names came later;
//! new ones enter themselves.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hayward_kernel::Kernel;
use hayward_model::{Guard, ScopePolicy, Workload, WorkloadKind};
use hayward_policy::{Decision, ScopeRules};
use hayward_workload::{name, own_cgroup};

use crate::{agent::Agent, names::Names};

/// What holds for a cgroup: by what runtimes told of its container, where settings ask for that and it is known, else
/// by its path. A container in another comes with the outer one.
pub(crate) fn decide(rules: &ScopeRules, names: &Names, path: &str) -> Decision {
    if rules.is_by_name()
        && let Some(named) = outermost(names, path)
    {
        return rules.by_name(path, &named);
    }
    rules.by_path(path)
}

/// The outermost container, or else the pod, around a cgroup of which a runtime told.
fn outermost(names: &Names, path: &str) -> Option<Workload> {
    let mut known: Option<Workload> = None;
    let mut at = own_cgroup(path);
    loop {
        let mut workload = name(0, at);
        // A pod says less than the container in it.
        let says_more = workload.kind == WorkloadKind::Container || known.is_none();
        if says_more && names.fill(&mut workload) {
            known = Some(workload);
        }
        match at.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => at = own_cgroup(above),
            _ => return known,
        }
    }
}

impl Agent {
    /// What holds for a cgroup by the settings in force.
    pub(crate) fn decide(&self, path: &str) -> Decision {
        decide(self.policy().scope_rules(), &self.pipeline.names, path)
    }

    /// Whether it is decided what holds for a cgroup: where settings go by names, its container's must be known.
    pub(crate) fn is_decided(&self, path: &str) -> bool {
        let names = &self.pipeline.names;
        !self.policy().scope_rules().is_by_name()
            || name(0, own_cgroup(path)).kind != WorkloadKind::Container
            || outermost(names, path).is_some()
    }

    /// Enters a cgroup, and those below it, anew: by now its name may be known.
    pub(crate) fn enter_again(&self, path: &str) {
        let folder = self.folder_of(path);
        let entered = self.with_kernel(|kernel| {
            let mut policy_of = |path: &str| self.decide(path).policy;
            Ok(enter(kernel, &self.mount, &folder, &mut policy_of))
        });
        if let Err(error) = entered {
            tracing::error!("{error}");
        }
    }
}

/// Enters every cgroup below `root`, and `root` itself, under the policy that its path has. Returns those in which a
/// guard judges. One for which the kernel has no room falls under its parent's.
pub(crate) fn enter(
    kernel: &Kernel,
    mount: &Path,
    root: &Path,
    policy_of: &mut dyn FnMut(&str) -> ScopePolicy,
) -> Vec<(u64, PathBuf)> {
    let mut failed = None;
    let mut scoped = Vec::new();
    let mut wholes = Wholes::default();
    walk(mount, root, &mut |id, path, below| {
        let policy = policy_of(below);
        if let Err(error) = kernel.set_scope(id, policy) {
            failed = Some(error);
        }
        if let Some(whole) = wholes.take(id, below)
            && policy.mode(Guard::Outbound).is_some()
            && let Err(error) = kernel.set_whole(id, whole)
        {
            failed = Some(error);
        }
        if policy.mode(Guard::Command).is_some() {
            scoped.push((id, path.to_owned()));
        }
    });
    if let Some(error) = failed {
        tracing::error!("some cgroups could not be entered: {error}");
    }
    scoped
}

/// Which whole workload each cgroup is within, by the names of those above it: as `bpf/scope.bpf.c` has it for new ones.
#[derive(Debug, Default)]
struct Wholes {
    within: HashMap<String, u64>,
}

impl Wholes {
    /// The workload that a cgroup is within, if it is within one. Those above it must have been taken before.
    fn take(&mut self, id: u64, path: &str) -> Option<u64> {
        let (above, name) = path.rsplit_once('/')?;
        let whole = self.within.get(above).copied();
        if let Some(whole) = whole.or_else(|| is_workload_name(name).then_some(id)) {
            self.within.insert(path.to_owned(), whole);
        }
        whole
    }
}

/// Whether a cgroup of this name is a whole workload: a container, a unit, or a user.
fn is_workload_name(name: &str) -> bool {
    let ends = [".service", ".scope"].iter().any(|end| name.ends_with(end));
    name.len() == 64 || name.len() >= 8 && (ends || name.starts_with("user-"))
}

/// Calls `visit(id, path, host_path)` for every cgroup below `root` and for `root` itself, those above first.
/// `host_path` is the path below the cgroup file system, `/` being its root.
pub(crate) fn walk(mount: &Path, root: &Path, visit: &mut dyn FnMut(u64, &Path, &str)) {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(metadata) = fs::metadata(&folder) else {
            continue;
        };
        let below = folder
            .strip_prefix(mount)
            .map(Path::to_string_lossy)
            .unwrap_or_default();
        visit(metadata.ino(), &folder, &format!("/{below}"));
        let entries = fs::read_dir(&folder).into_iter().flatten();
        let entries = entries.filter_map(Result::ok);
        let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(inner.map(|entry| entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_container_a_unit_or_a_user_is_within_the_outermost_of_them() {
        let mut wholes = Wholes::default();
        let container = format!("/pods/{}", "0".repeat(64));
        let inner = format!("{container}/docker/{}", "1".repeat(64));
        for (id, path, whole) in [
            (1, "/", None),
            (2, "/pods", None),
            (3, container.as_str(), None),
            (4, &format!("{container}/docker"), Some(3)),
            (5, &inner, Some(3)),
            (6, "/user.slice", None),
            (7, "/user.slice/user-1000.slice", None),
            (8, "/user.slice/user-1000.slice/session-1.scope", Some(7)),
            (9, "/system.slice/ssh.service", None),
            (10, "/system.slice/ssh.service/x", Some(9)),
        ] {
            assert_eq!(wholes.take(id, path), whole, "{path}");
        }
    }
}
