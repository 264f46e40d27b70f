//! Pods and containers through CRI, as the kubelet makes them.

use std::{collections::HashMap, path::Path};

use hyper_util::rt::TokioIo;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    CreateContainerRequest, ImageSpec, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, PodSandboxState,
    PodSandboxStatusRequest, RemoveContainerRequest, RunPodSandboxRequest, StartContainerRequest,
    StopContainerRequest, runtime_service_client::RuntimeServiceClient,
};
use tokio::{net::UnixStream, runtime::Runtime};
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{IMAGE, Place, wait_for};

/// A pod of a container runtime, in which containers can be started.
pub struct Pods {
    runtime: Runtime,
    client: RuntimeServiceClient<Channel>,
    config: PodSandboxConfig,
    sandbox: String,
}

/// A container that was started.
#[derive(Debug)]
pub struct Started {
    /// Its id.
    pub id: String,
}

impl Pods {
    /// Makes a pod in the namespace `hub`, with the host's network. The kubelet's cgroups are around it.
    pub fn new(place: &Place, socket: &Path, name: &str, uid: &str) -> Self {
        Self::in_namespace(place, socket, "hub", name, uid)
    }

    /// The same in a namespace of Kubernetes that is not `hub`.
    pub fn in_namespace(
        place: &Place,
        socket: &Path,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Self {
        Self::run(socket, sandbox(place, namespace, name, uid, |_| {}))
    }

    /// A pod with the host's processes (`hostPID`).
    pub fn with_host_processes(place: &Place, socket: &Path, name: &str, uid: &str) -> Self {
        let node = NamespaceMode::Node.into();
        let config = sandbox(place, name, name, uid, |security| {
            if let Some(options) = &mut security.namespace_options {
                options.pid = node;
            }
        });
        Self::run(socket, config)
    }

    /// A pod in the namespace `hub` in which containers may be privileged.
    pub fn privileged(place: &Place, socket: &Path, name: &str, uid: &str) -> Self {
        let config = sandbox(place, "hub", name, uid, |security| {
            security.privileged = true
        });
        Self::run(socket, config)
    }

    fn run(socket: &Path, config: PodSandboxConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let client = wait_for("CRI", || runtime.block_on(connect(socket)).ok());
        let mut pods = Self {
            runtime,
            client,
            config,
            sandbox: String::new(),
        };
        let request = RunPodSandboxRequest {
            config: Some(pods.config.clone()),
            ..RunPodSandboxRequest::default()
        };
        // CRI learns of an image that was imported beside it a little later.
        pods.sandbox = wait_for("a pod", || {
            let answer = pods
                .runtime
                .block_on(pods.client.run_pod_sandbox(request.clone()));
            let answer = answer.inspect_err(|status| eprintln!("{status}")).ok()?;
            Some(answer.into_inner().pod_sandbox_id)
        });
        pods
    }

    /// Starts a container that does nothing for ten minutes.
    pub fn start(&mut self, name: &str) -> Started {
        self.start_with(name, &[])
    }

    /// Starts a container with a command of its own.
    pub fn start_with(&mut self, name: &str, command: &[&str]) -> Started {
        self.start_container(Self::container(name, command))
    }

    /// A container with a command of its own, of the image of the tests.
    pub(super) fn container(name: &str, command: &[&str]) -> ContainerConfig {
        ContainerConfig {
            metadata: Some(ContainerMetadata {
                name: name.to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: IMAGE.to_owned(),
                ..ImageSpec::default()
            }),
            command: command.iter().map(|part| (*part).to_owned()).collect(),
            labels: labels(&[("team", "a")]),
            ..ContainerConfig::default()
        }
    }

    /// Starts a container.
    pub fn start_container(&mut self, config: ContainerConfig) -> Started {
        let created = self.create(config).expect("a container");
        self.start_created(&created).expect("it starts");
        created
    }

    /// Starts a container with a command of its own, while the runtime may be away. Hands over the one that was made, if
    /// any was, and whether the runtime said that it started; else it may have started all the same.
    pub fn try_start_with(&mut self, name: &str, command: &[&str]) -> Option<(Started, bool)> {
        let created = self.create(Self::container(name, command)).ok()?;
        let started = self.start_created(&created).is_ok();
        Some((created, started))
    }

    fn create(&mut self, config: ContainerConfig) -> Result<Started, Status> {
        let request = CreateContainerRequest {
            pod_sandbox_id: self.sandbox.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let answer = self.runtime.block_on(self.client.create_container(request));
        let id = answer?.into_inner().container_id;
        Ok(Started { id })
    }

    fn start_created(&mut self, created: &Started) -> Result<(), Status> {
        let request = StartContainerRequest {
            container_id: created.id.clone(),
        };
        let answer = self.runtime.block_on(self.client.start_container(request));
        answer.map(|_| ())
    }

    /// Whether a container runs.
    pub fn is_running(&mut self, started: &Started) -> bool {
        self.status(started).state == i32::from(ContainerState::ContainerRunning)
    }

    /// How a container ended, where it has.
    pub fn exit_code(&mut self, started: &Started) -> Option<i32> {
        let status = self.status(started);
        let has_ended = status.state == i32::from(ContainerState::ContainerExited);
        has_ended.then_some(status.exit_code)
    }

    fn status(&mut self, started: &Started) -> ContainerStatus {
        let request = ContainerStatusRequest {
            container_id: started.id.clone(),
            verbose: false,
        };
        let answer = self.runtime.block_on(self.client.container_status(request));
        let status = answer.expect("it is known").into_inner().status;
        status.expect("a status")
    }

    /// Whether the pod itself runs.
    pub fn is_ready(&mut self) -> bool {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: self.sandbox.clone(),
            verbose: false,
        };
        let answer = self
            .runtime
            .block_on(self.client.pod_sandbox_status(request));
        let status = answer.expect("it is known").into_inner().status;
        status.expect("a status").state == i32::from(PodSandboxState::SandboxReady)
    }

    /// Ends a container and removes it, as the kubelet does in the end.
    pub fn remove(&mut self, started: &Started) {
        let request = StopContainerRequest {
            container_id: started.id.clone(),
            timeout: 0,
        };
        // It fails where the container is just ending by itself.
        let _ = self.runtime.block_on(self.client.stop_container(request));
        let request = RemoveContainerRequest {
            container_id: started.id.clone(),
        };
        wait_for("its removal", || {
            let removing = self.client.remove_container(request.clone());
            self.runtime.block_on(removing).ok()
        });
    }
}

/// A pod, whose security may differ from what it is here.
fn sandbox(
    place: &Place,
    namespace: &str,
    name: &str,
    uid: &str,
    change: impl FnOnce(&mut LinuxSandboxSecurityContext),
) -> PodSandboxConfig {
    let mut security = LinuxSandboxSecurityContext {
        namespace_options: Some(NamespaceOption {
            network: NamespaceMode::Node.into(),
            pid: NamespaceMode::Container.into(),
            ..NamespaceOption::default()
        }),
        ..LinuxSandboxSecurityContext::default()
    };
    change(&mut security);
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.to_owned(),
            uid: uid.to_owned(),
            namespace: namespace.to_owned(),
            attempt: 0,
        }),
        labels: labels(&[
            ("app", "hub"),
            ("io.kubernetes.pod.name", name),
            ("io.kubernetes.pod.uid", uid),
        ]),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("{}/kubepods/burstable/pod{uid}", place.cgroup),
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}

async fn connect(socket: &Path) -> Result<RuntimeServiceClient<Channel>, tonic::transport::Error> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost");
    let channel = channel.connect_with_connector(connector).await?;
    Ok(RuntimeServiceClient::new(channel))
}

fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}
