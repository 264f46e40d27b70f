//! One target: its queue, its task, and how it is with it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hayward_model::Record;
use hayward_policy::{TellSettings, TellTarget};
use hayward_record::Metrics;
use hayward_workload::own_cgroup;
use hayward_yaml::Problem;
use hyper::{body::Bytes, header::HeaderMap};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{
        mpsc::{Receiver, Sender, channel},
        oneshot,
    },
    time::{sleep, timeout},
};

use crate::{command, failure::Failure, headers, limit::Limit, message::Message, webhook};

/// Messages that wait for one target.
const MOST_WAITING: usize = 128;
/// How long a target that was removed, or that the agent stops with, may still be told of what waits.
pub(crate) const FLUSH: Duration = Duration::from_secs(2);

/// What became of a record that a target is told of.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Sent,
    LeftOut,
    Failed,
    QueueFull,
    Abandoned,
}

impl Fate {
    const ALL: [(Self, &str); 5] = [
        (Self::Sent, "sent"),
        (Self::LeftOut, "left-out"),
        (Self::Failed, "failed"),
        (Self::QueueFull, "queue-full"),
        (Self::Abandoned, "abandoned"),
    ];
}

/// The files that settings name for those who are told are bad.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", hayward_yaml::join(.problems))]
pub struct TellError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// A target as settings have it, with what the files say that it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    settings: TellSettings,
    headers: HeaderMap,
}

/// Reads the files that settings name.
pub fn prepare(settings: &[TellSettings]) -> Result<Vec<Prepared>, TellError> {
    let mut problems = Vec::new();
    let mut prepared = Vec::new();
    for settings in settings.iter().cloned() {
        let headers = match &settings.target {
            TellTarget::Webhook {
                headers: Some(path),
                ..
            } => headers::read(path),
            _ => Ok(HeaderMap::new()),
        };
        match headers {
            Ok(headers) => prepared.push(Prepared { settings, headers }),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(prepared)
    } else {
        Err(TellError { problems })
    }
}

/// How it is with a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TargetReport {
    /// As metrics and log name it.
    pub name: String,
    /// `command` or `webhook`.
    pub kind: String,
    /// Messages that wait for it.
    pub waiting: u64,
    /// What became of records since it is in the settings: sent, left-out, failed, queue-full, abandoned.
    pub told: BTreeMap<String, u64>,
    /// Why the last try failed; none where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A target that takes records. Its task ends after it was dropped: at once where nothing waits, within [`FLUSH`] where
/// something does.
pub(crate) struct Target {
    pub(crate) shared: Arc<Shared>,
    queue: Sender<Message>,
    limit: Mutex<Limit>,
    _removed: oneshot::Sender<Infallible>,
}

/// What a target's task works with.
pub(crate) struct Shared {
    pub(crate) prepared: Prepared,
    host: String,
    metrics: Arc<Metrics>,
    waiting: AtomicU64,
    counts: [AtomicU64; Fate::ALL.len()],
    error: Mutex<Option<String>>,
}

/// What is left to do of a target: to be spawned.
pub(crate) struct Work {
    shared: Arc<Shared>,
    queue: Receiver<Message>,
    removed: oneshot::Receiver<Infallible>,
}

impl Target {
    pub(crate) fn new(prepared: Prepared, host: &str, metrics: &Arc<Metrics>) -> (Self, Work) {
        let (sender, receiver) = channel(MOST_WAITING);
        let (removing, removed) = oneshot::channel();
        let shared = Arc::new(Shared {
            host: host.to_owned(),
            metrics: Arc::clone(metrics),
            waiting: AtomicU64::new(0),
            counts: Default::default(),
            error: Mutex::default(),
            prepared,
        });
        for (fate, _) in Fate::ALL {
            // There from the beginning, so that the first loss is an increase.
            shared.count(fate, 0);
        }
        let target = Self {
            shared: Arc::clone(&shared),
            queue: sender,
            limit: Mutex::new(Limit::new(shared.prepared.settings.every)),
            _removed: removing,
        };
        let work = Work {
            shared,
            queue: receiver,
            removed,
        };
        (target, work)
    }

    /// Queues a record, unless it is none of this target's, or there is no room.
    pub(crate) fn offer(&self, record: &Record, copy: &mut Option<Arc<Record>>) {
        let shared = &self.shared;
        if !shared.prepared.settings.tells(record.action) {
            return;
        }
        let Ok(room) = self.queue.try_reserve() else {
            shared.count(Fate::QueueFull, 1);
            return;
        };
        let workload = record.workload.as_ref();
        let workload = workload.map(|workload| own_cgroup(&workload.cgroup));
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = limit.admit(workload, Instant::now()) else {
            shared.count(Fate::LeftOut, 1);
            return;
        };
        shared.waiting.fetch_add(1, Relaxed);
        let record = copy.get_or_insert_with(|| Arc::new(record.clone()));
        room.send(Message {
            record: Arc::clone(record),
            left_out,
        });
    }
}

impl Work {
    /// Tells of what is queued, until the target is dropped.
    pub(crate) async fn run(mut self) {
        let shared = &self.shared;
        let telling = async {
            while let Some(message) = self.queue.recv().await {
                shared.tell(&message).await;
            }
        };
        let time_is_over = async {
            let _ = self.removed.await;
            sleep(FLUSH).await;
        };
        tokio::select! {
            () = telling => {}
            () = time_is_over => shared.abandon(),
        }
    }
}

impl Shared {
    /// Tries until it is told, or no other try would help.
    async fn tell(&self, message: &Message) {
        let body = Bytes::from(message.body(&self.host));
        let mut tries = 0;
        let fate = loop {
            tries += 1;
            match self.attempt(body.clone()).await {
                Ok(()) => break Fate::Sent,
                Err(failure) => match failure.pause(tries) {
                    Some(pause) => sleep(pause).await,
                    None => break Fate::Failed,
                },
            }
        };
        self.waiting.fetch_sub(1, Relaxed);
        self.count(fate, 1);
    }

    /// One try, after which it is known how it is with the target.
    pub(crate) async fn attempt(&self, body: Bytes) -> Result<(), Failure> {
        let settings = &self.prepared.settings;
        let within = settings.timeout;
        let told = timeout(within, async {
            match &settings.target {
                TellTarget::Command(words) => command::run(words, &body).await,
                TellTarget::Webhook { url, .. } => {
                    webhook::post(url, &self.prepared.headers, body, within).await
                }
            }
        });
        let late = |_| Err(Failure::passing(format!("not done within {within:?}")));
        let told = told.await.unwrap_or_else(late);
        self.note(told.as_ref().err());
        told
    }

    /// Says in the log where it begins and ends to fail, and not each time.
    fn note(&self, failure: Option<&Failure>) {
        let reason = failure.map(|failure| failure.reason.clone());
        let before = std::mem::replace(&mut *self.error(), reason.clone());
        match (before, reason) {
            (None, Some(reason)) => tracing::error!("{}", self.in_words(&reason)),
            (Some(_), None) => {
                tracing::info!("`tell`: {} is told again", self.prepared.settings.name);
            }
            _ => {}
        }
    }

    fn in_words(&self, reason: &str) -> String {
        let settings = &self.prepared.settings;
        let kind = settings.target.kind();
        format!("`tell`: the {kind} {} fails: {reason}", settings.name)
    }

    /// What is wrong now.
    pub(crate) fn problem(&self) -> Option<String> {
        let error = self.error().clone();
        error.map(|reason| self.in_words(&reason))
    }

    pub(crate) fn report(&self) -> TargetReport {
        let settings = &self.prepared.settings;
        let counts = self.counts.iter().zip(Fate::ALL);
        TargetReport {
            name: settings.name.clone(),
            kind: settings.target.kind().to_owned(),
            waiting: self.waiting.load(Relaxed),
            told: counts
                .map(|(count, (_, name))| (name.to_owned(), count.load(Relaxed)))
                .collect(),
            error: self.error().clone(),
        }
    }

    fn abandon(&self) {
        let waiting = self.waiting.swap(0, Relaxed);
        self.count(Fate::Abandoned, waiting);
        if waiting > 0 {
            let name = &self.prepared.settings.name;
            tracing::warn!("`tell`: {name} was not told of {waiting} records that waited");
        }
    }

    fn count(&self, fate: Fate, by: u64) {
        let at = fate as usize;
        self.counts[at].fetch_add(by, Relaxed);
        let name = &self.prepared.settings.name;
        self.metrics.count_told(name, Fate::ALL[at].1, by);
    }

    fn error(&self) -> MutexGuard<'_, Option<String>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
