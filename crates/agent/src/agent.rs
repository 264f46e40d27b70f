//! The running agent: what its threads share, and what operators can make it do.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, RwLock, atomic::AtomicU32},
    time::{Duration, Instant},
};

use hayward_kernel::{Kernel, KernelError};
use hayward_model::{Action, Actor, Guard, Record, Workload};
use hayward_policy::{Policy, SettingsError};
use hayward_record::{JournalError, id, journal::Subject};
use hayward_respond::Restrictions;
use hayward_rules::{RulesError, table::TableError};
use hayward_tell::{Tell, TellError};
use hayward_workload::own_cgroup;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    compat::{Cryptnono, Scanblocker},
    host_sockets,
    pipeline::Pipeline,
    prove::Unproven,
    scan::{self, ScanCost},
    scope as scopes,
    status::MetricsReport,
    watch::Watch,
};

/// Why the agent cannot start, or cannot do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The settings are bad.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The rules are bad.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The rules cannot be compiled.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Files of those who are told are bad.
    #[error(transparent)]
    Tell(#[from] TellError),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The cgroup root cannot be found.
    #[error("cannot use `cgroup_root: {path}`: {source}; it is a path below {mount}")]
    CgroupRoot {
        /// As settings have it.
        path: String,
        /// Where cgroup2 is mounted.
        mount: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No cgroup2.
    #[error(
        "no cgroup2 file system is mounted, by which processes are told apart: boot with systemd.unified_cgroup_hierarchy=1 where this host has cgroup v1, since containers that are in v1 alone could not be guarded; in a container, mount the host's /sys/fs/cgroup"
    )]
    NoCgroup2,
    /// A thread could not be started.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// The system's reason.
        source: std::io::Error,
    },
    /// A socket or port cannot be had.
    #[error("cannot listen on {address}: {source}; set `{key}` to another, or stop what uses it")]
    Listen {
        /// Path or address.
        address: String,
        /// The settings key.
        key: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgot {
    /// Records of the journal.
    pub removed: u64,
    /// Lines of the log of first contacts.
    #[serde(default)]
    pub contacts: u64,
}

/// The agent.
pub struct Agent {
    pub(crate) pipeline: Pipeline,
    pub(crate) kernel: Mutex<Option<Kernel>>,
    pub(crate) settings_file: Option<PathBuf>,
    pub(crate) canary_argument: String,
    pub(crate) generation: AtomicU32,
    pub(crate) mount: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) scoped: RwLock<Vec<(u64, PathBuf)>>,
    /// What was frozen and throttled.
    pub(crate) restrictions: Mutex<Restrictions>,
    pub(crate) scan_cost: Mutex<ScanCost>,
    /// Why guards are not in force, where they are not.
    pub(crate) unproven: Mutex<Unproven>,
    pub(crate) listening: Mutex<MetricsReport>,
    /// Why a socket or port is not served as settings want it, by what it is.
    pub(crate) not_listening: Mutex<BTreeMap<String, String>>,
    /// What it lacks and can do without.
    pub(crate) missing_privileges: Vec<String>,
    /// Under `compat: [cryptnono]`.
    pub(crate) cryptnono: Option<Arc<Cryptnono>>,
    /// Under `compat: [scanblocker]`.
    pub(crate) scanblocker: Option<Arc<Scanblocker>>,
    pub(crate) watch: Mutex<Watch>,
    /// Who is told of records.
    pub(crate) tell: Arc<Tell>,
    /// Held from reading files to putting them in force, so that what was read first is never put in force last.
    pub(crate) reloading: Mutex<()>,
    /// Changes with every record.
    pub(crate) appended: tokio::sync::watch::Sender<()>,
    pub(crate) started: Instant,
    pub(crate) adopted: bool,
    pub(crate) notices: Mutex<Vec<String>>,
    /// Why what packet sockets send is not judged somewhere, where it is not.
    pub(crate) frames_unseen: Mutex<Option<String>>,
    /// Packet sockets in the host's own network.
    pub(crate) packet_sockets: Mutex<host_sockets::Known>,
}

impl Agent {
    /// The policy in force.
    pub fn policy(&self) -> Arc<Policy> {
        self.pipeline
            .policy
            .read()
            .map_or_else(|e| e.into_inner().clone(), |p| p.clone())
    }

    pub(crate) fn with_kernel<T>(
        &self,
        act: impl FnOnce(&mut Kernel) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut kernel = self
            .kernel
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match kernel.as_mut() {
            Some(kernel) => act(kernel),
            None => Err(KernelError::NothingPinned {
                path: self.policy().pins.clone(),
            }),
        }
    }

    /// Switches a guard, or everything, off: for a time, or until it is switched on.
    pub fn off(
        &self,
        guard: Option<Guard>,
        time: Option<Duration>,
        actor: Actor,
    ) -> Result<(), AgentError> {
        self.with_kernel(|kernel| kernel.cells().off(guard, time))?;
        let detail = time.map_or("until switched on".to_owned(), |t| {
            format!("for {} s", t.as_secs())
        });
        self.record_act(Action::SwitchedOff, guard, Some(actor), detail);
        Ok(())
    }

    /// Switches a guard, or everything, on again.
    pub fn on(&self, guard: Option<Guard>, actor: Actor) -> Result<(), AgentError> {
        self.with_kernel(|kernel| kernel.cells().on(guard))?;
        self.prove_again();
        self.record_act(Action::SwitchedOn, guard, Some(actor), String::new());
        Ok(())
    }

    /// Removes the records and the logged contacts of a user (a number) or of a workload (its name).
    pub fn forget(&self, subject: &str, actor: Actor) -> Result<Forgot, AgentError> {
        let subject = Subject::from(subject);
        let journal = self.pipeline.recorder.journal()?;
        let removed = journal.forget(&subject)?.removed;
        let contacts = self.pipeline.forget_contacts(&subject)?;
        let detail = match contacts {
            0 => format!("{removed} records removed"),
            _ => format!("{removed} records and {contacts} contacts removed"),
        };
        self.record_act(Action::Forgot, None, Some(actor), detail);
        Ok(Forgot { removed, contacts })
    }

    /// Records something that concerns the whole agent.
    pub fn record_act(
        &self,
        action: Action,
        guard: Option<Guard>,
        actor: Option<Actor>,
        detail: String,
    ) {
        self.record_act_on(action, guard, actor, None, detail);
    }

    /// The same for an act on a workload.
    pub(crate) fn record_act_on(
        &self,
        action: Action,
        guard: Option<Guard>,
        actor: Option<Actor>,
        workload: Option<Workload>,
        detail: String,
    ) {
        self.pipeline.recorder.record(&Record {
            guard,
            workload,
            actor,
            detail: (!detail.is_empty()).then_some(detail),
            ..Self::new_record(action)
        });
    }

    /// A record of now, which says nothing but this.
    pub(crate) fn new_record(action: Action) -> Record {
        let time = Timestamp::now();
        Record::new(id::next(time), time, action)
    }

    /// Looks at the cgroups that exist and enters each under its policy.
    pub(crate) fn enter_existing_cgroups(&self) {
        let entered = self.with_kernel(|kernel| {
            let policy = self.policy();
            let (rules, names) = (policy.scope_rules(), &self.pipeline.names);
            let mut policy_of = |path: &str| scopes::decide(rules, names, path).policy;
            Ok(scopes::enter(
                kernel,
                &self.mount,
                &self.root,
                &mut policy_of,
            ))
        });
        if let (Ok(scoped), Ok(mut current)) = (entered, self.scoped.write()) {
            let below = |path: &PathBuf| {
                let below = path.strip_prefix(&self.mount).unwrap_or(path);
                format!("/{}", below.display())
            };
            let paths: Vec<String> = scoped.iter().map(|(_, path)| below(path)).collect();
            let wholes: HashSet<&str> = paths.iter().map(|path| own_cgroup(path)).collect();
            self.pipeline.breaker().set_live(wholes.len());
            *current = scoped;
        }
    }

    /// Scans the processes in scope once.
    pub(crate) fn scan(&self) {
        self.enter_existing_cgroups();
        let Ok(table) = self
            .pipeline
            .tables
            .read()
            .map(|tables| tables.current.clone())
        else {
            return;
        };
        let scoped = self
            .scoped
            .read()
            .map(|scoped| scoped.clone())
            .unwrap_or_default();
        let off = self.with_kernel(|kernel| kernel.cells().off_until(Guard::Command));
        if matches!(off, Ok(Some(_))) {
            return;
        }
        let mut cost = scan::scan(&self.pipeline, &table, &scoped);
        if let Ok(mut last) = self.scan_cost.lock() {
            cost.processes_ever = last.processes_ever + cost.processes;
            cost.scans = last.scans + 1;
            *last = cost;
        }
    }

    /// Says that the agent lives, and brings the metrics up to date.
    pub(crate) fn beat(&self) {
        if let Err(error) = self.with_kernel(|kernel| kernel.cells().beat()) {
            tracing::error!("the lease is not renewed: {error}");
        }
        if let Err(error) = self.with_kernel(|kernel| kernel.settle_contacts()) {
            tracing::error!("nobody looks whether contacts were met with silence: {error}");
        }
        self.prove_again();
        self.see_to_names();
        self.refresh_metrics();
        if let Err(error) = self.pipeline.recorder.tidy() {
            tracing::error!("the journal cannot be tidied: {error}");
        }
        if let Err(error) = self.pipeline.contacts.tidy(&self.policy()) {
            tracing::error!("the log of contacts cannot be tidied: {error}");
        }
    }
}
