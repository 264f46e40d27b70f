//! A cgroup of the benchmark's own with an agent that has 30,000 banned strings, and helpers that run in it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use hayward_kernel::{Kernel, KernelOptions, OutboundLimits, Variant};
use hayward_model::{Guard, ScopePolicy};
use hayward_tests::{Host, Start};
use serde::{Deserialize, Serialize};

use crate::{corpus, sample::Samples};

/// How many strings are banned.
pub(crate) const STRINGS: usize = 30_000;

/// A place without an agent yet.
pub(crate) fn host(binary: &Path) -> Host {
    let host = Host::with_binary(binary);
    host.write_rules(&corpus::rule_file(STRINGS));
    host
}

/// Settings as they are in production, scans of running processes included.
pub(crate) fn settings() -> Start {
    Start {
        command: "scan: 10s".to_owned(),
        ..Start::default()
    }
}

/// Starts the agent, and says how long it took until it told its service manager that it is ready.
pub(crate) fn start_and_wait(host: &mut Host) -> Result<Duration> {
    let path = host.path("notify");
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    host.write_settings(&settings());
    let began = Instant::now();
    host.spawn_with(&[("NOTIFY_SOCKET", path.as_os_str())]);
    let mut bytes = [0; 512];
    loop {
        let length = socket
            .recv(&mut bytes)
            .with_context(|| format!("the agent never was ready: {}", host.log()))?;
        if String::from_utf8_lossy(&bytes[..length]).contains("READY=1") {
            break;
        }
    }
    let took = began.elapsed();
    let status = host.status()["guards"]["command"]["status"].clone();
    if status != "enforcing" {
        bail!("ready, but {status}");
    }
    Ok(took)
}

/// The kernel side alone, with 30,000 banned strings, not attached. `inside` is in scope.
pub(crate) fn kernel(host: &Host, policy: ScopePolicy, network: Vec<Guard>) -> Result<Kernel> {
    let options = KernelOptions {
        root: host.cgroup.clone(),
        network,
        outbound: OutboundLimits::DEFAULT,
        inbound: hayward_kernel::InboundLimits::DEFAULT,
        pins: host.pins.clone(),
        root_cgroup: fs::metadata(&host.cgroup)?.ino(),
        lease: Duration::from_secs(60),
        uid_min: None,
        users_policy: ScopePolicy::OUT,
        by_name: false,
        fileless_kill: false,
        unscanned_kill: false,
        filters: false,
        variants: Variant::ALL,
    };
    let kernel = Kernel::load(&options, corpus::table(STRINGS).words(), &[0])?;
    kernel.set_scope(fs::metadata(&host.inside)?.ino(), policy)?;
    Ok(kernel)
}

/// What `time` says with the guards' programs attached, against what it says without, in turns.
pub(crate) fn pairs(
    kernel: &mut Kernel,
    count: usize,
    time: impl FnMut() -> Result<f64>,
) -> Result<Samples> {
    let switch = |on| {
        Ok(if on {
            kernel.activate()
        } else {
            kernel.detach()
        }?)
    };
    in_turns(count, switch, time)
}

/// What `time` says while something is switched on, against what it says while it is off, in turns.
pub(crate) fn in_turns(
    count: usize,
    mut switch: impl FnMut(bool) -> Result<()>,
    mut time: impl FnMut() -> Result<f64>,
) -> Result<Samples> {
    let mut ratios = Vec::new();
    for pair in 0..count {
        // Which comes first changes, so that a drift of the machine counts for both.
        let mut times = [0.0; 2];
        for with in [pair % 2, 1 - pair % 2] {
            if with == 1 {
                switch(true)?;
            }
            times[with] = time()?;
            if with == 1 {
                switch(false)?;
            }
        }
        ratios.push(times[1] / times[0]);
    }
    Ok(Samples::new(ratios))
}

/// The smallest program there is, so that as little as possible hides what starting it costs.
pub(crate) fn smallest_program(host: &Host, narrow: bool) -> Result<PathBuf> {
    let path = host.path(if narrow { "writer32" } else { "writer64" });
    hayward_tests::write_program(&hayward_tests::writer(narrow), &path);
    Ok(path)
}

/// What a [`SpawnerProcess`] is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Batch {
    /// Programs to start.
    pub(crate) count: u32,
    /// Length of their command lines.
    pub(crate) bytes: usize,
    /// Whether caches are emptied between two starts.
    pub(crate) cold: bool,
    /// Starts a second; as fast as it goes where 0.
    pub(crate) rate: u32,
    /// Put first on the command line.
    pub(crate) word: String,
}

impl Batch {
    /// Programs with a harmless command line of 160 bytes, as fast as it goes.
    pub(crate) fn of(count: u32) -> Self {
        Self {
            count,
            bytes: 160,
            cold: false,
            rate: 0,
            word: String::new(),
        }
    }
}

/// A process in a cgroup that starts programs there when it is asked to.
#[derive(Debug)]
pub(crate) struct SpawnerProcess {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl SpawnerProcess {
    /// Starts it. It stays on one processor.
    pub(crate) fn start(cgroup: &Path, program: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("spawner")
            .arg(cgroup)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = child
            .stdin
            .take()
            .zip(child.stdout.take())
            .context("pipes")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Has it start programs; returns how long each took from start to end, in ns.
    pub(crate) fn run(&mut self, batch: &Batch) -> Result<Vec<f64>> {
        writeln!(self.input, "{}", serde_json::to_string(batch)?)?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).context("the spawner's answer")
    }
}

impl Drop for SpawnerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
