//! Kubernetes' Container Runtime Interface, version 1: what the kubelet speaks with containerd, CRI-O and cri-dockerd.
//!
//! The lists of containers and pods are read every ten seconds, and for one container when it is asked for. The stream
//! of events (`GetContainerEvents`) is left to the kubelet: containerd 1.7 and the first CRI-O that had it give each event
//! to one listener alone, so it would miss what is told here; CRI-O has it off. A container that has ended stays in the
//! lists until the kubelet removes it, so little is lost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use hayward_model::Runtime;
use hyper_util::rt::TokioIo;
use k8s_cri::v1::{
    Container, ContainerFilter, ContainerState, ListContainersRequest, ListPodSandboxRequest,
    PodSandbox, PodSandboxFilter, VersionRequest, VersionResponse,
    runtime_service_client::RuntimeServiceClient,
};
use tokio::time::interval;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Uri},
};

use super::{
    ANSWER, Connection, Follower, MOST_BYTES, Problem, SINGLE_ANSWER, Socket, in_time, next,
};
use crate::{Named, Owner, Pod};

/// How often the lists are read.
const LIST: Duration = Duration::from_secs(10);

/// Labels that say what the fields of a record say already.
const REPEATED: [&str; 4] = [
    "io.kubernetes.container.name",
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.pod.uid",
];

pub(super) type Client = RuntimeServiceClient<Channel>;

/// Follows one socket until something fails.
pub(super) async fn follow(follower: &Follower<'_>) -> Result<Infallible, Problem> {
    let Follower { directory, socket } = follower;
    let mut client = in_time("connecting", ANSWER, connect(socket)).await?;
    let version = in_time("Version", ANSWER, version(&mut client)).await?;
    let runtime = runtime(&version.runtime_name);
    let mut wanted = Some(directory.requests());
    let mut timer = interval(LIST);
    let mut connected = false;
    loop {
        tokio::select! {
            _ = timer.tick() => {
                let listed = in_time("the list of containers", ANSWER, list(&mut client, None)).await?;
                let uids = listed.pods.values().map(|pod| pod.uid.as_str()).collect();
                let running: HashSet<&str> = listed.running().map(|container| container.id.as_str()).collect();
                directory.end_all_but(socket.source, Owner::Host, &running);
                for pod in listed.pods.values() {
                    directory.learn_pod(pod);
                }
                // At first those that have ended too: what was found in them may not have been recorded yet, and there may be
                // more of them than can be asked for one by one.
                let told = listed.containers.iter().filter(|container| !connected || is_running(container));
                for container in told {
                    directory.learn(socket.source, Owner::Host, &listed.named(container, runtime));
                }
                directory.keep_pods(&uids);
                if !connected {
                    connected = true;
                    let version = format!("{} {}", version.runtime_name, version.runtime_version);
                    follower.say(Connection::Connected { runtime, version });
                }
            }
            request = next(&mut wanted) => {
                let answer = list(&mut client, Some(&request.id));
                let listed = in_time("a container", SINGLE_ANSWER, answer).await?;
                let mut containers = listed.containers.iter();
                if let Some(container) = containers.find(|container| *container.id == *request.id) {
                    directory.learn(socket.source, Owner::Host, &listed.named(container, runtime));
                    request.found();
                }
            }
        }
    }
}

pub(super) async fn connect(socket: &Socket) -> Result<Client, Problem> {
    // Its task keeps the descriptor, which connects once; a channel that connects again by itself would hide that the
    // runtime was away.
    let (stream, owner) = socket.connect().await?;
    if let Owner::User(uid) = owner {
        return Err(format!(
            "uid {uid} listens, and only root's runtimes make pods"
        ));
    }
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take();
        async { stream.ok_or_else(|| std::io::Error::other("the connection is lost")) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await;
    let channel = channel.map_err(|error| error.to_string())?;
    Ok(Client::new(channel).max_decoding_message_size(MOST_BYTES))
}

async fn version(client: &mut Client) -> Result<VersionResponse, Problem> {
    let request = VersionRequest {
        version: "v1".to_owned(),
    };
    let answer = client.version(request).await;
    Ok(answer.map_err(|status| told(&status))?.into_inner())
}

/// Who it is, by the name that it gives itself.
fn runtime(name: &str) -> Option<Runtime> {
    match name {
        "containerd" => Some(Runtime::Containerd),
        "cri-o" => Some(Runtime::CriO),
        "docker" => Some(Runtime::Docker),
        _ => None,
    }
}

/// Containers and the pods around them, by the id of the pod's sandbox.
struct Listed {
    containers: Vec<Container>,
    pods: HashMap<String, Arc<Pod>>,
}

/// Lists all containers and pods, or one container and its pod.
async fn list(client: &mut Client, id: Option<&str>) -> Result<Listed, Problem> {
    let filter = id.map(|id| ContainerFilter {
        id: id.to_owned(),
        ..ContainerFilter::default()
    });
    let answer = client
        .list_containers(ListContainersRequest { filter })
        .await;
    let containers = answer
        .map_err(|status| told(&status))?
        .into_inner()
        .containers;
    let filter = match (id, containers.first()) {
        (None, _) => None,
        (Some(_), Some(container)) => Some(PodSandboxFilter {
            id: container.pod_sandbox_id.clone(),
            ..PodSandboxFilter::default()
        }),
        (Some(_), None) => {
            let pods = HashMap::new();
            return Ok(Listed { containers, pods });
        }
    };
    let answer = client
        .list_pod_sandbox(ListPodSandboxRequest { filter })
        .await;
    let sandboxes = answer.map_err(|status| told(&status))?.into_inner().items;
    let pods = sandboxes.into_iter().filter_map(pod).collect();
    Ok(Listed { containers, pods })
}

impl Listed {
    fn running(&self) -> impl Iterator<Item = &Container> {
        self.containers
            .iter()
            .filter(|container| is_running(container))
    }

    fn named(&self, container: &Container, runtime: Option<Runtime>) -> Named {
        let metadata = container.metadata.as_ref();
        Named {
            id: container.id.clone(),
            name: metadata.map_or_else(String::new, |metadata| metadata.name.clone()),
            image: image(container),
            labels: labels(container.labels.clone()),
            pod: self.pods.get(&container.pod_sandbox_id).cloned(),
            runtime,
            running: is_running(container),
        }
    }
}

fn is_running(container: &Container) -> bool {
    container.state() != ContainerState::ContainerExited
}

/// The kubelet asks for images by their id, and says since 1.29 what the pod's author had written.
fn image(container: &Container) -> String {
    let Some(image) = &container.image else {
        return container.image_ref.clone();
    };
    let written = [
        &image.user_specified_image,
        &image.image,
        &container.image_ref,
    ];
    let written = written.into_iter().find(|name| !name.is_empty());
    written.cloned().unwrap_or_default()
}

fn pod(sandbox: PodSandbox) -> Option<(String, Arc<Pod>)> {
    let metadata = sandbox.metadata?;
    let pod = Pod {
        uid: metadata.uid,
        namespace: metadata.namespace,
        name: metadata.name,
        labels: labels(sandbox.labels),
    };
    Some((sandbox.id, Arc::new(pod)))
}

fn labels(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<_, _> = labels.into_iter().collect();
    for key in REPEATED {
        labels.remove(key);
    }
    labels
}

pub(super) fn told(status: &Status) -> Problem {
    match status.code() {
        Code::Unimplemented => "it does not speak CRI v1".to_owned(),
        code => format!("{code}: {}", status.message()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_cri::v1::{ContainerMetadata, ImageSpec, PodSandboxMetadata};

    use super::*;

    fn container() -> Container {
        Container {
            id: "f00".to_owned(),
            pod_sandbox_id: "ba5".to_owned(),
            metadata: Some(ContainerMetadata {
                name: "notebook".to_owned(),
                attempt: 0,
            }),
            image: Some(ImageSpec {
                image: "sha256:1".to_owned(),
                ..ImageSpec::default()
            }),
            state: ContainerState::ContainerRunning.into(),
            labels: HashMap::from([
                ("io.kubernetes.pod.name".to_owned(), "p".to_owned()),
                ("team".to_owned(), "a".to_owned()),
            ]),
            ..Container::default()
        }
    }

    #[test]
    fn a_container_is_told_with_its_pod() {
        let sandbox = PodSandbox {
            id: "ba5".to_owned(),
            metadata: Some(PodSandboxMetadata {
                name: "jupyter-ada".to_owned(),
                uid: "1".to_owned(),
                namespace: "hub".to_owned(),
                attempt: 0,
            }),
            ..PodSandbox::default()
        };
        let listed = Listed {
            containers: vec![container()],
            pods: pod(sandbox).into_iter().collect(),
        };
        let named = listed.named(&listed.containers[0], Some(Runtime::CriO));
        assert_eq!(named.name, "notebook");
        assert!(named.running);
        assert_eq!(named.pod.expect("a pod").namespace, "hub");
        let labels: Vec<&str> = named.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, ["team"]);
    }

    #[test]
    fn the_image_is_what_was_written_where_that_is_known() {
        let mut container = container();
        assert_eq!(image(&container), "sha256:1");
        let written = "quay.io/jupyter/base:1";
        if let Some(image) = &mut container.image {
            image.user_specified_image = written.to_owned();
        }
        assert_eq!(image(&container), written);
        container.image = None;
        container.image_ref = "sha256:2".to_owned();
        assert_eq!(image(&container), "sha256:2");
    }

    #[test]
    fn an_exited_container_does_not_run() {
        let mut container = container();
        container.set_state(ContainerState::ContainerExited);
        assert!(!is_running(&container));
        container.set_state(ContainerState::ContainerCreated);
        assert!(is_running(&container));
    }
}
