//! The log of first contacts: who got in touch with whom, for the day on which an abuse letter comes.
//!
//! A thread of its own takes them from a ring of their own and writes them, so that no finding waits for the disk, nor for
//! whoever makes many contacts. What the ring cannot hold meanwhile is counted as lost by the kernel. A contact of a container
//! whose name is not known waits for it from one look at the ring to the next.

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
    Journal, JournalError, JournalOptions,
    contacts::folder,
    journal::{AppendError, Subject},
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
    /// Not those of the findings, which would wait while these are looked at.
    cgroups: Mutex<Cgroups>,
    pending: Mutex<Pending>,
    journal: Mutex<Option<Open>>,
    bytes: AtomicU64,
    unwritten: AtomicU64,
    /// Why the last contacts could not be written.
    problem: Mutex<Option<String>>,
}

/// The journal, and the settings that it was opened with.
struct Open {
    settings: ContactLogSettings,
    journal: Arc<Journal>,
}

#[derive(Default)]
struct Pending {
    /// Whose container has no name yet.
    unnamed: Vec<Contact>,
    /// Lines, and how many.
    batch: Vec<u8>,
    count: u64,
}

impl Contacts {
    /// A log below this journal, of cgroups whose file system is mounted at `mount`.
    pub(crate) fn below(journal: &Path, mount: &Path) -> Self {
        Self {
            folder: folder(journal),
            cgroups: Mutex::new(Cgroups::new(mount.to_owned())),
            pending: Mutex::default(),
            journal: Mutex::default(),
            bytes: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            problem: Mutex::default(),
        }
    }

    /// Contacts that could not be written, so far.
    pub(crate) fn unwritten(&self) -> u64 {
        self.unwritten.load(Relaxed)
    }

    /// Why the last ones could not be, where that is so.
    pub(crate) fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }

    /// Bytes on the disk, when it was last written to or tidied.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Removes what is too old or too much, also of a log that is written no more.
    pub(crate) fn tidy(&self, policy: &Policy) -> Result<(), JournalError> {
        if let Some(journal) = self.existing(policy)? {
            journal.tidy()?;
            self.bytes.store(journal.bytes(), Relaxed);
        }
        Ok(())
    }

    /// The log, where there has ever been one.
    fn existing(&self, policy: &Policy) -> Result<Option<Arc<Journal>>, JournalError> {
        if lock(&self.journal).is_none() && !self.folder.exists() {
            return Ok(None);
        }
        self.open(policy).map(Some)
    }

    /// The log as settings want it now.
    fn open(&self, policy: &Policy) -> Result<Arc<Journal>, JournalError> {
        let settings = policy.outbound.log;
        let mut open = lock(&self.journal);
        if let Some(open) = &*open
            && open.settings == settings
        {
            return Ok(Arc::clone(&open.journal));
        }
        // So that the new one finds the folder free.
        *open = None;
        let options = JournalOptions {
            directory: self.folder.clone(),
            keep: settings.keep,
            max_bytes: settings.max_bytes,
        };
        let journal = Arc::new(Journal::open(options)?.0);
        *open = Some(Open {
            settings,
            journal: Arc::clone(&journal),
        });
        Ok(journal)
    }

    /// Has a line written with the next batch. Returns whether that is large enough.
    fn add(&self, contact: &Contact) -> bool {
        let mut pending = lock(&self.pending);
        if let Err(error) = serde_json::to_writer(&mut pending.batch, contact) {
            tracing::error!("a contact could not be encoded as JSON: {error}");
        }
        pending.batch.push(b'\n');
        pending.count += 1;
        pending.batch.len() >= BATCH
    }

    /// Writes the batch. Where that fails it is lost, counted, and told once.
    fn write(&self, policy: &Policy) {
        let mut pending = lock(&self.pending);
        let batch = std::mem::take(&mut pending.batch);
        let count = std::mem::take(&mut pending.count);
        drop(pending);
        if batch.is_empty() {
            return;
        }
        let journal = self.open(policy).map_err(AppendError::from);
        let written = journal.and_then(|journal| {
            journal.append_lines(&batch)?;
            self.bytes.store(journal.bytes(), Relaxed);
            Ok(())
        });
        let mut problem = lock(&self.problem);
        match written {
            Ok(()) if problem.take().is_some() => tracing::info!("first contacts are logged again"),
            Ok(()) => {}
            Err(error) => {
                self.unwritten.fetch_add(count, Relaxed);
                let new = format!("first contacts are not logged: {error}");
                if problem.is_none() {
                    tracing::error!("{new}");
                }
                *problem = Some(new);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipeline {
    /// Takes a first contact for the log.
    pub(crate) fn take_contact(&self, event: ContactEvent) {
        let ContactEvent { sender, workload } = event;
        let policy = self.policy();
        let wanted = &policy.workloads.environment;
        let mut cgroups = lock(&self.contacts.cgroups);
        let mut workload = match cgroups.workload(sender.cgroup_id, wanted) {
            // A cgroup within the workload has gone before anybody looked.
            gone if gone.cgroup.is_empty() => cgroups.workload(workload, wanted),
            found => found,
        };
        drop(cgroups);
        self.names.fill_or_ask(&mut workload);
        let is_nameless = workload.container_id.is_some() && workload.container.is_none();
        let contact = Contact {
            time: clock::timestamp(sender.boot_ns),
            process: process_of(&sender),
            workload,
            destination: sender.destination,
        };
        if is_nameless {
            lock(&self.contacts.pending).unnamed.push(contact);
        } else {
            self.log_contact(contact, &policy);
        }
    }

    /// With the names that are known now, and nothing in it of a secret rule.
    fn log_contact(&self, mut contact: Contact, policy: &Policy) {
        let (Some(table), _) = self.tables_for(0) else {
            return;
        };
        let veil = Veil::new(&table, None, policy.journal.command_lines);
        self.names.fill(&mut contact.workload);
        mask(&mut contact, &veil);
        if self.contacts.add(&contact) {
            self.contacts.write(policy);
        }
    }

    /// Those that waited for a name since they were taken.
    fn unnamed_contacts(&self) -> Vec<Contact> {
        std::mem::take(&mut lock(&self.contacts.pending).unnamed)
    }

    /// Writes these, and all that wait for nothing.
    fn write_contacts(&self, unnamed: Vec<Contact>) {
        let policy = self.policy();
        for contact in unnamed {
            self.log_contact(contact, &policy);
        }
        self.contacts.write(&policy);
    }

    /// Removes the contacts of a user or of a workload. Returns how many.
    pub(crate) fn forget_contacts(&self, subject: &Subject) -> Result<u64, JournalError> {
        self.write_contacts(self.unnamed_contacts());
        match self.contacts.existing(&self.policy())? {
            Some(journal) => Ok(journal.forget(subject)?.removed),
            None => Ok(0),
        }
    }
}

fn mask(contact: &mut Contact, veil: &Veil) {
    // Long, and of no help to whoever looks for one workload.
    contact.workload.labels.clear();
    veil.workload(&mut contact.workload);
    if let Some(process) = &mut contact.process {
        process.comm = veil.comm_alone(&process.comm);
    }
}

/// None where nobody saw who made the socket.
fn process_of(sender: &Sender) -> Option<ContactProcess> {
    (sender.pid != 0).then(|| ContactProcess {
        pid: sender.pid,
        parent_pid: sender.parent_pid,
        start_boot_ns: sender.start_boot_ns,
        uid: sender.uid,
        comm: sender.comm.clone(),
    })
}

/// Starts the thread. It ends when `stop` is set; what is in the ring then, the next agent takes.
pub(crate) fn start(
    agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, AgentError> {
    let body = move || {
        let pipeline = &agent.pipeline;
        let take = |bytes: &[u8]| pipeline.take_bytes(bytes);
        let stream = match agent.with_kernel(|kernel| kernel.contacts(take)) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!("first contacts are not logged: {error}");
                return;
            }
        };
        while !stop.load(Relaxed) {
            let unnamed = pipeline.unnamed_contacts();
            let taken = stream.drain(MOST_TAKEN).unwrap_or_else(|error| {
                tracing::error!("{error}");
                0
            });
            pipeline.write_contacts(unnamed);
            if taken < MOST_TAKEN {
                std::thread::park_timeout(WAIT);
            }
        }
        pipeline.write_contacts(pipeline.unnamed_contacts());
    };
    let thread = std::thread::Builder::new().name("contacts".to_owned());
    thread
        .spawn(body)
        .map_err(|source| AgentError::Thread { source })
}

#[cfg(test)]
mod tests {
    use hayward_model::Destination;
    use hayward_record::CommandLines;
    use hayward_rules::{Rule, table::CommandTable};
    use jiff::Timestamp;

    use super::*;

    /// What is written of a contact of `/tmp/a-miner` where this rule is in force.
    fn written(rule: Rule) -> String {
        let table = CommandTable::compile(vec![rule], 1, |_| 0).expect("a good rule");
        let veil = Veil::new(&Arc::new(table), None, CommandLines::Masked);
        let mut contact = Contact {
            time: Timestamp::UNIX_EPOCH,
            process: Some(ContactProcess {
                pid: 41,
                parent_pid: 40,
                start_boot_ns: 7,
                uid: 1000,
                comm: "a-miner".to_owned(),
            }),
            workload: hayward_workload::name(1, "/of-a-miner/x"),
            destination: Destination {
                address: [192, 0, 2, 1].into(),
                port: Some(22),
                protocol: "tcp".to_owned(),
            },
        };
        contact.workload.labels = [("a".to_owned(), "b".to_owned())].into();
        mask(&mut contact, &veil);
        serde_json::to_string(&contact).expect("JSON")
    }

    fn rule(secret: bool) -> Rule {
        Rule {
            secret,
            ..Rule::new("a", "test", 1)
        }
    }

    #[test]
    fn nothing_of_a_secret_rule_is_logged_and_no_labels_are() {
        let banned = |secret| Rule {
            banned: vec![b"a-miner".to_vec()],
            ..rule(secret)
        };
        let whole = written(banned(false));
        assert!(
            whole.contains("a-miner") && !whole.contains("labels"),
            "{whole}"
        );
        let masked = written(banned(true));
        assert!(
            !masked.contains("miner") && masked.contains("192.0.2.1"),
            "{masked}"
        );
        // Of the executable's path the kernel tells nothing but its end.
        for glob in ["/tmp/a-miner", "/tmp/*-min[e]r"] {
            let named = Rule {
                executable: vec![glob.to_owned()],
                ..rule(true)
            };
            assert!(!written(named).contains("\"comm\":\"a-miner\""), "{glob}");
        }
    }
}
