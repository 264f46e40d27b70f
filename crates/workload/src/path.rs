//! What a cgroup's path tells of its workload.
//!
//! Runtimes name cgroups by two habits: under systemd's driver a container is a scope, `docker-<id>.scope`; under the
//! cgroupfs driver a folder, `/docker/<id>`. Kubernetes puts pods above, and runtimes put containers into containers.

use hayward_model::{OuterContainer, Runtime, Workload, WorkloadKind};

/// What stands before a container's id, without `.scope` behind it. Longer ones come before those that they begin with.
const PREFIXES: [(&str, Runtime); 6] = [
    ("docker-", Runtime::Docker),
    ("cri-containerd-", Runtime::Containerd),
    ("nerdctl-", Runtime::Containerd),
    ("crio-", Runtime::CriO),
    ("libpod-", Runtime::Podman),
    ("buildkit-", Runtime::Buildkit),
];

/// Folders in which each folder is a container.
const PARENTS: [(&str, Runtime); 6] = [
    ("docker", Runtime::Docker),
    ("moby", Runtime::Docker),
    ("k8s.io", Runtime::Containerd),
    ("buildkit", Runtime::Buildkit),
    ("libpod_parent", Runtime::Podman),
    ("lxc", Runtime::Lxc),
];

/// Names the workload of a cgroup by its path below the cgroup file system.
pub fn name(cgroup_id: u64, path: &str) -> Workload {
    read_path(cgroup_id, path).0
}

/// The path of the workload's own cgroup, of which `path` may be a part: the innermost container's, else the pod's, the
/// user's slice or the unit's. A cgroup that is none of these is by itself.
pub fn own_cgroup(path: &str) -> &str {
    &path[..read_path(0, path).1]
}

/// The workload, and where in the path the part ends that says which it is.
fn read_path(cgroup_id: u64, path: &str) -> (Workload, usize) {
    let mut workload = Workload {
        cgroup_id,
        cgroup: path.to_owned(),
        ..Workload::default()
    };
    let (mut parent, mut end) = ("", 0);
    let mut told = Vec::new();
    for part in path.split('/') {
        end += part.len();
        if !part.is_empty() {
            told.extend(read(part, parent, &mut workload).map(|kind| (kind, end)));
            parent = part;
        }
        end += 1;
    }
    let user = workload.uid.map(|uid| format!("uid {uid}"));
    (workload.kind, workload.name) = if let Some(id) = &workload.container_id {
        (WorkloadKind::Container, id.chars().take(12).collect())
    } else if let Some(uid) = &workload.pod_uid {
        (WorkloadKind::Pod, uid.clone())
    } else if let Some(user) = user {
        (WorkloadKind::User, user)
    } else if let Some(unit) = &workload.unit {
        (WorkloadKind::Unit, unit.clone())
    } else {
        (WorkloadKind::Cgroup, path.to_owned())
    };
    let deciding = told.iter().rev().find(|(kind, _)| *kind == workload.kind);
    let end = deciding.map_or(path.len(), |(_, end)| *end);
    (workload, end)
}

/// Takes what one part tells, and says which kind of workload begins there. Those further down say more.
fn read(part: &str, parent: &str, workload: &mut Workload) -> Option<WorkloadKind> {
    if let Some((id, runtime)) = container(part, parent) {
        // Two cgroups of one container, as CRI-O and Podman make them where a container has cgroups of its own.
        if workload.container_id.as_ref() == Some(&id) {
            return None;
        }
        if let Some(id) = workload.container_id.replace(id) {
            workload.within.push(OuterContainer::new(id));
        }
        workload.runtime = runtime;
        return Some(WorkloadKind::Container);
    }
    if let Some(uid) = pod(part) {
        // A pod's own containers come after it; those before it are around the whole node.
        if let Some(id) = workload.container_id.take() {
            workload.within.push(OuterContainer::new(id));
        }
        workload.pod_uid = Some(uid);
        workload.runtime = None;
        return Some(WorkloadKind::Pod);
    }
    if workload.container_id.is_some() {
        return None;
    }
    if let Some(uid) = user(part) {
        workload.uid = Some(uid);
        return Some(WorkloadKind::User);
    }
    is_unit(part).then(|| {
        workload.unit = Some(part.to_owned());
        WorkloadKind::Unit
    })
}

fn container(part: &str, parent: &str) -> Option<(String, Option<Runtime>)> {
    let bare = part.strip_suffix(".scope").unwrap_or(part);
    let prefixed = PREFIXES
        .iter()
        .find_map(|(prefix, runtime)| Some((bare.strip_prefix(prefix)?, *runtime)));
    if let Some((id, runtime)) = prefixed {
        return is_id(id).then(|| (id.to_owned(), Some(runtime)));
    }
    if let Some(name) = bare.strip_prefix("lxc.payload.") {
        return Some((name.to_owned(), Some(Runtime::Lxc)));
    }
    if let Some(name) = part
        .strip_prefix("machine-")
        .and_then(|name| name.strip_suffix(".scope"))
    {
        return Some((unescaped(name), Some(Runtime::Machine)));
    }
    let runtime = PARENTS
        .iter()
        .find(|(name, _)| *name == parent)
        .map(|(_, runtime)| *runtime);
    // BuildKit's, and what LXC and plain containerd are given, are no hexadecimal numbers.
    let named = match (runtime, parent) {
        (Some(Runtime::Buildkit), _) => is_buildkit_id(part),
        (Some(Runtime::Lxc), _) | (_, "k8s.io") => true,
        _ => false,
    };
    (named || is_id(part)).then(|| (part.to_owned(), runtime))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_buildkit_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() == 25 && text.bytes().all(is_digit)
}

/// `pod<uid>` with the cgroupfs driver; `kubepods-...-pod<uid>.slice` with systemd's, which writes `-` as `_`. The UID of
/// a pod from a file on the node is a hash, without dashes.
fn pod(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) if slice.contains("kubepods") => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        Some(_) => return None,
        None => part.strip_prefix("pod")?.to_owned(),
    };
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = uid.len() - digits;
    (digits == 32 && [0, 4].contains(&dashes)).then_some(uid)
}

fn user(part: &str) -> Option<u32> {
    let uid = part.strip_prefix("user-")?.strip_suffix(".slice")?;
    uid.parse().ok()
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".socket", ".mount"]
        .iter()
        .any(|suffix| part.ends_with(suffix))
}

/// systemd writes what unit names cannot hold as `\xNN`.
fn unescaped(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        text.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(u8::is_ascii_graphic);
        match byte {
            Some(byte) => {
                text.push(byte.into());
                rest = &after[2..];
            }
            None => {
                text.push_str("\\x");
                rest = after;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests;
