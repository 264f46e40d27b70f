//! What a cgroup's path tells of its workload.

use hayward_model::{Workload, WorkloadKind};

/// Prefixes that runtimes put before a container's id, and suffixes that systemd puts behind.
const PREFIXES: [&str; 7] = [
    "docker-",
    "cri-containerd-",
    "crio-",
    "libpod-",
    "nerdctl-",
    "buildkit-",
    "machine-",
];

/// Names the workload of a cgroup by its path below the cgroup file system.
pub fn name(cgroup_id: u64, path: &str) -> Workload {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let container_id = parts.iter().rev().find_map(|part| container(part));
    let pod_uid = parts.iter().rev().find_map(|part| pod(part));
    let (kind, name) = if let Some(id) = &container_id {
        (WorkloadKind::Container, id.chars().take(12).collect())
    } else if let Some(uid) = &pod_uid {
        (WorkloadKind::Pod, uid.clone())
    } else if let Some(user) = parts.iter().find_map(|part| user(part)) {
        (WorkloadKind::User, user)
    } else if let Some(unit) = parts.iter().rev().find(|part| is_unit(part)) {
        (WorkloadKind::Unit, (*unit).to_owned())
    } else {
        (WorkloadKind::Cgroup, path.to_owned())
    };
    Workload {
        cgroup_id,
        cgroup: path.to_owned(),
        kind,
        name,
        pod_uid,
        container_id,
        namespace: None,
        image: None,
    }
}

fn container(part: &str) -> Option<String> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let id = PREFIXES
        .iter()
        .find_map(|prefix| part.strip_prefix(prefix))
        .unwrap_or(part);
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// `pod<uid>` with the cgroupfs driver; `kubepods-...-pod<uid>.slice` with systemd's, which writes `-` as `_`.
fn pod(part: &str) -> Option<String> {
    if let Some(uid) = part.strip_prefix("pod").filter(|uid| uid.len() >= 32) {
        return Some(uid.to_owned());
    }
    let slice = part.strip_suffix(".slice")?;
    let uid = slice.rsplit_once("-pod")?.1;
    (slice.contains("kubepods")).then(|| uid.replace('_', "-"))
}

fn user(part: &str) -> Option<String> {
    let uid = part.strip_prefix("user-")?.strip_suffix(".slice")?;
    uid.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| format!("uid {uid}"))
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount"]
        .iter()
        .any(|suffix| part.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";

    #[test]
    fn paths_of_the_runtimes_tell_container_and_pod() {
        let systemd_uid = UID.replace('-', "_");
        for (path, pod, kind) in [
            (
                format!("/system.slice/docker-{ID}.scope"),
                false,
                WorkloadKind::Container,
            ),
            (format!("/docker/{ID}/init"), false, WorkloadKind::Container),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{systemd_uid}.slice/cri-containerd-{ID}.scope"
                ),
                true,
                WorkloadKind::Container,
            ),
            (
                format!("/kubepods/besteffort/pod{UID}/{ID}"),
                true,
                WorkloadKind::Container,
            ),
            (
                format!("/kubelet/kubepods/pod{UID}"),
                true,
                WorkloadKind::Pod,
            ),
            (
                format!("/machine.slice/libpod-{ID}.scope/container"),
                false,
                WorkloadKind::Container,
            ),
        ] {
            let workload = name(1, &path);
            assert_eq!(workload.kind, kind, "{path}");
            assert_eq!(workload.pod_uid.as_deref(), pod.then_some(UID), "{path}");
            let has_id = kind == WorkloadKind::Container;
            assert_eq!(
                workload.container_id.as_deref(),
                has_id.then_some(ID),
                "{path}"
            );
        }
    }

    #[test]
    fn units_users_and_plain_cgroups_have_names() {
        for (path, kind, expected) in [
            (
                "/system.slice/ssh.service",
                WorkloadKind::Unit,
                "ssh.service",
            ),
            (
                "/user.slice/user-1000.slice/session-3.scope",
                WorkloadKind::User,
                "uid 1000",
            ),
            ("/a/b", WorkloadKind::Cgroup, "/a/b"),
            ("/", WorkloadKind::Cgroup, "/"),
        ] {
            let workload = name(1, path);
            assert_eq!(
                (workload.kind, workload.name.as_str()),
                (kind, expected),
                "{path}"
            );
        }
    }

    #[test]
    fn naming_damaged_cgroups_never_panics() {
        let corpus = Corpus::new(
            [
                format!("/kubepods/besteffort/pod{UID}/{ID}"),
                format!("/user.slice/user-1000.slice/user@1000.service/libpod-{ID}.scope"),
                format!("/kubepods-pod{UID}.slice/cri-containerd-{ID}.scope"),
                "/system.slice/ssh.service".to_owned(),
            ],
            [
                ".slice", ".scope", "pod", "-pod", "docker-", "user-", "kubepods",
            ],
        );
        throw(500, &corpus.damaged_text(), |path| {
            let workload = name(1, &path);
            prop_assert_eq!(&workload.cgroup, &path);
            if let Some(id) = &workload.container_id {
                prop_assert_eq!((id.len(), workload.kind), (64, WorkloadKind::Container));
                prop_assert!(path.contains(id.as_str()));
            }
            prop_assert!(workload.name.len() <= path.len().max(12));
            Ok(())
        });
    }
}
