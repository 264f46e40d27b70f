//! Docker in Docker: dockerd with a containerd and a runc of its own, in a container of a pod.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use k8s_cri::v1::{LinuxContainerConfig, LinuxContainerSecurityContext, Mount};

use super::{Place, Pods, Started, archive, dockerd::docker, wait_for};

/// What the container begins with. Busybox does what it can by itself; other programs are the host's.
const ENTER: &str = r#"export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin
exec /usr/bin/unshare --mount --cgroup /bin/sh -c "$0" "$@" > "$2" 2>&1"#;

/// A cgroup namespace, with cgroup2 alone at /sys/fs/cgroup: on hosts that keep the controllers of cgroup v1, runc takes
/// these, by the host's paths, which are not those in the container. All that runs moves into a cgroup below: where
/// cgroup2 has controllers, no cgroup may have both processes of its own and controllers for those below.
const BEGIN: &str = r#"mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir /sys/fs/cgroup/init || exit
while read -r pid; do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs; done < /sys/fs/cgroup/cgroup.procs
mkdir -p /run /var && ln -sfn /run /var/run
exec dockerd --host "unix://$0" --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --bridge none \
    --iptables=false --ip6tables=false --ip-forward=false --userland-proxy=false"#;

/// dockerd in a container, with the image of the tests.
#[derive(Debug)]
pub struct NestedDockerd {
    /// The container around it.
    pub around: Started,
    /// A folder that has the same path in the container and on the host. Its socket is in it.
    pub shared: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
}

impl NestedDockerd {
    /// Starts it, in a container of a pod that is privileged.
    pub fn new(place: &Place, pods: &mut Pods, name: &str) -> Self {
        let (shared, log) = (place.path("shared"), place.path("nested.log"));
        let socket = shared.join("docker.sock");
        fs::create_dir(&shared).expect("a folder");
        fs::write(&log, "").expect("a log");
        let paths = [&*socket.to_string_lossy(), &*log.to_string_lossy()].map(str::to_owned);
        let begin = ["/bin/sh", "-c", ENTER, BEGIN];
        let begin: Vec<&str> = begin
            .into_iter()
            .chain(paths.iter().map(|path| &**path))
            .collect();
        let mut config = Pods::container(name, &begin);
        let programs = [
            ("/usr", "/usr"),
            ("/usr/lib", "/lib"),
            ("/usr/lib64", "/lib64"),
        ];
        let programs = programs.map(|(host, path)| mount(Path::new(host), Path::new(path), true));
        let own = [&shared, &log].map(|path| mount(path, path, false));
        // Only some architectures have their dynamic linker in /lib64.
        let mounts = programs.into_iter().chain(own);
        config.mounts = mounts
            .filter(|mount| Path::new(&mount.host_path).exists())
            .collect();
        config.linux = Some(LinuxContainerConfig {
            security_context: Some(LinuxContainerSecurityContext {
                privileged: true,
                ..LinuxContainerSecurityContext::default()
            }),
            ..LinuxContainerConfig::default()
        });
        let nested = Self {
            around: pods.start_container(config),
            shared,
            socket,
        };
        wait_for("dockerd in a container", || {
            let version = nested.docker(place, &["version"]);
            version.status.success().then_some(())
        });
        let archive = archive(place);
        let loaded = nested.docker(place, &["load", "--input", &archive.to_string_lossy()]);
        assert!(loaded.status.success(), "{loaded:?}");
        nested
    }

    /// Runs a command of Docker's to its end, which may be a failure.
    pub fn docker(&self, place: &Place, arguments: &[&str]) -> Output {
        let output = docker(place, &self.socket).args(arguments).output();
        output.expect("nsenter")
    }
}

fn mount(host: &Path, path: &Path, readonly: bool) -> Mount {
    Mount {
        host_path: host.display().to_string(),
        container_path: path.display().to_string(),
        readonly,
        ..Mount::default()
    }
}
