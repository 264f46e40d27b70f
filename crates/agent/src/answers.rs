//! What is done to a whole workload because of a finding: by the response of its rule or guard, or by strikes.
//!
//! It is done on a thread of its own, since some of it takes seconds. Names of containers are waited for only where settings
//! go by them; else the finding's record may wait for one and be written later. A workload for which the same is to be
//! done already is not queued again.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use hayward_model::{Action, Guard, Record, Response, Workload};
use hayward_respond::{Act, ActError, Grace, Judged, Share};

use crate::{AgentError, agent::Agent, names::Unnamed, veil::Veil};

/// Answers that wait at a time.
const MOST_WAITING: usize = 1024;
/// Workloads that are evicted at a time, each on a thread of its own: it may end by itself, and takes its time.
const MOST_EVICTED: usize = 32;
/// How long one wait lasts, so that a stop is seen.
const WAIT: Duration = Duration::from_millis(200);

/// Something to be done to a workload.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What.
    pub(crate) response: Response,
    /// Id of the whole workload's cgroup, and its path.
    pub(crate) cgroup_id: u64,
    pub(crate) path: String,
    /// The process that was judged.
    pub(crate) judged: Judged,
    /// As records name it.
    pub(crate) workload: Option<Workload>,
    /// What led to it: the finding's record, guard and rule, and how many strikes where those decided.
    pub(crate) cause: String,
    pub(crate) guard: Option<Guard>,
    pub(crate) rule: Option<String>,
    pub(crate) strikes: Option<u32>,
    /// What must be masked in the workload's names.
    pub(crate) veil: Veil,
}

/// What is to be done, in order.
#[derive(Debug)]
pub(crate) struct Answers {
    sender: SyncSender<Answer>,
    receiver: Mutex<Option<Receiver<Answer>>>,
    waiting: Mutex<HashSet<(u64, Response)>>,
    lost: AtomicU64,
    stop: AtomicBool,
}

impl Default for Answers {
    fn default() -> Self {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            waiting: Mutex::default(),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        }
    }
}

impl Answers {
    /// Queues an answer, unless the same is to be done already.
    pub(crate) fn offer(&self, answer: Answer) {
        let key = (answer.cgroup_id, answer.response);
        if !self.waiting().insert(key) {
            return;
        }
        if self.sender.try_send(answer).is_err() {
            self.waiting().remove(&key);
            let before = self.lost.fetch_add(1, Relaxed);
            if before == 0 {
                tracing::error!(
                    "more than {MOST_WAITING} workloads are to be answered at once: some are not"
                );
            }
        }
    }

    /// Answers that found no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Ends the thread, once nothing waits any more.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<(u64, Response)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that does what is queued.
pub(crate) fn start(agent: Arc<Agent>) -> Result<JoinHandle<()>, AgentError> {
    let receiver = agent.pipeline.answers.receiver.lock();
    let receiver = receiver.unwrap_or_else(PoisonError::into_inner).take();
    let body = move || {
        let answers = &agent.pipeline.answers;
        let Some(receiver) = receiver else {
            return;
        };
        let mut evictions = Vec::new();
        loop {
            match receiver.recv_timeout(WAIT) {
                Ok(answer) => {
                    let key = (answer.cgroup_id, answer.response);
                    evictions.retain(|thread: &JoinHandle<()>| !thread.is_finished());
                    if answer.response == Response::Evict && evictions.len() < MOST_EVICTED {
                        let agent = Arc::clone(&agent);
                        let thread = std::thread::Builder::new().name("evict".to_owned());
                        evictions.extend(thread.spawn(move || {
                            agent.answer(answer);
                            // Not before: what it does in its last seconds would have it evicted again, and again.
                            agent.pipeline.answers.waiting().remove(&key);
                        }));
                    } else {
                        // From here on, the same finding would lead to the same again.
                        answers.waiting().remove(&key);
                        agent.answer(answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) if !answers.stop.load(Relaxed) => {}
                Err(_) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("answers".to_owned());
    thread
        .spawn(body)
        .map_err(|source| AgentError::Thread { source })
}

impl Agent {
    fn answer(&self, answer: Answer) {
        let wanted = match answer.response {
            Response::Throttle => {
                Share::try_from(self.policy().throttle_percent).map(Act::Throttle)
            }
            Response::Quarantine if self.is_quarantined_for_long(answer.cgroup_id) => return,
            Response::Quarantine => Ok(Act::Quarantine(Some(self.policy().quarantine))),
            Response::Freeze => Ok(Act::Freeze),
            Response::KillWorkload => Ok(Act::KillWorkload),
            Response::Evict => Ok(Act::Evict(Grace::default())),
            Response::Observe | Response::Deny | Response::Kill => return,
        };
        let Ok(wanted) = wanted else { return };
        if !self.is_decided(&answer.path) {
            let why = "settings go by names, and no runtime has told this one's yet";
            self.record_answer(&answer, Action::Refused, why.to_owned());
            return;
        }
        let (id, path) = (answer.cgroup_id, answer.path.as_str());
        match self.carry_out(id, path, wanted, Some(Some(answer.judged)), false) {
            Ok(tried) => {
                if let Some(action) = tried.done.action {
                    self.record_answer(&answer, action, tried.detail());
                }
            }
            // It ended by itself.
            Err(ActError::Gone { .. }) => {}
            Err(error @ ActError::Left { .. }) => {
                self.record_answer(&answer, Action::WorkloadKilled, error.to_string());
            }
            Err(error) => self.record_answer(&answer, Action::Refused, error.to_string()),
        }
    }

    fn record_answer(&self, answer: &Answer, action: Action, detail: String) {
        let detail = match answer.strikes {
            Some(number) if detail.is_empty() => format!("{number} strikes"),
            Some(number) => format!("{number} strikes; {detail}"),
            None => detail,
        };
        let record = Record {
            guard: answer.guard,
            rule: answer.rule.clone(),
            response: Some(answer.response),
            workload: answer.workload.clone(),
            cause: Some(answer.cause.clone()),
            detail: (!detail.is_empty()).then_some(detail),
            ..Self::new_record(action)
        };
        self.pipeline.write(Unnamed {
            record,
            veil: answer.veil.clone(),
            answer: None,
        });
    }
}
