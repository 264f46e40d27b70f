//! Paths as runtimes make them, by driver and by how deep they are nested.

use hayward_fuzz::{Corpus, throw};
use proptest::prelude::*;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OUTER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const UID: &str = "0c8e2f1a-1b2c-4d3e-9f00-112233445566";
const UID_: &str = "0c8e2f1a_1b2c_4d3e_9f00_112233445566";
const STATIC: &str = "9d1f3b5a7c9e1f3b5a7c9e1f3b5a7c9e";
const BUILD: &str = "k3v0q9z8x7w6v5u4t3s2r1q0p";

/// A path with its names in braces, the runtime, and whether there is a pod.
const CONTAINERS: [(&str, Option<Runtime>, bool); 25] = [
    // Docker: systemd's driver, cgroupfs, a custom parent, an init of its own below.
    (
        "/system.slice/docker-{ID}.scope",
        Some(Runtime::Docker),
        false,
    ),
    ("/docker/{ID}", Some(Runtime::Docker), false),
    ("/docker/{ID}/init", Some(Runtime::Docker), false),
    (
        "/ci.slice/ci-jobs.slice/docker-{ID}.scope",
        Some(Runtime::Docker),
        false,
    ),
    ("/moby/{ID}", Some(Runtime::Docker), false),
    // containerd under Kubernetes: guaranteed, burstable, best effort; both drivers; a kubelet with its own root.
    (
        "/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
        Some(Runtime::Containerd),
        true,
    ),
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
        Some(Runtime::Containerd),
        true,
    ),
    (
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{STATIC}.slice/cri-containerd-{ID}.scope",
        Some(Runtime::Containerd),
        true,
    ),
    (
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope",
        Some(Runtime::Containerd),
        true,
    ),
    ("/kubepods/besteffort/pod{UID}/{ID}", None, true),
    ("/kubepods/pod{STATIC}/{ID}", None, true),
    (
        "/kubelet/kubepods/burstable/pod{UID}/{ID}/user.slice/x",
        None,
        true,
    ),
    ("/k8s.io/{ID}", Some(Runtime::Containerd), false),
    (
        "/system.slice/nerdctl-{ID}.scope",
        Some(Runtime::Containerd),
        false,
    ),
    // CRI-O: both drivers, and with crun a cgroup below.
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope",
        Some(Runtime::CriO),
        true,
    ),
    (
        "/kubepods.slice/kubepods-pod{UID_}.slice/crio-{ID}.scope/container",
        Some(Runtime::CriO),
        true,
    ),
    (
        "/kubepods/burstable/pod{UID}/crio-{ID}",
        Some(Runtime::CriO),
        true,
    ),
    // Podman: with root, in a pod of its own, without root, under cgroupfs.
    (
        "/machine.slice/libpod-{ID}.scope/container",
        Some(Runtime::Podman),
        false,
    ),
    (
        "/machine.slice/machine-libpod_pod_{OUTER}.slice/libpod-{ID}.scope",
        Some(Runtime::Podman),
        false,
    ),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container",
        Some(Runtime::Podman),
        false,
    ),
    ("/libpod_parent/libpod-{ID}", Some(Runtime::Podman), false),
    // Builds.
    (
        "/system.slice/buildkit-{ID}.scope",
        Some(Runtime::Buildkit),
        false,
    ),
    ("/buildkit/{BUILD}", Some(Runtime::Buildkit), false),
    ("/docker/buildkit/{BUILD}", Some(Runtime::Buildkit), false),
    (
        "/lxc.payload.web/system.slice/nginx.service",
        Some(Runtime::Lxc),
        false,
    ),
];

fn filled(path: &str) -> String {
    [
        ("{ID}", ID),
        ("{OUTER}", OUTER),
        ("{UID}", UID),
        ("{UID_}", UID_),
        ("{STATIC}", STATIC),
        ("{BUILD}", BUILD),
    ]
    .into_iter()
    .fold(path.to_owned(), |path, (name, value)| {
        path.replace(name, value)
    })
}

#[test]
fn paths_of_the_runtimes_tell_container_and_pod() {
    for (template, runtime, has_pod) in CONTAINERS {
        let path = filled(template);
        let workload = name(1, &path);
        let id = match template {
            _ if template.contains("{BUILD}") => BUILD,
            _ if template.contains("{ID}") => ID,
            _ => "web",
        };
        assert_eq!(workload.kind, WorkloadKind::Container, "{path}");
        assert_eq!(workload.container_id.as_deref(), Some(id), "{path}");
        assert_eq!(workload.runtime, runtime, "{path}");
        assert_eq!(workload.within, [], "{path}");
        let uid = if template.contains("{STATIC}") {
            STATIC
        } else {
            UID
        };
        assert_eq!(
            workload.pod_uid.as_deref(),
            has_pod.then_some(uid),
            "{path}"
        );
        assert!(id.starts_with(&workload.name), "{path}");
    }
}

#[test]
fn a_part_of_a_workload_leads_to_the_whole() {
    let pod = filled("/kubepods/burstable/pod{UID}");
    let container = filled("{POD}/{ID}").replace("{POD}", &pod);
    let within = format!("{container}/docker/{OUTER}");
    for (own, below) in [
        (container.as_str(), "/init"),
        (&container, "/user.slice/user-1000.slice/x.service"),
        (&pod, "/system.slice/x.service"),
        (&within, "/a/b"),
        (
            "/user.slice/user-1000.slice",
            "/user@1000.service/app.slice",
        ),
        ("/system.slice/ci-7.service", "/jobs/1"),
        ("/plain/cgroup", ""),
        ("/", ""),
    ] {
        assert_eq!(own_cgroup(&format!("{own}{below}")), own);
        assert_eq!(own_cgroup(own), own);
    }
    // What Podman nests is one container, and the outer cgroup is all of it.
    let podman = filled("/machine.slice/libpod-{ID}.scope");
    assert_eq!(own_cgroup(&format!("{podman}/libpod-{ID}")), podman);
}

#[test]
fn containers_in_containers_are_named_down_to_the_innermost() {
    let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{OUTER}.scope";
    for (below, innermost) in [
        ("/docker/{ID}", ID),
        ("/system.slice/docker-{ID}.scope", ID),
        ("/buildkit/{BUILD}", BUILD),
        ("/docker/buildkit/{BUILD}", BUILD),
        ("/user.slice/libpod-{ID}.scope/container", ID),
        ("/lxc/web", "web"),
    ] {
        let workload = name(1, &filled(&format!("{pod}{below}")));
        assert_eq!(workload.container_id.as_deref(), Some(innermost), "{below}");
        assert_eq!(workload.pod_uid.as_deref(), Some(UID), "{below}");
        let within: Vec<&str> = workload
            .within
            .iter()
            .map(|outer| outer.id.as_str())
            .collect();
        assert_eq!(within, [OUTER], "{below}");
    }
    // A whole node in a container, as with kind: the pod is within, and so is its container.
    let node = filled(
        "/docker/{OUTER}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
    );
    let workload = name(1, &node);
    assert_eq!(
        (
            workload.container_id.as_deref(),
            workload.pod_uid.as_deref()
        ),
        (Some(ID), Some(UID))
    );
    assert_eq!(workload.within[0].id, OUTER);
}

#[test]
fn pods_units_users_machines_and_plain_cgroups_have_names() {
    for (path, kind, expected) in [
        ("/kubelet/kubepods/pod{UID}", WorkloadKind::Pod, UID),
        (
            "/kubepods.slice/kubepods-pod{UID_}.slice",
            WorkloadKind::Pod,
            UID,
        ),
        (
            "/system.slice/ssh.service",
            WorkloadKind::Unit,
            "ssh.service",
        ),
        (
            "/system.slice/system-getty.slice/getty@tty1.service",
            WorkloadKind::Unit,
            "getty@tty1.service",
        ),
        (
            "/jupyter-alice.service/kernel",
            WorkloadKind::Unit,
            "jupyter-alice.service",
        ),
        (
            "/user.slice/user-1000.slice/session-3.scope",
            WorkloadKind::User,
            "uid 1000",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope",
            WorkloadKind::User,
            "uid 1000",
        ),
        (
            "/machine.slice/machine-web\\x2d1.scope",
            WorkloadKind::Container,
            "web-1",
        ),
        ("/kubepods", WorkloadKind::Cgroup, "/kubepods"),
        ("/a/b", WorkloadKind::Cgroup, "/a/b"),
        ("/", WorkloadKind::Cgroup, "/"),
    ] {
        let workload = name(1, &filled(path));
        assert_eq!(
            (workload.kind, workload.name.as_str()),
            (kind, expected),
            "{path}"
        );
    }
}

/// What watches over a container stands beside it, under a name like its own.
#[test]
fn what_only_looks_like_a_container_is_none() {
    for path in [
        "/machine.slice/libpod-conmon-{ID}.scope",
        "/kubepods.slice/kubepods-pod{UID_}.slice/crio-conmon-{ID}.scope",
        "/lxc.monitor.web",
        "/docker/short",
        "/system.slice/docker-abc.scope",
        "/buildkit/UPPERCASE0000000000000000",
    ] {
        let workload = name(1, &filled(path));
        assert_eq!(workload.container_id, None, "{path}");
    }
}

#[test]
fn naming_damaged_cgroups_never_panics() {
    let corpus = Corpus::new(
        CONTAINERS.map(|(path, ..)| filled(path)),
        [
            ".slice", ".scope", "pod", "-pod", "docker-", "user-", "kubepods", "\\x2d", "\\x",
        ],
    );
    throw(500, &corpus.damaged_text(), |path| {
        let workload = name(1, &path);
        prop_assert_eq!(&workload.cgroup, &path);
        let own = own_cgroup(&path);
        prop_assert!(path.starts_with(own));
        prop_assert_eq!(own_cgroup(own), own);
        if workload.container_id.is_some() {
            prop_assert_eq!(workload.kind, WorkloadKind::Container);
        }
        prop_assert!(workload.name.len() <= path.len().max(15));
        Ok(())
    });
}
