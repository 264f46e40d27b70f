//! The log of first contacts: who got in touch with whom, for the day on which an abuse letter comes.
//!
//! A thread of its own takes them from a ring of their own and writes them, so that no finding waits for the disk, nor for
//! whoever makes many contacts. What the ring cannot hold meanwhile is counted as lost by the kernel.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use hayward_model::{Contact, ContactEvent, ContactProcess, Sender};
use hayward_policy::{ContactLogSettings, Policy};
use hayward_record::{
    Journal, JournalError, JournalOptions, contacts::folder, journal::AppendError, journal::Subject,
};
use hayward_workload::Cgroups;

use crate::{AgentError, agent::Agent, clock, pipeline::Pipeline, veil::Veil};

/// How often the ring is looked at, and what came is written.
const WAIT: Duration = Duration::from_millis(200);
/// Contacts that are taken before the disk gets them.
const MOST_TAKEN: usize = 512;
/// So many bytes are written at once, wherever their contacts come from.
const BATCH: usize = 256 << 10;

/// The log, and what of it is not on the disk yet.
pub(crate) struct Contacts {
    folder: PathBuf,
    state: Mutex<State>,
    unwritten: AtomicU64,
}

struct State {
    /// Not those of the findings, which would wait while these are looked at.
    cgroups: Cgroups,
    journal: Option<(ContactLogSettings, Arc<Journal>)>,
    /// Lines that wait, and how many.
    batch: Vec<u8>,
    waiting: u64,
    /// Why the last contacts could not be written.
    problem: Option<String>,
}

impl Contacts {
    /// A log below this journal, of cgroups whose file system is mounted at `mount`.
    pub(crate) fn below(journal: &Path, mount: &Path) -> Self {
        Self {
            folder: folder(journal),
            state: Mutex::new(State {
                cgroups: Cgroups::new(mount.to_owned()),
                journal: None,
                batch: Vec::new(),
                waiting: 0,
                problem: None,
            }),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Contacts that could not be written, so far.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Relaxed)
    }

    /// Why the last ones could not be, where that is so.
    pub(crate) fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        let journal = self.state().journal.clone();
        journal.map_or(0, |(_, journal)| journal.bytes())
    }

    /// Removes what is too old or too much, also of a log that is written no more.
    pub(crate) fn tidy(&self, policy: &Policy) -> Result<(), JournalError> {
        match self.existing(policy)? {
            Some(journal) => journal.tidy(),
            None => Ok(()),
        }
    }

    /// Removes the contacts of a user or of a workload. Returns how many.
    pub(crate) fn forget(&self, subject: &Subject, policy: &Policy) -> Result<u64, JournalError> {
        self.write(policy);
        match self.existing(policy)? {
            Some(journal) => Ok(journal.forget(subject)?.removed),
            None => Ok(0),
        }
    }

    /// The log, where there has ever been one.
    fn existing(&self, policy: &Policy) -> Result<Option<Arc<Journal>>, JournalError> {
        let mut state = self.state();
        if state.journal.is_none() && !self.folder.exists() {
            return Ok(None);
        }
        self.open(&mut state, policy).map(Some)
    }

    /// The log as settings want it now.
    fn open(&self, state: &mut State, policy: &Policy) -> Result<Arc<Journal>, JournalError> {
        let wanted = policy.outbound.log;
        if let Some((settings, journal)) = &state.journal
            && *settings == wanted
        {
            return Ok(Arc::clone(journal));
        }
        // The new one finds its lock free.
        state.journal = None;
        let options = JournalOptions {
            directory: self.folder.clone(),
            keep: wanted.keep,
            max_bytes: wanted.max_bytes,
        };
        let journal = Arc::new(Journal::open(options)?.0);
        state.journal = Some((wanted, Arc::clone(&journal)));
        Ok(journal)
    }

    fn add(&self, contact: &Contact, policy: &Policy) {
        let mut state = self.state();
        if let Err(error) = serde_json::to_writer(&mut state.batch, contact) {
            tracing::error!("a contact could not be encoded as JSON: {error}");
        }
        state.batch.push(b'\n');
        state.waiting += 1;
        let is_full = state.batch.len() >= BATCH;
        drop(state);
        if is_full {
            self.write(policy);
        }
    }

    /// Writes what waits. Where that fails it is lost, counted, and told once.
    fn write(&self, policy: &Policy) {
        let mut state = self.state();
        if state.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut state.batch);
        let count = std::mem::take(&mut state.waiting);
        let journal = self.open(&mut state, policy).map_err(AppendError::from);
        let written = journal.and_then(|journal| journal.append_lines(&batch));
        match written {
            Ok(_) if state.problem.take().is_some() => tracing::info!("contacts are logged again"),
            Ok(_) => {}
            Err(error) => {
                self.unwritten.fetch_add(count, Relaxed);
                let problem = format!("first contacts are not logged: {error}");
                if state.problem.is_none() {
                    tracing::error!("{problem}");
                }
                state.problem = Some(problem);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// Takes a first contact for the log.
    pub(crate) fn take_contact(&self, event: ContactEvent) {
        let policy = self.policy();
        let (Some(table), _) = self.tables_for(0) else {
            return;
        };
        let veil = Veil::new(&table, None, policy.journal.command_lines);
        let ContactEvent { sender, workload } = event;
        let wanted = &policy.workloads.environment;
        let mut state = self.contacts.state();
        let mut workload = match state.cgroups.workload(sender.cgroup_id, wanted) {
            // A cgroup within it has gone before anybody looked.
            gone if gone.cgroup.is_empty() => state.cgroups.workload(workload, wanted),
            found => found,
        };
        drop(state);
        self.names.fill_or_ask(&mut workload);
        // Long, and of no help to whoever looks for one workload.
        workload.labels.clear();
        veil.workload(&mut workload);
        let contact = Contact {
            time: clock::timestamp(sender.boot_ns),
            process: process_of(&sender, &veil),
            workload,
            destination: sender.destination,
        };
        self.contacts.add(&contact, &policy);
    }
}

/// None where nobody saw who made the socket.
fn process_of(sender: &Sender, veil: &Veil) -> Option<ContactProcess> {
    (sender.pid != 0).then(|| ContactProcess {
        pid: sender.pid,
        parent_pid: sender.parent_pid,
        start_boot_ns: sender.start_boot_ns,
        uid: sender.uid,
        comm: veil.comm(&sender.comm),
    })
}

/// Starts the thread. It ends when `stop` is set, with everything written that was there.
pub(crate) fn start(
    agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, AgentError> {
    let body = move || {
        let take = |bytes: &[u8]| agent.pipeline.take_bytes(bytes);
        let stream = match agent.with_kernel(|kernel| kernel.contacts(take)) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!("first contacts are not logged: {error}");
                return;
            }
        };
        loop {
            let is_last = stop.load(Relaxed);
            let taken = stream.drain(MOST_TAKEN).unwrap_or_else(|error| {
                tracing::error!("{error}");
                0
            });
            agent.pipeline.contacts.write(&agent.policy());
            if is_last {
                return;
            }
            if taken < MOST_TAKEN {
                std::thread::park_timeout(WAIT);
            }
        }
    };
    let thread = std::thread::Builder::new().name("contacts".to_owned());
    thread
        .spawn(body)
        .map_err(|source| AgentError::Thread { source })
}
