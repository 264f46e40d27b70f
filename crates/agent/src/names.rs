//! What containers are called. No verdict waits for a name. A record does, for a moment, where a runtime may still tell
//! it, and what settings decide by name is decided once it is known.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::join_all;
use hayward_model::{Record, Workload};
use hayward_policy::RuntimeSockets;
use hayward_respond::Stop;
use hayward_workload::{
    Api, Connection, Directory, SocketState, Sockets, Stopping, follow, name, own_cgroup,
};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinSet,
    time::{interval, sleep, timeout},
};

use crate::{AgentError, agent::Agent, answers::Answer, kept::Kept, veil::Veil};

/// How long a record waits for its container's name.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a runtime that went away is expected to come back: others do not wait for it.
const LATELY: Duration = Duration::from_secs(60);
/// How soon it is asked again whether runtimes have been found.
const ASK_AGAIN: Duration = Duration::from_millis(10);
/// A container that has not ended so long after it was told of does run: lists are read every ten seconds.
const CERTAINLY: Duration = Duration::from_secs(15);
/// How often all cgroups are looked at, where some are decided by name: their names may have come, or changed.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Records and cgroups that wait at a time. Other records are written without the name.
const MOST_WAITING: usize = 4096;
/// Containers that are asked for, for one record. Who may make cgroups may make them look like any number of containers.
const MOST_ASKED_FOR: usize = 4;

/// A record whose workload may still get its name, and what must be masked in that.
pub(crate) struct Unnamed {
    pub(crate) record: Record,
    pub(crate) veil: Veil,
    /// What is done to the workload after it was recorded.
    pub(crate) answer: Option<Answer>,
}

impl Unnamed {
    /// The record as it may be written, should the name never come.
    fn masked(&self) -> Record {
        let mut record = self.record.clone();
        if let Some(workload) = &mut record.workload {
            self.veil.workload(workload);
        }
        record
    }
}

/// The names, and the records that wait for some.
pub(crate) struct Names {
    directory: Arc<Directory>,
    waiting: UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    /// Until the thread is started that takes them.
    receiver: Mutex<Option<UnboundedReceiver<Waiting>>>,
    kept: Kept,
    stop: watch::Sender<bool>,
    /// At the start, nobody has answered yet who may.
    settled: AtomicBool,
    nameless: AtomicU64,
}

/// Who waits for the names of a container and of those around it.
struct Waiting {
    containers: Vec<String>,
    wants: Wants,
    _room: OwnedSemaphorePermit,
}

enum Wants {
    /// A record.
    Record(Box<Unnamed>),
    /// The cgroup of this path, which settings decide by name.
    Policy(String),
}

impl Names {
    /// None are known. Records that wait are kept beside this journal.
    pub(crate) fn keeping_records_beside(journal: &Path) -> Self {
        let (waiting, receiver) = unbounded_channel();
        Self {
            directory: Arc::new(Directory::new()),
            waiting,
            room: Arc::new(Semaphore::new(MOST_WAITING)),
            receiver: Mutex::new(Some(receiver)),
            kept: Kept::beside(journal),
            stop: watch::Sender::new(false),
            settled: AtomicBool::new(false),
            nameless: AtomicU64::new(0),
        }
    }

    /// Completes a workload by what runtimes have told so far, and says whether they have told of itself.
    pub(crate) fn fill(&self, workload: &mut Workload) -> bool {
        self.directory.fill(workload);
        workload.container.is_some() || workload.image.is_some() || workload.namespace.is_some()
    }

    /// The same, and asks for what is not known: nobody waits for the answer.
    pub(crate) fn fill_or_ask(&self, workload: &mut Workload) {
        self.fill(workload);
        for container in containers(workload) {
            self.directory.wanted(container);
        }
    }

    /// The same, for the last time: who has no name now is counted.
    pub(crate) fn complete(&self, workload: &mut Workload) {
        self.fill(workload);
        if workload.container_id.is_some() && workload.container.is_none() {
            self.nameless.fetch_add(1, Relaxed);
        }
    }

    /// How it is with each runtime, by its socket. Usual sockets that there are not are left out.
    pub(crate) fn runtimes(&self, wanted: &RuntimeSockets) -> BTreeMap<String, SocketState> {
        let states = self.directory.sockets().into_iter();
        let states = states.filter(|(path, state)| {
            state.connection != Connection::Absent
                || wanted.cri.contains(path)
                || wanted.docker.contains(path)
        });
        states
            .map(|(path, state)| (path.display().to_string(), state))
            .collect()
    }

    /// Whose names cannot be had, and why.
    pub(crate) fn problems(&self, wanted: &RuntimeSockets) -> Vec<String> {
        let states = self.runtimes(wanted).into_iter();
        let problems = states.filter_map(|(path, state)| {
            let why = match state.connection {
                Connection::Absent => "there is no such socket".to_owned(),
                Connection::Failed(why) => why,
                Connection::Pending | Connection::Connected { .. } => return None,
            };
            Some(format!("no names of containers from {path}: {why}"))
        });
        problems.collect()
    }

    /// Ids of the containers of root's runtimes that certainly run. Over CRI it is told late that one has ended, and not
    /// at all by a runtime that is away.
    pub(crate) fn running(&self) -> HashSet<String> {
        let states = self.directory.sockets();
        let is_settled = |state: &SocketState| {
            matches!(
                state.connection,
                Connection::Connected { .. } | Connection::Absent
            )
        };
        if states.values().all(is_settled) {
            self.directory.running(CERTAINLY)
        } else {
            HashSet::new()
        }
    }

    /// How many containers are known.
    pub(crate) fn known(&self) -> usize {
        self.directory.len()
    }

    /// Records of containers that were written without a name, so far.
    pub(crate) fn nameless(&self) -> u64 {
        self.nameless.load(Relaxed)
    }

    /// Has a container or pod stopped by its runtime: says by which. It may take the grace period and longer, on the
    /// thread of whoever asks.
    pub(crate) fn stop_workload(&self, stop: &Stop) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let workload = name(0, own_cgroup(stop.path));
        let stopping = Stopping {
            workload: &workload,
            processes: &stop.processes,
            grace: stop.grace.into(),
            dry_run: stop.dry_run,
        };
        runtime.block_on(hayward_workload::stop(&self.directory, &stopping))
    }

    /// Keeps a record until its container's name is known, or nobody can be expected to tell it. Gives back one that
    /// need not wait, or cannot.
    pub(crate) fn wait(&self, unnamed: Unnamed) -> Option<Unnamed> {
        let containers = unnamed.record.workload.as_ref().map(containers);
        let containers = containers.into_iter().flatten();
        let unknown = containers.filter(|id| !self.directory.knows(id));
        let unknown: Vec<String> = unknown.map(str::to_owned).collect();
        if unknown.is_empty() || *self.stop.borrow() || !self.anybody_may_answer() {
            return Some(unnamed);
        }
        self.kept.keep(&unnamed.masked());
        match self.queue(unknown, Wants::Record(Box::new(unnamed))) {
            Some(Wants::Record(unnamed)) => {
                self.kept.release(&unnamed.record.id);
                Some(*unnamed)
            }
            _ => None,
        }
    }

    /// A cgroup was made of which settings may decide by name. Where it is a container's own, it is entered again once the
    /// name is known. Where too many wait, that is left to the next look at all cgroups.
    pub(crate) fn made(&self, path: &str) {
        let workload = name(0, path);
        if own_cgroup(path) == path && workload.container_id.is_some() {
            let containers = containers(&workload).map(str::to_owned).collect();
            self.queue(containers, Wants::Policy(path.to_owned()));
        }
    }

    /// A record that waited is written.
    pub(crate) fn release(&self, id: &str) {
        self.kept.release(id);
    }

    /// Gives back what cannot wait.
    fn queue(&self, containers: Vec<String>, wants: Wants) -> Option<Wants> {
        let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
            return Some(wants);
        };
        let waiting = Waiting {
            containers,
            wants,
            _room: room,
        };
        let refused = self.waiting.send(waiting).err();
        refused.map(|refused| refused.0.wants)
    }

    fn anybody_may_answer(&self) -> bool {
        let states = self.directory.sockets();
        let mut states = states.values();
        !self.settled.load(Relaxed)
            || self.directory.is_somebody_away(LATELY)
            || states.any(|state| matches!(state.connection, Connection::Connected { .. }))
    }

    /// Waits until each runtime has been found, or found missing.
    async fn settle(&self) {
        while !self.settled.load(Relaxed) {
            let states = self.directory.sockets();
            let pending = |state: &SocketState| state.connection == Connection::Pending;
            if !states.is_empty() && !states.values().any(pending) {
                self.settled.store(true, Relaxed);
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Asks until all are known, or nobody who may know them is left.
    async fn look_up(&self, containers: &[String]) {
        loop {
            let asked = containers
                .iter()
                .map(|id| self.directory.look_up(id, PATIENCE));
            let known = join_all(asked).await;
            if known.into_iter().all(|known| known) || !self.directory.is_somebody_away(LATELY) {
                break;
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// Has everything that waits written, and nothing wait any more.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Starts the thread that asks runtimes and writes the records that waited. It ends after [`Names::stop`].
pub(crate) fn start(agent: Arc<Agent>) -> Result<JoinHandle<()>, AgentError> {
    let thread_error = |source| AgentError::Thread { source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(thread_error)?;
    let names = &agent.pipeline.names;
    let receiver = names.receiver.lock();
    let receiver = receiver.unwrap_or_else(PoisonError::into_inner).take();
    let directory = Arc::clone(&names.directory);
    let sockets = sockets(&agent.policy().workloads.runtimes);
    if sockets.named.is_empty() && !sockets.usual {
        names.settled.store(true, Relaxed);
    }
    let thread = std::thread::Builder::new().name("names".to_owned());
    let body = move || {
        let Some(receiver) = receiver else {
            return;
        };
        runtime.block_on(async {
            let following = tokio::spawn(follow(directory, sockets));
            write(&agent, receiver).await;
            following.abort();
        });
    };
    thread.spawn(body).map_err(thread_error)
}

async fn write(agent: &Arc<Agent>, mut receiver: UnboundedReceiver<Waiting>) {
    let mut stop = agent.pipeline.names.stop.subscribe();
    let mut tasks = JoinSet::new();
    tokio::select! {
        () = agent.pipeline.names.settle() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let mut look = interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            _ = look.tick() => {
                if agent.policy().scope_rules().is_by_name() {
                    agent.enter_existing_cgroups();
                }
            }
            Some(waiting) = receiver.recv() => {
                tasks.spawn(complete(Arc::clone(agent), waiting));
            }
            Some(_) = tasks.join_next() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    receiver.close();
    while let Some(waiting) = receiver.recv().await {
        tasks.spawn(complete(Arc::clone(agent), waiting));
    }
    while tasks.join_next().await.is_some() {}
}

/// Waits for the name, as long as the agent runs, and does what waited for it.
async fn complete(agent: Arc<Agent>, waiting: Waiting) {
    let names = &agent.pipeline.names;
    let mut stop = names.stop.subscribe();
    let naming = async {
        names.settle().await;
        names.look_up(&waiting.containers).await;
    };
    tokio::select! {
        _ = timeout(PATIENCE, naming) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    match waiting.wants {
        Wants::Record(unnamed) => agent.pipeline.finish_kept(*unnamed),
        Wants::Policy(path) => agent.enter_again(&path),
    }
}

/// A container and those around it: the pod's names come with its own container, also where another is in that.
fn containers(workload: &Workload) -> impl Iterator<Item = &str> {
    let around = workload.within.iter().map(|outer| outer.id.as_str());
    let all = workload.container_id.as_deref().into_iter().chain(around);
    all.take(MOST_ASKED_FOR)
}

fn sockets(wanted: &RuntimeSockets) -> Sockets {
    let cri = wanted.cri.iter().map(|path| (Api::Cri, path.clone()));
    let docker = wanted.docker.iter().map(|path| (Api::Docker, path.clone()));
    Sockets {
        named: cri.chain(docker).collect(),
        usual: wanted.usual,
    }
}
