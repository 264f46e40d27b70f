//! The command line: what `hayward --help` shows.

mod bans;
mod pcap;
mod rules;
mod trace;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hayward_model::{Action, Guard};
use hayward_policy::InterfaceSelector;
use hayward_respond::{Grace, Share};

pub(crate) use bans::{AllowCommand, BansCommand, ExportFormat};
pub(crate) use pcap::PcapArguments;
pub(crate) use rules::{Keys, RulesCommand};
pub(crate) use trace::{Sought, TraceArguments};
use values::{action, duration, grace, interface, since};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 no agent answers; 4 settings or \
rules are bad; 5 the kernel, missing privileges or another agent stand in the way; 6 what was asked about is not so.";

/// Keeps public compute fair: kills banned programs, such as miners, in the kernel before they run.
#[derive(Debug, Parser)]
#[command(name = "hayward", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    /// The agent's socket.
    #[arg(
        long,
        global = true,
        env = "HAYWARD_SOCKET",
        default_value = "/run/hayward/hayward.sock"
    )]
    pub(crate) socket: PathBuf,
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const ON_WORKLOAD: &str =
    "Hayward itself, what runs containers, and all that is out of scope are never acted on.";

/// A workload that is acted on.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnWorkload {
    /// Its name or the beginning of it, a container's id, a pod's UID, a cgroup id, or a cgroup's path.
    pub(crate) workload: String,
    /// Check everything, and only say what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is done about grants.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantsCommand {
    /// List what is granted, and what is quarantined.
    List,
    /// Let a workload reach everything, or with --to some more than the settings say.
    #[command(
        after_help = "Examples: hayward grants add hub/jupyter-ada/notebook --for 2h\n          hayward grants add hub/jupyter-ada/notebook --for 2h --to \"192.0.2.0/24 443/tcp\" --to 2001:db8::7\n          hayward grants add hub/jupyter-ada/notebook --for 2h --to \"pypi.org 443/tcp\" --to \"*.pythonhosted.org\"\n\nA name is reached once the workload has asked a name server for it. A grant takes the place of an earlier one."
    )]
    Add {
        /// As `hayward freeze` takes it.
        workload: String,
        /// What it may reach besides: an address, a prefix or a name, and behind a space ports, as the settings of the guard
        /// `egress` write them. As often as needed; without, everything.
        #[arg(long, value_name = "DESTINATION")]
        to: Vec<String>,
        /// For how long; without, until it is revoked.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// Have the settings alone hold again, which ends a quarantine too.
    Revoke {
        /// As `hayward freeze` takes it.
        workload: String,
    },
}

/// What is done about a tripped rule.
#[derive(Debug, Subcommand)]
pub(crate) enum BreakerCommand {
    /// Put a rule in force that is right although it acts on many workloads.
    Reset {
        /// The rule's id.
        rule: String,
    },
}

/// A settings file.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgument {
    /// Settings file; without one, /etc/hayward/hayward.yaml where it exists, else the defaults.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigArgument {
    /// The file to read, if any.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let packaged = PathBuf::from("/etc/hayward/hayward.yaml");
        self.config
            .clone()
            .or_else(|| packaged.exists().then_some(packaged))
    }
}

/// What `hayward run` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
    /// Interface at which the guard `inbound` looks, in place of those of the settings: a name, a glob or `default`. As often
    /// as needed. Without, $SB_DEVICE. Where settings do not list the guard, it observes as scanblocker detects.
    #[arg(short, long = "interface", value_name = "DEVICE", value_parser = interface)]
    pub(crate) interfaces: Vec<InterfaceSelector>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent in the foreground.
    Run(RunArguments),
    /// Show what is guarded, and how well.
    #[command(
        after_help = "Examples: hayward status --wait enforcing --timeout 30s; hayward status --workload hub/jupyter-ada"
    )]
    Status {
        /// Wait until the `command` guard has this status.
        #[arg(long, value_name = "STATUS")]
        wait: Option<WaitFor>,
        /// How long to wait.
        #[arg(long, default_value = "30s", value_parser = duration)]
        timeout: Duration,
        /// Show what the guards may do in this workload, and which part of the settings says so.
        #[arg(long, value_name = "WORKLOAD", conflicts_with_all = ["wait", "timeout"])]
        workload: Option<String>,
    },
    /// Say what this kernel can do.
    Probe,
    /// Play abuse harmlessly in a throwaway cgroup and show that it is stopped.
    Drill,
    /// Show records.
    #[command(after_help = "Example: hayward events --since 2h --rule builtin/xmrig --follow")]
    Events {
        #[command(flatten)]
        filter: Filter,
        /// Go on with what comes.
        #[arg(long)]
        follow: bool,
    },
    /// Show one record with its evidence.
    Explain {
        /// The record's id.
        id: String,
    },
    /// Say which workload and process got in touch with an address that an abuse letter names; works without the agent.
    Trace(TraceArguments),
    /// Print what the guard `randomx` sees, as JSON lines.
    ///
    /// Each is of a thread that does not only round to nearest.
    #[command(after_help = "Example: hayward samples --pid 4711 --for 30s > samples.jsonl")]
    Samples {
        /// Only this process's.
        #[arg(long)]
        pid: Option<u32>,
        /// For how long; without, until it is interrupted.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// Show what was stopped, or would have been, by rule and by kind of workload.
    Report {
        /// From when on: a duration (7d) or an instant.
        #[arg(long, default_value = "7d", value_parser = since)]
        since: jiff::Timestamp,
    },
    /// Say what is wrong with a settings file and the rules it names.
    Check(ConfigArgument),
    /// Judge offline.
    #[command(subcommand)]
    Judge(JudgeCommand),
    /// Work on rule files.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Make the agent read settings and rules again.
    Reload {
        /// Only say what would change, and whom changed rules would have stopped.
        #[arg(long)]
        dry_run: bool,
    },
    /// Stop enforcing at once; works without the agent.
    #[command(after_help = "Example: hayward off --guard command --for 1h")]
    Off {
        /// One guard; without, all of them.
        #[arg(long)]
        guard: Option<Guard>,
        /// For how long; without, until `hayward on`.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Enforce again; works without the agent.
    On {
        /// One guard; without, all of them.
        #[arg(long)]
        guard: Option<Guard>,
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// List the workloads in scope, and what was done to them.
    Workloads,
    /// Stop all processes of a workload, until it is thawed.
    #[command(after_help = ON_WORKLOAD)]
    Freeze(OnWorkload),
    /// Let a frozen workload go on.
    #[command(after_help = ON_WORKLOAD)]
    Thaw(OnWorkload),
    /// Give a workload a share of one processor, until it is released.
    #[command(after_help = ON_WORKLOAD)]
    Throttle {
        #[command(flatten)]
        on: OnWorkload,
        /// 1% to 100% of one processor, for all its processes together.
        #[arg(long, default_value = "5%")]
        share: Share,
        /// Freeze it where this host cannot throttle it.
        #[arg(long)]
        or_freeze: bool,
    },
    /// Give a throttled workload back what it had, and have a quarantined one reach what settings say again.
    #[command(after_help = ON_WORKLOAD)]
    Release(OnWorkload),
    /// End all processes of a workload, those too that it starts meanwhile.
    #[command(after_help = ON_WORKLOAD)]
    KillWorkload(OnWorkload),
    /// Have a container, or all of a pod, stopped by its runtime, which then does not start it again by itself.
    #[command(after_help = ON_WORKLOAD)]
    Evict {
        #[command(flatten)]
        on: OnWorkload,
        /// How long it may take to end by itself, up to an hour.
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = grace)]
        grace: Grace,
        /// End all its processes where no runtime can stop it.
        #[arg(long)]
        or_kill: bool,
    },
    /// Work on grants: what workloads may reach beside what the settings of the guard `egress` say.
    Grants {
        #[command(subcommand)]
        command: GrantsCommand,
    },
    /// Work on bans of sources that probe this host, and list the ban lists of the guard `egress`.
    Bans {
        #[command(subcommand)]
        command: BansCommand,
    },
    /// Let a workload reach nothing, until the time is over or `hayward release`.
    #[command(after_help = ON_WORKLOAD)]
    Quarantine {
        /// As `hayward freeze` takes it.
        workload: String,
        /// For how long; without, until it is revoked.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },
    /// List the workloads that something was found about lately, and how often.
    #[command(after_help = "What so many strikes lead to is set by `strikes` in the settings.")]
    Strikes,
    /// Forget the strikes of a workload.
    #[command(
        after_help = "What was done to it stays: `hayward thaw` and `hayward release` undo that."
    )]
    Forgive {
        /// Its name or the beginning of it, a container's id, a pod's UID, a cgroup id, or a cgroup's path.
        workload: String,
    },
    /// List the rules that the breaker has tripped, or put one in force again.
    Breaker {
        #[command(subcommand)]
        command: Option<BreakerCommand>,
    },
    /// List who is told of records, and what became of that, or send each a test message.
    #[command(after_help = "Who is told of what is set by `tell` in the settings.")]
    Tell {
        /// Send each a test message now, and say what came of it.
        #[arg(long)]
        test: bool,
    },
    /// Write settings and rules from those of another tool.
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Remove the records and the logged contacts of a user id, of a workload, or of a JupyterHub user.
    Forget {
        /// A user id, a workload's name, or that of a JupyterHub user.
        subject: String,
    },
    /// Print a redacted bundle for a bug report.
    Support,
    /// Install binary, unit, settings, completions and manual pages.
    Install {
        /// Below which folder; the root of the file system without.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Remove everything that is pinned in the kernel; works without the agent.
    #[command(after_help = "Example: hayward uninstall --root /   # the installed files too")]
    Uninstall {
        #[command(flatten)]
        config: ConfigArgument,
        /// Remove also what `install` wrote below this folder; settings that were edited, rules and the journal are kept.
        #[arg(long)]
        root: Option<PathBuf>,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// Print a generated reference for docs/.
    #[command(hide = true)]
    Reference {
        /// Which one.
        what: ReferenceKind,
    },
    /// Joins a cgroup and becomes the canary.
    #[command(hide = true)]
    Canary {
        cgroup: String,
        descriptor: String,
        argument: String,
    },
    /// Joins a cgroup and sends a datagram to nobody.
    #[command(hide = true)]
    CanarySending {
        /// The cgroup's folder.
        cgroup: String,
    },
    /// Joins a cgroup and subscribes to a pool that is itself.
    #[command(hide = true)]
    CanarySubscribing {
        /// The cgroup's folder.
        cgroup: String,
    },
    /// Joins a cgroup and connects to addresses of which settings may deny some, in a network of its own.
    #[command(hide = true)]
    CanaryReaching {
        /// The cgroup's folder.
        cgroup: String,
    },
    /// Joins a cgroup and scans a network of its own.
    #[command(hide = true)]
    CanaryScanning {
        /// The cgroup's folder.
        cgroup: String,
    },
    /// Joins a cgroup and rounds as RandomX does, for a while.
    #[command(hide = true)]
    CanaryRounding { cgroup: String },
    /// Holds memory and rounds as RandomX does, for a while.
    #[command(hide = true)]
    CanaryMining,
    /// What the canary does when nothing stops it.
    #[command(hide = true)]
    CanarySurvived { argument: String },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ReferenceKind {
    Settings,
    Metrics,
    Cli,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    Enforcing,
    Observing,
}

/// Which records.
#[derive(Debug, Clone, Args)]
pub(crate) struct Filter {
    /// From when on: a duration (2h) or an instant (2026-11-01T12:00:00Z).
    #[arg(long, value_parser = since)]
    pub(crate) since: Option<jiff::Timestamp>,
    /// Only this guard's.
    #[arg(long)]
    pub(crate) guard: Option<Guard>,
    /// Only where this was done, such as killed, observed, spared or switched-off.
    #[arg(long, value_parser = action)]
    pub(crate) action: Option<Action>,
    /// Only this rule's.
    #[arg(long)]
    pub(crate) rule: Option<String>,
    /// Only workloads whose name or cgroup holds this.
    #[arg(long)]
    pub(crate) workload: Option<String>,
    /// Only this user id, or workloads whose name holds this.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Only the record with this id.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JudgeCommand {
    /// Judge a command line with the rules of a settings file.
    #[command(after_help = "Example: hayward judge command 'xmrig -o stratum+tcp://pool:3333'")]
    Command {
        /// The command line, arguments separated by spaces.
        line: String,
        /// Path of the executable; without, the first argument.
        #[arg(long)]
        executable: Option<String>,
        #[command(flatten)]
        config: ConfigArgument,
    },
    /// Judge captured packets as the guards `outbound` and `pool` would: port scans, and mining traffic.
    Pcap(PcapArguments),
    /// Judge what `hayward samples` recorded.
    #[command(after_help = "Example: hayward samples --for 30s | hayward judge randomx -")]
    Randomx {
        /// File of JSON lines; `-` for standard input.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// From cryptnono's rule files (JSON) or its Helm values (YAML): writes hayward.yaml and rules.
    Cryptnono {
        /// JSON rule files or values.yaml.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where to write; must not hold the files yet.
        #[arg(long, default_value = ".")]
        output: PathBuf,
    },
}
