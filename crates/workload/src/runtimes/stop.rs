//! Stopping a container, or all of a pod, through the runtime that runs it.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use hayward_model::Workload;
use hyper::{Method, StatusCode};
use k8s_cri::v1::{
    ContainerFilter, ContainerState, ContainerStateValue, ContainerStatusRequest,
    ListContainersRequest, ListPodSandboxRequest, PodSandboxFilter, PodSandboxStatusRequest,
    StopContainerRequest, StopPodSandboxRequest,
};
use serde::Deserialize;
use tokio::task::JoinSet;
use tonic::Code;

use super::{
    ANSWER, Api, Connection, Problem, Socket,
    cri::{self, Client},
    http, in_time,
};
use crate::{Directory, Owner};

/// Kubernetes' label of containers and sandboxes.
const POD_UID: &str = "io.kubernetes.pod.uid";

/// What is to be stopped.
#[derive(Debug)]
pub struct Stopping<'a> {
    /// A container, or a pod.
    pub workload: &'a Workload,
    /// The processes of its cgroup. The one that the runtime names as the container's must be among them: ids stand in
    /// paths of cgroups, and those can be forged.
    pub processes: &'a HashSet<u32>,
    /// How long it may take to end by itself.
    pub grace: Duration,
    /// Only look for it.
    pub dry_run: bool,
}

/// Has it stopped by the runtime that has it, of those that answer. Returns which that was. It takes the grace period
/// and some seconds more at most for each runtime.
///
/// # Errors
/// A sentence, where no runtime has it or none could stop it.
pub async fn stop(directory: &Directory, stopping: &Stopping<'_>) -> Result<String, String> {
    let mut problems = Vec::new();
    for (path, state) in directory.sockets() {
        let name = path.display().to_string();
        let version = match state.connection {
            Connection::Connected { version, .. } => version,
            // It may have told of this very container already, and its first list not been read.
            Connection::Pending => name.clone(),
            Connection::Absent | Connection::Failed(_) => continue,
        };
        let within = ANSWER + stopping.grace;
        match in_time(&name, within, ask(path, state.api, stopping)).await {
            Ok(true) => return Ok(version),
            Ok(false) => {}
            Err(why) => problems.push(why),
        }
    }
    if problems.is_empty() {
        return Err(
            "no runtime that answers has it as a container or pod of its own (`hayward status` lists them)"
                .to_owned(),
        );
    }
    Err(problems.join("; "))
}

/// Whether this runtime has it, and has stopped it.
async fn ask(path: PathBuf, api: Api, stopping: &Stopping<'_>) -> Result<bool, Problem> {
    let workload = stopping.workload;
    let socket = Socket {
        path,
        api,
        user: None,
        source: 0,
    };
    let (_, owner) = socket.connect().await?;
    // A user's runtime is asked for what is in that user's slice alone, and root's for what is in nobody's or by root's
    // will in somebody's.
    if let Owner::User(uid) = owner
        && workload.uid != Some(uid)
    {
        return Ok(false);
    }
    match (api, &workload.container_id, &workload.pod_uid) {
        (Api::Docker, Some(id), _) => docker(&socket, id, stopping).await,
        (Api::Cri, Some(id), _) => container(&socket, id, stopping).await,
        (Api::Cri, None, Some(uid)) => pod(&socket, uid, stopping).await,
        _ => Ok(false),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    pid: u32,
}

async fn docker(socket: &Socket, id: &str, stopping: &Stopping<'_>) -> Result<bool, Problem> {
    let path = format!("/containers/{id}/json");
    let answer = http::request(socket, Method::GET, &path).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(false);
    }
    let inspected: Inspected = answer.successful().await?.json().await?;
    stopping.check(Some(inspected.state.pid))?;
    if stopping.dry_run {
        return Ok(true);
    }
    let path = format!("/containers/{id}/stop?t={}", stopping.grace.as_secs());
    let answer = http::request(socket, Method::POST, &path).await?;
    // That it was stopped already.
    if answer.status != StatusCode::NOT_MODIFIED {
        answer.successful().await?;
    }
    Ok(true)
}

async fn container(socket: &Socket, id: &str, stopping: &Stopping<'_>) -> Result<bool, Problem> {
    let mut client = cri::connect(socket).await?;
    // Asked to stop a container that it does not have, containerd says that it did.
    let request = ContainerStatusRequest {
        container_id: id.to_owned(),
        verbose: true,
    };
    let status = match client.container_status(request).await {
        Ok(status) => status.into_inner(),
        Err(error) if error.code() == Code::NotFound => return Ok(false),
        Err(error) => return Err(cri::told(&error)),
    };
    stopping.check(pid(status.info.get("info")))?;
    if !stopping.dry_run {
        stop_container(client, id.to_owned(), stopping.grace).await?;
    }
    Ok(true)
}

async fn pod(socket: &Socket, uid: &str, stopping: &Stopping<'_>) -> Result<bool, Problem> {
    let mut client = cri::connect(socket).await?;
    let filter = PodSandboxFilter {
        label_selector: [(POD_UID.to_owned(), uid.to_owned())].into(),
        ..PodSandboxFilter::default()
    };
    let request = ListPodSandboxRequest {
        filter: Some(filter),
    };
    let sandboxes = client.list_pod_sandbox(request).await;
    let sandboxes = sandboxes.map_err(|status| cri::told(&status))?;
    let mut stopped = false;
    for sandbox in sandboxes.into_inner().items {
        let request = PodSandboxStatusRequest {
            pod_sandbox_id: sandbox.id.clone(),
            verbose: true,
        };
        let status = client.pod_sandbox_status(request).await;
        let status = status.map_err(|status| cri::told(&status))?.into_inner();
        let pid = pid(status.info.get("info"));
        // One that has ended and is still listed.
        if pid == Some(0) {
            continue;
        }
        stopping.check(pid)?;
        if !stopping.dry_run {
            stop_sandbox(&mut client, sandbox.id, stopping.grace).await?;
        }
        stopped = true;
    }
    Ok(stopped)
}

/// Stops the containers of a pod, which get their time to end, and then its sandbox, which gives them none.
async fn stop_sandbox(client: &mut Client, id: String, grace: Duration) -> Result<(), Problem> {
    let filter = ContainerFilter {
        pod_sandbox_id: id.clone(),
        state: Some(ContainerStateValue {
            state: ContainerState::ContainerRunning.into(),
        }),
        ..ContainerFilter::default()
    };
    let request = ListContainersRequest {
        filter: Some(filter),
    };
    let containers = client.list_containers(request).await;
    let containers = containers.map_err(|status| cri::told(&status))?;
    let mut stops = JoinSet::new();
    for container in containers.into_inner().containers {
        stops.spawn(stop_container(client.clone(), container.id, grace));
    }
    for stopped in stops.join_all().await {
        stopped?;
    }
    let request = StopPodSandboxRequest { pod_sandbox_id: id };
    let stopped = client.stop_pod_sandbox(request).await;
    stopped.map_err(|status| cri::told(&status))?;
    Ok(())
}

async fn stop_container(mut client: Client, id: String, grace: Duration) -> Result<(), Problem> {
    let request = StopContainerRequest {
        container_id: id,
        timeout: i64::try_from(grace.as_secs()).unwrap_or(i64::MAX),
    };
    let stopped = client.stop_container(request).await;
    stopped.map_err(|status| cri::told(&status))?;
    Ok(())
}

/// The process in what containerd and CRI-O tell of a container when asked for all: JSON, with more in it.
fn pid(info: Option<&String>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Info {
        pid: u32,
    }
    let info: Info = serde_json::from_str(info?).ok()?;
    Some(info.pid)
}

impl Stopping<'_> {
    /// Whether the runtime means what was judged.
    fn check(&self, pid: Option<u32>) -> Result<(), Problem> {
        match pid {
            Some(pid) if self.processes.contains(&pid) => Ok(()),
            Some(pid) => Err(format!(
                "its container of this id is elsewhere: process {pid} is not in this cgroup"
            )),
            None => Err("it does not tell which process is the container's".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};

    use super::*;

    const INFO: &str = r#"{"sandboxID":"ba5","pid":4711,"removing":false,"config":{"pid":1}}"#;

    #[test]
    fn the_process_is_told_among_much_else() {
        assert_eq!(pid(Some(&INFO.to_owned())), Some(4711));
        for other in ["", "{}", r#"{"pid":-1}"#, r#"{"pid":"4711"}"#] {
            assert_eq!(pid(Some(&other.to_owned())), None, "{other}");
        }
        assert_eq!(pid(None), None);
    }

    #[test]
    fn what_runs_elsewhere_is_not_stopped() {
        let (workload, processes) = (Workload::default(), HashSet::from([7, 4711]));
        let stopping = Stopping {
            workload: &workload,
            processes: &processes,
            grace: Duration::ZERO,
            dry_run: false,
        };
        assert_eq!(stopping.check(Some(4711)), Ok(()));
        for other in [Some(0), Some(8), None] {
            assert!(stopping.check(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn parsing_damaged_details_never_panics() {
        let corpus = Corpus::new([INFO], ["\"pid\":", "{", "4294967296"]);
        throw(500, &corpus.damaged(), |input| {
            pid(Some(&String::from_utf8_lossy(&input.0).into_owned()));
            let _ = serde_json::from_slice::<Inspected>(&input.0);
            Ok(())
        });
    }
}
