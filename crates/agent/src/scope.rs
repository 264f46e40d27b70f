//! Entering the cgroups that existed before the kernel programs did; new ones enter themselves.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use hayward_kernel::Kernel;
use hayward_model::{Guard, ScopePolicy};

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
    walk(mount, root, &mut |id, path, below| {
        let policy = policy_of(below);
        if let Err(error) = kernel.set_scope(id, policy) {
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
