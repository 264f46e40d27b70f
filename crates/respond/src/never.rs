//! What is never acted on, whoever asks. Every action looks here first, and once more when it begins.
//!
//! A name can be forged, so no program is known by its name here: what runs containers is told by the scope, which
//! excludes its cgroups, and Hayward by the file that a process runs.

use std::path::PathBuf;

use crate::{Cut, Stop, kill::hayward_among, tree::Tree};

/// What the scope says of a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A guard judges there.
    In,
    /// No guard judges there.
    Out,
    /// It is excluded, by settings or because it runs containers.
    Excluded,
}

/// Where actions end.
pub struct Bounds<'a> {
    /// Where cgroup2 is mounted.
    pub mount: PathBuf,
    /// Path below the mount, `/` for all of it: nothing outside is acted on, and neither is this cgroup itself.
    pub root: String,
    /// What the scope says of a cgroup, by its path below the mount.
    pub standing: &'a dyn Fn(&str) -> Standing,
    /// Has a container stopped by its runtime.
    pub stop: &'a dyn Fn(&Stop) -> Result<String, String>,
    /// Has the kernel side quarantine all that is below a path, or end that.
    pub quarantine: &'a dyn Fn(&str, Cut) -> Result<(), String>,
}

impl std::fmt::Debug for Bounds<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Bounds");
        let debug = debug.field("mount", &self.mount).field("root", &self.root);
        debug.finish_non_exhaustive()
    }
}

/// Why a cgroup is never acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is never acted on: {why}")]
pub struct Forbidden {
    /// The cgroup.
    pub path: String,
    /// Why.
    pub why: Why,
}

/// Why a cgroup is never acted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is the root of all cgroups.
    #[error("the whole host is in it; name a workload")]
    Host,
    /// It is `cgroup_root` itself.
    #[error("all that Hayward guards is in it (`cgroup_root`); name a workload in it")]
    Root,
    /// It is not below `cgroup_root`.
    #[error("it is not below `cgroup_root: {0}`")]
    Outside(String),
    /// No guard judges there.
    #[error("it is not in scope; `hayward workloads` lists what is")]
    OutOfScope,
    /// It is excluded, or a cgroup below it is.
    #[error("{0} is excluded from the scope, by settings or because it runs containers")]
    Excluded(String),
    /// PID 1 is in it.
    #[error("process 1, on which all others depend, is in it")]
    Init,
    /// A process that runs Hayward's own binary is in it.
    #[error("process {0} in it is Hayward; run it from a cgroup elsewhere")]
    Hayward(u32),
}

impl Bounds<'_> {
    /// Whether a path may be acted on, by itself. What is in the cgroup is asked separately.
    pub(crate) fn check_path(&self, path: &str) -> Result<(), Why> {
        let root = self.root.trim_end_matches('/');
        match path.strip_prefix(root) {
            _ if path == "/" => return Err(Why::Host),
            Some("") => return Err(Why::Root),
            Some(below) if below.starts_with('/') && is_plain(below) => {}
            _ => return Err(Why::Outside(self.root.clone())),
        }
        match (self.standing)(path) {
            Standing::In => Ok(()),
            Standing::Out => Err(Why::OutOfScope),
            Standing::Excluded => Err(Why::Excluded(path.to_owned())),
        }
    }

    /// Whether what is in a cgroup, and below it, may be acted on.
    pub(crate) fn check_tree(&self, path: &str, tree: &Tree) -> Result<(), Why> {
        for cgroup in tree.cgroups() {
            let below = format!("{path}/{}", cgroup.display());
            if (self.standing)(&below) == Standing::Excluded {
                return Err(Why::Excluded(below));
            }
        }
        let pids = tree.pids();
        if pids.contains(&1) {
            return Err(Why::Init);
        }
        hayward_among(&pids).map_or(Ok(()), |pid| Err(Why::Hayward(pid)))
    }
}

/// Every part is a name: none leads up, and none is missing.
fn is_plain(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    parts.all(|part| !["", ".", ".."].contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(root: &str, path: &str) -> Result<(), Why> {
        let standing = |path: &str| match path {
            _ if path.contains("/excluded") => Standing::Excluded,
            _ if path.contains("/jobs") => Standing::In,
            _ => Standing::Out,
        };
        let bounds = Bounds {
            mount: PathBuf::new(),
            root: root.to_owned(),
            standing: &standing,
            stop: &|_| Err("nobody asks".to_owned()),
            quarantine: &|_, _| Err("nobody asks".to_owned()),
        };
        bounds.check_path(path)
    }

    #[test]
    fn only_what_is_in_scope_below_the_root_is_acted_on() {
        let outside = |root: &str| Err(Why::Outside(root.to_owned()));
        for (root, path, expected) in [
            ("/", "/", Err(Why::Host)),
            ("/a", "/", Err(Why::Host)),
            ("/a", "/a", Err(Why::Root)),
            ("/a/", "/a", Err(Why::Root)),
            ("/a", "/b/jobs", outside("/a")),
            ("/a", "/ab/jobs", outside("/a")),
            ("/a", "/a/../b/jobs", outside("/a")),
            ("/a", "/a/./jobs", outside("/a")),
            ("/a", "/a//jobs", outside("/a")),
            ("/a", "/a/jobs/", outside("/a")),
            ("/a", "a/jobs", outside("/a")),
            ("/a", "", outside("/a")),
            ("/", "", Err(Why::Root)),
            ("/", "jobs", outside("/")),
            ("/a", "/a/other", Err(Why::OutOfScope)),
            (
                "/a",
                "/a/excluded",
                Err(Why::Excluded("/a/excluded".to_owned())),
            ),
            ("/a", "/a/jobs", Ok(())),
            ("/", "/jobs/1", Ok(())),
        ] {
            assert_eq!(asked(root, path), expected, "{path} below {root}");
        }
    }
}
