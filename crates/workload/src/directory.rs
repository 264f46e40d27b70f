//! What containers are called, as far as their runtimes have said.
//!
//! ```no_run
//! use std::{sync::Arc, time::Duration};
//! use hayward_workload::{Directory, Sockets, follow, name};
//!
//! # async fn example() {
//! let directory = Arc::new(Directory::new());
//! // Beside whatever else the runtime does: it never ends, and nobody waits for it.
//! tokio::spawn(follow(Arc::clone(&directory), Sockets::default()));
//!
//! let mut workload = name(4711, "/system.slice/docker-0123.scope");
//! // Only where a container that nobody knows yet is worth waiting for. Never before a verdict.
//! if let Some(id) = &workload.container_id {
//!     directory.look_up(id, Duration::from_millis(500)).await;
//! }
//! directory.fill(&mut workload);
//! # }
//! ```

mod asked;
mod store;
mod strings;

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hayward_model::{Runtime, Workload};
use tokio::{sync::broadcast, time::timeout};

use crate::runtimes::{Connection, SocketState};
pub(crate) use asked::Wanted;
use asked::{Asked, MOST_WAITING};
use store::{Entry, Store};

/// Characters of a container's id that stand for it where its name is not known.
const SHORT_ID: usize = 12;

/// Whose containers a runtime's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The host's: root runs the runtime, and what it says holds for any container.
    Host,
    /// A user's: what the runtime says holds for containers in that user's own slice alone.
    User(u32),
}

/// A container, as its runtime tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The id: 64 hexadecimal digits.
    pub id: String,
    /// The name, without a `/` before it.
    pub name: String,
    /// The image, as whoever started it wrote it where the runtime says that, else its id.
    pub image: String,
    /// The container's own labels.
    pub labels: BTreeMap<String, String>,
    /// The pod around it.
    pub pod: Option<Arc<Pod>>,
    /// Who runs it.
    pub runtime: Option<Runtime>,
    /// Whether it has not ended yet.
    pub running: bool,
}

/// A pod, as its runtime tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// The UID, as in cgroup paths.
    pub uid: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The pod's own labels.
    pub labels: BTreeMap<String, String>,
}

/// What is known of this host's containers. It is shared: the runtimes' followers write, whoever makes records reads.
///
/// It holds 16,384 containers and as many pods. One that has ended is kept for ten minutes, so that a finding about it
/// still gets its name, and goes earlier where there is no room for a new one.
#[derive(Debug)]
pub struct Directory {
    store: Mutex<Store>,
    asked: Mutex<Asked>,
    wanted: broadcast::Sender<Wanted>,
    states: Mutex<BTreeMap<PathBuf, SocketState>>,
    /// When a runtime that was connected went away.
    lost: Mutex<BTreeMap<PathBuf, Instant>>,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// One that knows nothing.
    pub fn new() -> Self {
        Self {
            store: Mutex::default(),
            asked: Mutex::default(),
            wanted: broadcast::Sender::new(MOST_WAITING),
            states: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Completes a workload that was made from its cgroup path: who runs it, namespace, pod, container, image, labels,
    /// names and images of the containers around it, and with these its own name, which is `namespace/pod/container` or the
    /// container's name. Says whether anything was known; what was not stays as it is.
    pub fn fill(&self, workload: &mut Workload) -> bool {
        let store = lock(&self.store);
        let uid = workload.uid;
        let mut known = false;
        for outer in &mut workload.within {
            if let Some(entry) = store.container(&outer.id, uid) {
                outer.name = told(&entry.name);
                outer.image = told(&entry.image);
                known = true;
            }
        }
        let id = workload.container_id.clone();
        let container = id.as_deref().and_then(|id| store.container(id, uid));
        let pod = container
            .and_then(|container| container.pod.as_deref())
            .or_else(|| store.pod(workload.pod_uid.as_deref()?));
        if let Some(pod) = pod {
            workload.pod_uid.get_or_insert_with(|| pod.uid.to_string());
            workload.namespace = Some(pod.namespace.to_string());
            workload.pod = Some(pod.name.to_string());
            workload.labels.extend(strings::owned(&pod.labels));
        }
        if let Some(container) = container {
            container.describe(workload);
        }
        let short = id.map(|id| id.chars().take(SHORT_ID).collect());
        let own = workload.container.clone().or(short);
        if let Some(pod) = pod {
            let parts = [Some(&*pod.namespace), Some(&*pod.name), own.as_deref()];
            workload.name = parts.into_iter().flatten().collect::<Vec<_>>().join("/");
        } else if let Some(name) = &workload.container {
            workload.name.clone_from(name);
        }
        known || pod.is_some() || container.is_some()
    }

    /// Asks the runtimes for a container, where it is not known. Nobody waits: the answer is there when it is there.
    pub fn wanted(&self, id: &str) {
        if !self.knows(id) {
            lock(&self.asked).ask(id, &self.wanted, Instant::now());
        }
    }

    /// Asks the runtimes for a container, where it is not known, and waits for their answers, at most for `within`. Says
    /// whether it is known now. A runtime that does not answer costs that time and a name, no more. A container that
    /// nobody knew is not asked for again within ten seconds.
    pub async fn look_up(&self, id: &str, within: Duration) -> bool {
        if self.knows(id) {
            return true;
        }
        let asked = lock(&self.asked).ask(id, &self.wanted, Instant::now());
        if let Some(mut answers) = asked {
            // It fails once all have answered.
            let _ = timeout(within, async {
                while answers.changed().await.is_ok() && !self.knows(id) {}
            })
            .await;
        }
        self.knows(id)
    }

    /// Each socket that is followed, by its path, and how it is with it.
    pub fn sockets(&self) -> BTreeMap<PathBuf, SocketState> {
        lock(&self.states).clone()
    }

    /// Ids of the containers of root's runtimes that were told of so long ago and have not ended.
    pub fn running(&self, age: Duration) -> HashSet<String> {
        lock(&self.store).running(age, Instant::now())
    }

    /// How many containers are known, the ended ones among them.
    pub fn len(&self) -> usize {
        lock(&self.store).len()
    }

    /// Whether no container is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Notes a container that the runtime numbered `source` told of.
    pub fn learn(&self, source: u32, owner: Owner, named: &Named) {
        lock(&self.store).learn(source, owner, named, Instant::now());
    }

    /// Notes a pod.
    pub fn learn_pod(&self, pod: &Pod) {
        lock(&self.store).learn_pod(pod);
    }

    /// Notes that a container has ended.
    pub fn end(&self, owner: Owner, id: &str) {
        lock(&self.store).end(owner, id, Instant::now());
    }

    /// Notes that all containers of the runtime numbered `source` have ended, but those in `running`.
    pub fn end_all_but(&self, source: u32, owner: Owner, running: &HashSet<&str>) {
        lock(&self.store).end_all_but(source, owner, running, Instant::now());
    }

    /// Forgets pods that are not in `uids`, unless a container that is known was in them.
    pub fn keep_pods(&self, uids: &HashSet<&str>) {
        lock(&self.store).keep_pods(uids);
    }

    /// What is asked for from now on.
    pub(crate) fn requests(&self) -> broadcast::Receiver<Wanted> {
        self.wanted.subscribe()
    }

    /// Notes how it is with a socket. `is_asked` where what it answers holds for any container: that a user's runtime goes
    /// and comes changes nothing for others.
    pub(crate) fn set_state(&self, path: &Path, state: SocketState, is_asked: bool) {
        let is_connected =
            |state: &SocketState| matches!(state.connection, Connection::Connected { .. });
        let connected = is_connected(&state);
        let before = lock(&self.states).insert(path.to_owned(), state);
        if !is_asked {
            return;
        }
        if connected {
            // Whom nobody knew before, this one may know.
            lock(&self.asked).forget();
            lock(&self.lost).remove(path);
        } else if before.as_ref().is_some_and(is_connected) {
            lock(&self.lost).insert(path.to_owned(), Instant::now());
        }
    }

    /// Whether some runtime that is asked for containers went away within the last `lately`, and so may come back.
    pub fn is_somebody_away(&self, lately: Duration) -> bool {
        let lost = lock(&self.lost);
        lost.values().any(|since| since.elapsed() < lately)
    }

    pub(crate) fn forget_socket(&self, path: &Path) {
        lock(&self.states).remove(path);
    }

    /// Whether a runtime has told of this container.
    pub fn knows(&self, id: &str) -> bool {
        lock(&self.store).knows(id)
    }
}

impl Entry {
    fn describe(&self, workload: &mut Workload) {
        workload.runtime = self.runtime.or(workload.runtime);
        workload.container = told(&self.name);
        workload.image = told(&self.image);
        workload.labels.extend(strings::owned(&self.labels));
    }
}

/// What a runtime left empty it has not told.
fn told(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What is behind it is whole after each statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
