//! Bringing everything into place. Whatever can fail fails here, before anything is said to be ready.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hayward_kernel::{
    Kernel, KernelError, KernelOptions, Pins, missing_privileges, require_privileges, size_class,
};
use hayward_model::{Action, Guard, GuardStatus, Record};
use hayward_policy::Policy;
use hayward_record::{JournalOptions, Metrics, Query, Recorder};
use hayward_respond::Restrictions;
use hayward_rules::{BanList, table::CommandTable};
use hayward_tell::{Tell, prepare};
use hayward_workload::{Cgroups, cgroup2_mount};
use jiff::Timestamp;

use crate::{
    AgentError,
    agent::Agent,
    answers::{self, Answers},
    bans::bans_of,
    breaker::Breaker,
    canary, clock, compat,
    compat::{Cryptnono, Scanblocker},
    contacts::{self, Contacts},
    egress, events,
    firewall::Changes,
    host_sockets,
    inbound::Inbound,
    kept::{Ended, Kept},
    ledger::Ledger,
    names::{self, Names},
    node::refuse_cutting_node,
    notice::Notices,
    options::{kernel_options, may_quarantine},
    pipeline::Pipeline,
    pool,
    prove::{UNSEEN, Unproven},
    rules::{Tables, canary_rule, first_generation, rules_of},
    scan::ScanCost,
    sensor, sightings,
    strikes::Strikes,
    watch::{self, Stamps, Watch},
};

/// Longest time between two signs of life, however long the lease.
const SLOWEST_BEAT: Duration = Duration::from_secs(15);

/// A started agent with its threads.
pub struct Running {
    /// The agent.
    pub agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// The thread that completes records, which ends when the others make none any more.
    names: JoinHandle<()>,
    /// The thread that answers workloads, the last to end.
    answers: JoinHandle<()>,
}

impl Running {
    /// Ends the threads and says so in the journal. What is pinned stays in force.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<()>| {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of the agent had panicked");
            }
        };
        self.threads.into_iter().for_each(join);
        self.agent.pipeline.names.stop();
        join(self.names);
        self.agent.pipeline.answers.stop();
        join(self.answers);
        let detail = "enforcement goes on without the agent, until the lease runs out".to_owned();
        self.agent.record_act(Action::Stopped, None, None, detail);
        self.agent.tell.stop();
    }
}

impl Agent {
    /// Starts an agent with a policy read from `settings_file` (none: the defaults).
    pub fn start(policy: Policy, settings_file: Option<PathBuf>) -> Result<Running, AgentError> {
        require_privileges()?;
        let missing_privileges = missing_privileges();
        for problem in &missing_privileges {
            tracing::warn!("{problem}");
        }
        let mounts = fs::read("/proc/mounts").unwrap_or_default();
        let mount = cgroup2_mount(&mounts).ok_or(AgentError::NoCgroup2)?;
        let root = mount.join(policy.cgroup_root.trim_start_matches('/'));
        fs::metadata(&root).map_err(|source| AgentError::CgroupRoot {
            path: policy.cgroup_root.clone(),
            mount: mount.clone(),
            source,
        })?;
        let canary_argument = canary::banned_argument();
        let generation = first_generation();
        let watch = Watch::since(Stamps::take(settings_file.as_deref(), &policy));
        let (mut notices, table) = compile(&policy, &canary_argument, generation)?;
        let bans = bans_of(&policy)?;
        notices.extend(refuse_cutting_node(&policy, &bans)?);
        let cryptnono = policy
            .compat_cryptnono
            .map(|_| Arc::new(Cryptnono::default()));
        let scanblocker = policy
            .compat_scanblocker
            .map(|_| Arc::new(Scanblocker::default()));
        let appended = tokio::sync::watch::Sender::new(());
        let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), ""));
        let recorder = open_recorder(&policy, metrics.clone())?;
        let tell = Tell::start(prepare(&policy.tell)?, metrics);
        let tell = Arc::new(tell.map_err(|source| AgentError::Thread { source })?);
        let recorder = pass_on(
            recorder,
            appended.clone(),
            cryptnono.clone(),
            scanblocker.is_some(),
            tell.clone(),
        );
        let left = Kept::beside(&policy.journal.path).left(&recorder.reader());
        let ended_before = Ended::of(&recorder.reader(), &left);
        let mut strikes = Strikes::default();
        let recent = Query {
            since: Some(strikes_since(&policy)),
            ..Query::default()
        };
        if let Ok(records) = recorder.reader().query(recent) {
            let records = records.filter_map(Result::ok).chain(left.iter().cloned());
            strikes.restore(records, &policy.strikes);
        }
        let (restrictions, problem) = Restrictions::open(&policy.journal.path);
        notices.extend(problem);
        let (ledger, problem) = Ledger::beside(&policy.journal.path);
        notices.extend(problem);
        let (mut breaker, problem) = Breaker::open(&policy.journal.path);
        notices.extend(problem);
        let names = Names::keeping_records_beside(&policy.journal.path);
        let contacts = Contacts::below(&policy.journal.path, &mount);
        let policy = egress::number(policy)?;
        let judges = may_quarantine(&policy, &table) || restrictions.quarantine_any();
        let options = KernelOptions {
            network: Guard::ALL
                .into_iter()
                .filter(|guard| policy.lists(*guard) || (*guard == Guard::Egress && judges))
                .collect(),
            ..kernel_options(&policy, &root)
        };
        let (kernel, unproven) = load_kernel(&options, &policy, &table)?;
        if kernel.is_some() {
            breaker.attach(&Pins::new(&policy.pins));
        }
        breaker.prepare(&table, &policy.breaker);
        let adopted = kernel.as_ref().is_some_and(Kernel::adopted);
        let agent = Arc::new(Agent {
            pipeline: Pipeline {
                policy: RwLock::new(Arc::new(policy)),
                tables: RwLock::new(Tables::new(table)),
                cgroups: Mutex::new(Cgroups::new(mount.clone())),
                names,
                breaker: Mutex::new(breaker),
                strikes: Mutex::new(strikes),
                answers: Answers::default(),
                notices: Notices::default(),
                recorder,
                randomx: Mutex::default(),
                found_miner: AtomicBool::new(false),
                rounding_canary: AtomicU64::new(0),
                egress_canary: AtomicU64::new(0),
                outbound_canary: AtomicU64::new(0),
                pool_canary: AtomicU64::new(0),
                pool_refusals: Mutex::default(),
                refusals: Mutex::default(),
                inbound: Inbound::default(),
                firewall: Changes::default(),
                contacts,
                bans: Mutex::default(),
                ledger,
                ended_before,
                seen: Mutex::default(),
                canaries: AtomicU64::new(0),
                sightings: sightings::channel(),
                undecodable: AtomicU64::new(0),
            },
            kernel: Mutex::new(kernel),
            settings_file,
            canary_argument,
            generation: AtomicU32::new(generation),
            mount,
            root,
            scoped: RwLock::new(Vec::new()),
            restrictions: Mutex::new(restrictions),
            scan_cost: Mutex::new(ScanCost::default()),
            unproven: Mutex::new(unproven),
            listening: Mutex::default(),
            not_listening: Mutex::default(),
            missing_privileges,
            cryptnono,
            scanblocker,
            watch: Mutex::new(watch),
            tell,
            reloading: Mutex::new(()),
            appended,
            started: Instant::now(),
            adopted,
            notices: Mutex::new(notices),
            frames_unseen: Mutex::default(),
            packet_sockets: Mutex::default(),
        });
        agent.bring_into_force(left, &bans)
    }

    fn bring_into_force(
        self: Arc<Self>,
        left: Vec<Record>,
        bans: &[BanList],
    ) -> Result<Running, AgentError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let names = names::start(self.clone())?;
        let answers = answers::start(self.clone())?;
        for record in left {
            self.pipeline.take_left(record);
        }
        let loaded = self.kernel.lock().is_ok_and(|kernel| kernel.is_some());
        if loaded {
            self.tell_what_happened_meanwhile();
            egress::write_lists(&self.policy())?;
            pool::write_domains(&self.policy())?;
            self.put_bans_in_force(&self.policy(), bans)?;
            threads.extend(self.watch_veths(&stop)?);
            self.with_kernel(Kernel::activate)?;
            self.enter_existing_cgroups();
            self.forget_old_lists();
            self.weigh_contacts();
            threads.extend(self.keep_bans(&stop)?);
            threads.push(events::start(self.clone(), stop.clone())?);
            if self.policy().lists(Guard::Outbound) && self.carries(Guard::Outbound) {
                threads.push(contacts::start(self.clone(), stop.clone())?);
                threads.push(self.clone().every(
                    host_sockets::INTERVAL,
                    &stop,
                    "packet-sockets",
                    Agent::look_for_packet_sockets,
                )?);
            }
            threads.extend(self.start_inbound(&stop)?);
            for guard in Guard::ALL {
                self.prove(guard);
            }
            threads.push(self.clone().every(
                beat_interval(&self.policy()),
                &stop,
                "beat",
                Agent::beat,
            )?);
            let scan = self.policy().command.scan;
            if !scan.is_zero() {
                threads.push(self.clone().every(scan, &stop, "scan", Agent::scan)?);
            }
            if self.carries(Guard::Randomx) {
                threads.push(sensor::start(self.clone(), stop.clone())?);
            }
        }
        threads.push(
            self.clone()
                .every(watch::INTERVAL, &stop, "watch", Agent::watch)?,
        );
        let detail = if self.adopted {
            "programs of an earlier agent were taken over"
        } else {
            ""
        };
        self.record_act(Action::Started, None, None, detail.to_owned());
        self.refresh_metrics();
        hayward_kernel::release_unused_memory();
        Ok(Running {
            agent: self,
            stop,
            threads,
            names,
            answers,
        })
    }

    /// What the kernel counted while no agent looked.
    fn tell_what_happened_meanwhile(&self) {
        if !self.adopted {
            return;
        }
        if let Ok(counters) = self.with_kernel(|kernel| kernel.counters()) {
            let notice = format!(
                "taken over from an earlier agent; since its programs were first pinned: {} judged, {} killed, {} spared, {} observed, {} events lost",
                counters.checked,
                counters.killed,
                counters.spared,
                counters.observed,
                counters.lost_ring_full
            );
            tracing::info!("{notice}");
            if let Ok(mut notices) = self.notices.lock() {
                notices.push(notice);
            }
        }
    }

    /// Does something at once, and then again and again, on a thread of its own until `stop` is set.
    pub(crate) fn every(
        self: Arc<Self>,
        interval: Duration,
        stop: &Arc<AtomicBool>,
        name: &str,
        mut act: impl FnMut(&Agent) + Send + 'static,
    ) -> Result<JoinHandle<()>, AgentError> {
        let stop = stop.clone();
        let body = move || {
            while !stop.load(Ordering::Relaxed) {
                act(&self);
                let next = Instant::now() + interval;
                while !stop.load(Ordering::Relaxed) && Instant::now() < next {
                    std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
                }
            }
        };
        let builder = std::thread::Builder::new().name(name.to_owned());
        builder
            .spawn(body)
            .map_err(|source| AgentError::Thread { source })
    }
}

/// From when on records tell of strikes that count. Ids of cgroups are those of this boot.
fn strikes_since(policy: &Policy) -> Timestamp {
    let boot = clock::timestamp(0);
    let window = Timestamp::now().checked_sub(policy.strikes.window);
    window.map_or(boot, |since| since.max(boot))
}

fn beat_interval(policy: &Policy) -> Duration {
    if policy.lease.is_zero() {
        SLOWEST_BEAT
    } else {
        (policy.lease / 4).min(SLOWEST_BEAT)
    }
}

/// Reads and compiles the rules, the canary's behind them. Returns what operators should know, and the table.
pub(crate) fn compile(
    policy: &Policy,
    canary_argument: &str,
    generation: u32,
) -> Result<(Vec<String>, CommandTable), AgentError> {
    let set = rules_of(policy)?;
    let mut rules = set.rules;
    rules.push(canary_rule(canary_argument));
    let table = CommandTable::compile(rules, generation, clock::to_boot_ns)?;
    // Asked here, so that a dry run says it too.
    size_class(table.words().len() * 4)?;
    let notices = policy.warnings.iter().cloned().chain(set.notices);
    Ok((notices.collect(), table))
}

fn open_recorder(policy: &Policy, metrics: Arc<Metrics>) -> Result<Recorder, AgentError> {
    let options = JournalOptions {
        directory: policy.journal.path.clone(),
        keep: policy.journal.keep,
        max_bytes: policy.journal.max_bytes,
    };
    Ok(Recorder::open(options, metrics)?)
}

/// Who gets every record, beside journal, log and metrics.
fn pass_on(
    recorder: Recorder,
    appended: tokio::sync::watch::Sender<()>,
    cryptnono: Option<Arc<Cryptnono>>,
    scanblocker: bool,
    tell: Arc<Tell>,
) -> Recorder {
    let recorder = recorder
        .also(move |_| appended.send_modify(|()| {}))
        .also(move |record| tell.offer(record));
    let recorder = match cryptnono {
        Some(cryptnono) => recorder.also(move |record| cryptnono.record(record)),
        None => recorder,
    };
    if scanblocker {
        recorder.also(compat::tell_scan)
    } else {
        recorder
    }
}

/// A kernel that cannot carry a guard makes it absent, and the agent runs all the same: what is missing shows in the
/// status. What an operator can mend (a second agent, privileges, no bpffs) is an error.
fn load_kernel(
    options: &KernelOptions,
    policy: &Policy,
    table: &CommandTable,
) -> Result<(Option<Kernel>, Unproven), AgentError> {
    let scope = policy.scope_rules().table();
    let (kernel, failure) = match Kernel::load(options, table.words(), scope.words()) {
        Ok(kernel) => (Some(kernel), String::new()),
        Err(error @ (KernelError::Libbpf { .. } | KernelError::NoTypeInformation)) => {
            (None, error.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let unproven = Guard::ALL.map(|guard| {
        let failure = match &kernel {
            Some(kernel) => kernel.failure(guard).map(ToString::to_string),
            None => Some(failure.clone()),
        };
        let shortfall = match failure {
            Some(reason) => (GuardStatus::Absent, reason),
            None => (GuardStatus::Degraded, UNSEEN.to_owned()),
        };
        (guard, shortfall)
    });
    Ok((kernel, unproven.into()))
}
