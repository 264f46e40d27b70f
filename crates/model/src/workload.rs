//! What a guard judges and a response acts on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A container, a pod, a systemd unit, a user session, or a plain cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Id of the cgroup (v2) that the process was in.
    pub cgroup_id: u64,
    /// The cgroup's path on the host, below the cgroup file system's root. Empty when it had gone.
    pub cgroup: String,
    /// What kind of thing it is.
    pub kind: WorkloadKind,
    /// What its owners call it: `namespace/pod/container` or the container's name where a runtime told it, else the
    /// container's id, the unit, the user session, or the cgroup's path.
    pub name: String,
    /// Kubernetes pod UID, where the path tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<String>,
    /// Container id, where the path tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Who runs the container, where the path or the runtime itself tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Containers around this one, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<OuterContainer>,
    /// systemd's unit, where the path tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Id of the user whose slice it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Kubernetes namespace, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Name of the container, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Image, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Labels of the pod and of the container, where a runtime told them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What settings ask for of the environment of its first process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// A container around another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OuterContainer {
    /// Its id.
    pub id: String,
    /// Its name, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its image, where a runtime told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl OuterContainer {
    /// One of which nothing but its id is known.
    pub fn new(id: String) -> Self {
        Self {
            id,
            name: None,
            image: None,
        }
    }
}

/// The kinds of workload that a cgroup path tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    #[default]
    Cgroup,
}

/// What runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Docker, and what else is built on moby.
    Docker,
    /// containerd, under Kubernetes, nerdctl or by itself.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman, with root or without.
    Podman,
    /// BuildKit.
    Buildkit,
    /// LXC, LXD and Incus.
    Lxc,
    /// systemd-nspawn, and virtual machines that systemd knows.
    Machine,
}
