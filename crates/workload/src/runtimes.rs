//! Following the runtimes of this host: who tells a [`Directory`] what containers are called.
//!
//! Each socket has a task of its own, which connects, lists what runs, listens, and answers requests, until something
//! fails; then it waits and begins again. All that a runtime can do by being dead, slow or mad is to leave containers
//! without names: each answer has a time limit and a size limit, and nobody waits for a task.

mod cri;
mod docker;
mod http;
mod socket;
mod stop;

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    future::pending,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hayward_model::Runtime;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{Directory, Owner, backoff, directory::Wanted};
pub(crate) use socket::{Socket, in_users_folders};
pub use stop::{Stopping, stop};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the answer for one container may take: whoever asked waits no longer anyway.
const SINGLE_ANSWER: Duration = Duration::from_secs(2);
/// Bytes of an answer. The kubelet allows its runtime as many.
const MOST_BYTES: usize = 16 << 20;
/// How long to wait after the first failure, and after many.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How long a connection must have held for the next failure to be a first one.
const STEADY: Duration = Duration::from_secs(30);
/// How often a socket is looked at behind which nobody is.
const LOOK: Duration = Duration::from_millis(500);
/// How often users' sockets are looked for.
const SEARCH: Duration = Duration::from_secs(10);
/// Sockets of users that are followed.
const MOST_OF_USERS: usize = 64;

/// What is spoken over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    /// Kubernetes' Container Runtime Interface, version 1: containerd, CRI-O, cri-dockerd.
    Cri,
    /// Docker's, which Podman speaks too.
    Docker,
}

/// How it is with a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketState {
    /// What is spoken over it.
    pub api: Api,
    /// Whether containers get their names from it.
    pub connection: Connection,
}

/// How it is with the connection to a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// There is no such socket.
    Absent,
    /// It was not tried yet.
    Pending,
    /// The runtime answers, and has said who it is.
    Connected {
        /// Who it is, where that is known here.
        runtime: Option<Runtime>,
        /// The name and the version that it gives itself.
        version: String,
    },
    /// It does not work, for this reason. It is tried again within half a minute.
    Failed(String),
}

/// The sockets to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sockets {
    /// These.
    pub named: Vec<(Api, PathBuf)>,
    /// Where runtimes usually have theirs: containerd, k3s, CRI-O, cri-dockerd, Docker and Podman of root, and Docker and
    /// Podman of each user in `/run/user`. Those that there are not are waited for.
    pub usual: bool,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            named: Vec::new(),
            usual: true,
        }
    }
}

impl Sockets {
    /// Those that are followed whether they are there or not, each once.
    fn lasting(&self) -> BTreeSet<(Api, PathBuf)> {
        let usual = socket::USUAL
            .iter()
            .filter(|_| self.usual)
            .map(|(api, path)| (*api, PathBuf::from(path)));
        self.named.iter().cloned().chain(usual).collect()
    }
}

/// Tells `directory` what the runtimes behind `sockets` say, for as long as it is polled. It never ends.
///
/// What it costs: a list of all containers every ten seconds over CRI, every minute over Docker's API, and a stream of
/// events there. A Podman that systemd starts on demand goes on running while it is followed.
pub async fn follow(directory: Arc<Directory>, sockets: Sockets) {
    let mut tasks = JoinSet::new();
    let mut source = 0;
    for (api, path) in sockets.lasting() {
        let socket = Socket {
            path,
            api,
            user: None,
            source,
        };
        source += 1;
        tasks.spawn(keep_following(Arc::clone(&directory), socket));
    }
    let mut users = HashSet::new();
    loop {
        while let Some(ended) = tasks.try_join_next() {
            if let Ok(path) = ended {
                users.remove(&path);
            }
        }
        if sockets.usual {
            for (uid, path) in in_users_folders(Path::new(socket::USERS)) {
                if users.len() >= MOST_OF_USERS || !users.insert(path.clone()) {
                    continue;
                }
                let socket = Socket {
                    path,
                    api: Api::Docker,
                    user: Some(uid),
                    source,
                };
                source = source.wrapping_add(1);
                tasks.spawn(keep_following(Arc::clone(&directory), socket));
            }
        }
        sleep(SEARCH).await;
    }
}

/// Follows one socket. It ends where a user's socket is gone, with the path.
async fn keep_following(directory: Arc<Directory>, socket: Socket) -> PathBuf {
    let follower = Follower {
        directory,
        socket: &socket,
    };
    let mut failures = 0;
    follower.say(Connection::Pending);
    loop {
        let (begun, made) = (Instant::now(), made(&socket.path));
        let Err(why) = match socket.api {
            Api::Cri => cri::follow(&follower).await,
            Api::Docker => docker::follow(&follower).await,
        };
        if begun.elapsed() >= STEADY {
            failures = 0;
        }
        let absent = !socket.path.exists();
        if absent && let Some(uid) = socket.user {
            let (directory, source) = (&follower.directory, socket.source);
            directory.end_all_but(source, Owner::User(uid), &HashSet::new());
            directory.forget_socket(&socket.path);
            return socket.path;
        }
        follower.say(if absent {
            Connection::Absent
        } else {
            Connection::Failed(why)
        });
        if is_made_anew(&socket.path, made, backoff(failures, PAUSES.0, PAUSES.1)).await {
            failures = 0;
        } else {
            failures += 1;
        }
    }
}

/// Waits so long, or until the socket is not the one that was there: a runtime that starts makes its own, and need not
/// stay without a follower for as long as it was away. Says whether it is another.
async fn is_made_anew(path: &Path, before: Option<Made>, longest: Duration) -> bool {
    let until = Instant::now() + longest;
    sleep(PAUSES.0.min(longest)).await;
    loop {
        if made(path) != before {
            return true;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        sleep(LOOK.min(left)).await;
    }
}

/// Which file it is: its number, and when that was given to it, in seconds and nanoseconds.
type Made = (u64, i64, i64);

fn made(path: &Path) -> Option<Made> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A socket that is followed, and who is told.
struct Follower<'a> {
    directory: Arc<Directory>,
    socket: &'a Socket,
}

impl Follower<'_> {
    fn say(&self, connection: Connection) {
        let Socket {
            path, api, user, ..
        } = self.socket;
        let state = SocketState {
            api: *api,
            connection,
        };
        self.directory.set_state(path, state, user.is_none());
    }
}

/// What a request for names failed of, as a sentence.
type Problem = String;

/// The next request that a runtime gets, if it gets any.
async fn next(wanted: &mut Option<Receiver<Wanted>>) -> Wanted {
    while let Some(requests) = wanted {
        match requests.recv().await {
            Ok(request) => return request,
            // Who asked was told that they were answered.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    pending().await
}

/// An answer within the time for it.
async fn in_time<T>(
    what: &str,
    within: Duration,
    answer: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    match timeout(within, answer).await {
        Ok(answer) => answer.map_err(|why| format!("{what}: {why}")),
        Err(_) => Err(format!("{what}: no answer within {} s", within.as_secs())),
    }
}

#[cfg(test)]
mod tests;
