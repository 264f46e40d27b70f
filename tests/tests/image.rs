//! The container image, run as the manifest for Kubernetes says.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use hayward_tests::{BANNED, Containerd, Ended, Host, Launch, Place, Pods, Start, binary};
    use k8s_cri::v1::{
        Capability, ContainerConfig, ContainerMetadata, ImageSpec, KeyValue, LinuxContainerConfig,
        LinuxContainerSecurityContext, Mount, NamespaceMode, NamespaceOption, SecurityProfile,
        security_profile::ProfileType,
    };
    use serde::Deserialize;

    const MANIFEST: &str = include_str!("../../packaging/kubernetes/hayward.yaml");
    const UID: &str = "1c8e2f1a-1b2c-4d3e-9f00-112233445566";
    const IMAGE: &str = "ghcr.io/hayward/hayward:test";

    /// As much of the DaemonSet as matters here.
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Container {
        args: Vec<String>,
        security_context: SecurityContext,
        volume_mounts: Vec<VolumeMount>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SecurityContext {
        read_only_root_filesystem: bool,
        allow_privilege_escalation: bool,
        capabilities: BTreeMap<String, Vec<String>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct VolumeMount {
        name: String,
        mount_path: String,
        #[serde(default)]
        read_only: bool,
    }

    /// The container of the DaemonSet, which is the last document of the manifest.
    fn container() -> Container {
        #[derive(Deserialize)]
        struct Document {
            spec: Spec,
        }
        #[derive(Deserialize)]
        struct Spec {
            template: Template,
        }
        #[derive(Deserialize)]
        struct Template {
            spec: Pod,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Pod {
            #[serde(rename = "hostPID")]
            host_pid: bool,
            host_network: bool,
            containers: Vec<Container>,
        }
        let last = MANIFEST.rsplit("\n---\n").next().expect("documents");
        let document: Document = hayward_yaml::parse("hayward.yaml", last).expect("a DaemonSet");
        let mut pod = document.spec.template.spec;
        assert!(pod.host_pid && pod.host_network);
        pod.containers.remove(0)
    }

    /// What the kubelet would ask for.
    fn config(container: &Container, host_paths: &BTreeMap<&str, &Path>) -> ContainerConfig {
        let context = &container.security_context;
        let capabilities = |which: &str| context.capabilities[which].clone();
        let mounts = container.volume_mounts.iter().map(|mount| Mount {
            container_path: mount.mount_path.clone(),
            host_path: host_paths[mount.name.as_str()].display().to_string(),
            readonly: mount.read_only,
            ..Mount::default()
        });
        let node = NamespaceMode::Node;
        let security = LinuxContainerSecurityContext {
            capabilities: Some(Capability {
                add_capabilities: capabilities("add"),
                drop_capabilities: capabilities("drop"),
                ..Capability::default()
            }),
            namespace_options: Some(NamespaceOption {
                network: node.into(),
                pid: node.into(),
                ..NamespaceOption::default()
            }),
            readonly_rootfs: context.read_only_root_filesystem,
            no_new_privs: !context.allow_privilege_escalation,
            seccomp: Some(SecurityProfile {
                profile_type: ProfileType::RuntimeDefault.into(),
                ..SecurityProfile::default()
            }),
            ..LinuxContainerSecurityContext::default()
        };
        ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: "hayward".to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: IMAGE.to_owned(),
                ..ImageSpec::default()
            }),
            args: container.args.clone(),
            envs: vec![KeyValue {
                key: "HAYWARD_TEST".to_owned(),
                value: "1".to_owned(),
            }],
            mounts: mounts.collect(),
            linux: Some(LinuxContainerConfig {
                security_context: Some(security),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        }
    }

    #[test]
    fn the_image_guards_a_node_as_the_manifest_runs_it() {
        let bytes = fs::read(binary()).expect("the built binary");
        let host = Host::new();
        let place = Place::among_processes_of(&host);
        let archive = place.path("hayward.tar");
        let image = xtask::image::archive(&bytes, IMAGE).expect("an image");
        fs::write(&archive, image).expect("a file");
        let containerd = Containerd::new(&place);
        containerd.import(&place, &archive);

        // What stands for the node's interface, in its network.
        let link = [
            "link", "add", "front0", "type", "veth", "peer", "name", "out0",
        ];
        for arguments in [link.as_slice(), &["link", "set", "front0", "up"]] {
            let done = place.command("ip").args(arguments).status();
            assert!(done.expect("ip").success());
        }
        let settings = host.path("settings");
        let (run, journal) = (host.path("run"), host.path("state"));
        for folder in [&settings, &run, &journal] {
            fs::create_dir(folder).expect("a folder");
        }
        host.write_settings(&Start {
            settings: format!(
                "workloads: {{runtimes: [\"cri:/run/{}\"]}}\n",
                containerd.socket.file_name().expect("a name").display()
            ),
            ..Start::default()
        });
        host.list_guard("inbound", "{interfaces: [front0]}");
        let folder = host.folder.path().display().to_string();
        host.edit_settings(&format!("{folder}/journal"), "/var/lib/hayward/journal");
        host.edit_settings(
            &format!("{folder}/hayward.sock"),
            "/run/hayward/hayward.sock",
        );
        host.edit_settings(&format!("{folder}/rules.yaml"), "/etc/hayward/rules.yaml");
        for file in ["hayward.yaml", "rules.yaml"] {
            fs::copy(host.path(file), settings.join(file)).expect("a file");
        }
        let mount = host.cgroup.parent().expect("a mount");
        let sockets = containerd.socket.parent().expect("a folder");
        fs::create_dir_all(sockets.join("hayward")).expect("where another is mounted");
        let host_paths = BTreeMap::from([
            ("settings", settings.as_path()),
            ("bpf", Path::new("/sys/fs/bpf")),
            ("cgroup", mount),
            ("run", sockets),
            ("socket", run.as_path()),
            ("journal", journal.as_path()),
        ]);
        let mut pods = Pods::with_host_processes(&place, &containerd.socket, "hayward", UID);
        let started = pods.start_container(config(&container(), &host_paths));

        let socket = run.join("hayward.sock");
        let hayward = |arguments: &[&str]| {
            let socket = socket.display().to_string();
            host.hayward(&[&["--socket", socket.as_str()], arguments].concat())
        };
        host.wait_until("a socket", || socket.exists());
        hayward(&["status", "--wait", "enforcing", "--timeout", "20s"]).ok();
        let banned = Launch::new("/bin/true", &[BANNED]);
        assert_eq!(banned.run(&host.inside), Ended::Signal(9));
        host.wait_until("its record", || {
            hayward(&["events", "--json"]).out.contains("killed")
        });
        let status = hayward(&["status", "--json"]).ok().json();
        assert_eq!(status["problems"], serde_json::json!([]), "{status}");

        // The node's interfaces are seen, and bans are kept in the node's folder.
        let inbound = &status["guards"]["inbound"];
        assert_eq!(inbound["interfaces"][0]["hook"], "tc", "{inbound}");
        hayward(&["bans", "add", "203.0.113.7", "--for", "1h"]).ok();
        let ledger = fs::read_to_string(journal.join("journal/bans.lines"));
        assert!(ledger.expect("a ledger").contains("203.0.113.7"));

        // Another container is named and stopped; the agent's own is in scope, and never acted on.
        let mut others = Pods::new(
            &place,
            &containerd.socket,
            "jupyter-ada",
            &UID.replace('1', "2"),
        );
        others.start("notebook");
        host.wait_until("the other's name", || {
            hayward(&["workloads"])
                .ok()
                .out
                .contains("hub/jupyter-ada/notebook")
        });
        hayward(&["freeze", "hub/jupyter-ada/notebook"]).ok();
        hayward(&["thaw", "hub/jupyter-ada/notebook"]).ok();
        let own = hayward(&["freeze", &started.id]);
        assert_eq!(own.code, 5, "{own:?}");
        drop((pods, others, place));
    }
}
