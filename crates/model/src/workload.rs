//! What a guard judges and a response acts on.

use serde::{Deserialize, Serialize};

/// A container, a pod, a systemd unit, a user session, or a plain cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Id of the cgroup (v2) that the process was in.
    pub cgroup_id: u64,
    /// The cgroup's path on the host, below the cgroup file system's root. Empty when it had gone.
    pub cgroup: String,
    /// What kind of thing it is.
    pub kind: WorkloadKind,
    /// What its owners call it: container id, unit, user session, or the cgroup's path.
    pub name: String,
    /// Kubernetes pod UID, where the path tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Container id, where the path tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Kubernetes namespace, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Image, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// The kinds of workload that a cgroup path tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadKind {
    /// A container of any runtime.
    Container,
    /// A pod's own cgroup, outside any of its containers.
    Pod,
    /// A systemd unit.
    Unit,
    /// A login user's session or service.
    User,
    /// A cgroup that none of the above describes.
    Cgroup,
}
