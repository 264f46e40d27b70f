//! All targets, and the thread that they share.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use hayward_model::Record;
use hayward_record::Metrics;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    confine::give_up_privileges,
    message,
    target::{FLUSH, Prepared, Target, TargetReport},
};

/// How much longer than its tasks the thread is waited for.
const GRACE: Duration = Duration::from_millis(500);

/// What came of a test message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestReport {
    /// As metrics and log name the target.
    pub name: String,
    /// `command` or `webhook`.
    pub kind: String,
    /// How long it took.
    pub milliseconds: u64,
    /// Why it did not arrive; none where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Tells targets of records.
pub struct Tell {
    targets: RwLock<Vec<Target>>,
    host: String,
    metrics: Arc<Metrics>,
    runtime: Handle,
    /// Held by every task too: the thread ends when nobody holds it any more.
    running: Mutex<Option<mpsc::Sender<Infallible>>>,
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Tell {
    /// Starts the thread.
    pub fn start(targets: Vec<Prepared>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (running, mut all_gone) = mpsc::channel::<Infallible>(1);
        let (confined, is_confined) = std::sync::mpsc::channel();
        let (ending, ended) = std::sync::mpsc::channel();
        let body = move || {
            let _ending = ending;
            let result = give_up_privileges();
            let failed = result.is_err();
            let _ = confined.send(result);
            if !failed {
                runtime.block_on(all_gone.recv());
            }
        };
        let thread = std::thread::Builder::new().name("tell".to_owned());
        thread.spawn(body)?;
        is_confined.recv().map_err(io::Error::other)??;
        let node = rustix::system::uname();
        let tell = Self {
            targets: RwLock::default(),
            host: node.nodename().to_string_lossy().into_owned(),
            metrics,
            runtime: handle,
            running: Mutex::new(Some(running)),
            ended: Mutex::new(ended),
        };
        tell.replace(targets);
        Ok(tell)
    }

    /// Queues a record for each target that is told of such. Never waits.
    pub fn offer(&self, record: &Record) {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let mut copy = None;
        for target in targets.iter() {
            target.offer(record, &mut copy);
        }
    }

    /// Puts other targets in the place of these. One that is the same goes on with what waits for it; one that is gone is
    /// told of what waits for a moment.
    pub fn replace(&self, wanted: Vec<Prepared>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = running.as_ref() else {
            return;
        };
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *targets);
        for prepared in wanted {
            let same = |target: &Target| target.shared.prepared == prepared;
            if let Some(at) = before.iter().position(same) {
                targets.push(before.swap_remove(at));
                continue;
            }
            let (target, work) = Target::new(prepared, &self.host, &self.metrics);
            let running = running.clone();
            self.runtime.spawn(async move {
                work.run().await;
                drop(running);
            });
            targets.push(target);
        }
    }

    /// Sends each target a test message now, past what waits, and says what came of it.
    pub async fn test(&self) -> Vec<TestReport> {
        let shared: Vec<_> = {
            let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
            targets
                .iter()
                .map(|target| Arc::clone(&target.shared))
                .collect()
        };
        let body = Bytes::from(message::test(&self.host));
        let tries: Vec<_> = shared
            .into_iter()
            .map(|shared| {
                let (body, report) = (body.clone(), shared.report());
                let attempt = self.runtime.spawn(async move {
                    let begun = Instant::now();
                    let told = shared.attempt(body).await;
                    (told.err().map(|failure| failure.reason), begun.elapsed())
                });
                (report, attempt)
            })
            .collect();
        let mut reports = Vec::new();
        for (report, attempt) in tries {
            let (error, took) = attempt
                .await
                .unwrap_or_else(|error| (Some(error.to_string()), Duration::ZERO));
            reports.push(TestReport {
                name: report.name,
                kind: report.kind,
                milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                error,
            });
        }
        reports
    }

    /// How it is with each target.
    pub fn report(&self) -> Vec<TargetReport> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets
            .iter()
            .map(|target| target.shared.report())
            .collect()
    }

    /// Which targets fail now, and why.
    pub fn problems(&self) -> Vec<String> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let problems = targets.iter().filter_map(|target| target.shared.problem());
        problems.collect()
    }

    /// Tells of what waits, for a moment, and ends the thread. One that hangs in the system is left behind.
    pub fn stop(&self) {
        self.replace(Vec::new());
        let running = self.running.lock();
        running.unwrap_or_else(PoisonError::into_inner).take();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(FLUSH + GRACE);
    }
}
