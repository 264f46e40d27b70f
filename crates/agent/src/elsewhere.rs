//! Containers that no guard can see. The kernel programs tell processes by their cgroup in cgroup2: a runtime that knows
//! cgroup v1 alone leaves its containers' processes in the cgroup of the one that started them.

use std::{collections::HashSet, path::Path};

use hayward_workload::name;

use crate::{agent::Agent, scope::walk};

impl Agent {
    /// What is wrong, where runtimes tell of containers that run and none has a cgroup. That some have none is no
    /// problem: they may just have ended.
    pub(crate) fn elsewhere(&self) -> Option<String> {
        let running = self.pipeline.names.running();
        if running.is_empty() || has_any(&self.mount, &running) {
            return None;
        }
        Some(format!(
            "none of the {} containers that runtimes tell of has a cgroup below {}: they are out of scope. With cgroup v1, boot with systemd.unified_cgroup_hierarchy=1; with the agent in a container, mount the host's /sys/fs/cgroup there",
            running.len(),
            self.mount.display()
        ))
    }
}

/// Whether any of these containers has a cgroup.
fn has_any(mount: &Path, containers: &HashSet<String>) -> bool {
    let mut found = false;
    walk(mount, mount, &mut |id, _, path| {
        // Paths tell containers from all else.
        let container = name(id, path).container_id;
        found = found || container.is_some_and(|id| containers.contains(&id));
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_seen_by_its_cgroup() {
        let mount = tempfile::tempdir().expect("a folder");
        let (inside, outside) = ("a".repeat(64), "b".repeat(64));
        let cgroup = format!("system.slice/docker-{inside}.scope");
        std::fs::create_dir_all(mount.path().join(cgroup)).expect("a folder");
        let has = |ids: &[&String]| {
            let ids = ids.iter().map(|id| (*id).clone()).collect();
            has_any(mount.path(), &ids)
        };
        assert!(has(&[&inside]) && has(&[&inside, &outside]));
        assert!(!has(&[&outside]));
    }
}
