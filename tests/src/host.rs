//! The place itself.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use hayward_kernel::Pins;
use hayward_workload::cgroup2_mount;
use serde_json::Value;
use tempfile::TempDir;

use crate::sweep::{PREFIX, remove_cgroup, sweep};

/// What the rules of [`Host`] ban.
pub const BANNED: &str = "hayward-banned-sentinel";

/// How long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(20);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What a command of the built binary answered.
#[derive(Debug)]
pub struct Answer {
    /// Exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Answer {
    /// Its JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Its JSON lines.
    pub fn lines(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON lines"))
            .collect()
    }

    /// Itself, where it succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// What differs between tests.
#[derive(Debug, Clone)]
pub struct Start {
    /// The `command` guard's settings, as a YAML flow mapping without braces; `rules` is there already.
    pub command: String,
    /// Further settings, whole lines.
    pub settings: String,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            command: "scan: 0s".to_owned(),
            settings: String::new(),
        }
    }
}

/// A place of a test's own, and the agent in it.
#[derive(Debug)]
pub struct Host {
    /// The cgroup outside which nothing is acted on.
    pub cgroup: PathBuf,
    /// The cgroup in scope.
    pub inside: PathBuf,
    /// A cgroup that is out of scope.
    pub outside: PathBuf,
    /// Files of the test.
    pub folder: TempDir,
    /// Pins of the agent.
    pub pins: PathBuf,
    /// The agent, while one runs.
    pub agent: Option<Child>,
    name: String,
    settings: PathBuf,
    binary: PathBuf,
}

impl Host {
    /// Makes the place. Its rules ban [`BANNED`], spared by `--help`.
    pub fn new() -> Self {
        Self::with_binary(&binary())
    }

    /// The same, with a binary that is not the tests' own.
    pub fn with_binary(binary: &Path) -> Self {
        let mounts = fs::read("/proc/mounts").expect("/proc/mounts");
        let mount = cgroup2_mount(&mounts).expect("a cgroup2 mount");
        sweep(&mount, Path::new("/sys/fs/bpf"));
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let cgroup = mount.join(&name);
        let (inside, outside) = (cgroup.join("inside"), cgroup.join("outside"));
        for path in [&cgroup, &inside, &outside] {
            fs::create_dir(path).expect("a cgroup of the test's own; tests run as root");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let host = Self {
            pins: Path::new("/sys/fs/bpf").join(&name),
            settings: folder.path().join("hayward.yaml"),
            agent: None,
            cgroup,
            inside,
            outside,
            folder,
            name,
            binary: binary.to_owned(),
        };
        host.write_rules(&format!(
            "allow: ['.* --help']\nrules:\n  - {{id: test/banned, banned: [{BANNED}], reason: a test}}\n"
        ));
        host.write_settings(&Start::default());
        host
    }

    /// A path in the folder of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the rules.
    pub fn write_rules(&self, text: &str) {
        fs::write(self.path("rules.yaml"), text).expect("rules");
    }

    /// Replaces the settings.
    pub fn write_settings(&self, start: &Start) {
        let folder = self.folder.path().display();
        let text = format!(
            "cgroup_root: /{name}\nlease: 60s\npins: {pins}\nscope: {{include: [/{name}/inside, containers]}}\n\
             guards:\n  command: {{rules: [builtin, {folder}/rules.yaml], {command}}}\n\
             journal: {{path: {folder}/journal}}\nmetrics: {{listen: \"127.0.0.1:0\"}}\n\
             api: {{socket: {folder}/hayward.sock}}\nlog: {{format: json}}\n{settings}",
            name = self.name,
            pins = self.pins.display(),
            command = start.command,
            settings = start.settings,
        );
        fs::write(&self.settings, text).expect("settings");
    }

    /// Replaces a piece of the settings, which must be there.
    pub fn edit_settings(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.settings).expect("settings");
        assert!(text.contains(from), "{from} in {text}");
        fs::write(&self.settings, text.replace(from, to)).expect("settings");
    }

    /// Lists a guard in the settings, with its own: a YAML flow mapping.
    pub fn list_guard(&self, guard: &str, settings: &str) {
        self.edit_settings("guards:\n", &format!("guards:\n  {guard}: {settings}\n"));
    }

    /// A command of the built binary, which refuses to reach beyond the test.
    pub fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env("HAYWARD_TEST", "1")
            .env("HAYWARD_SOCKET", self.path("hayward.sock"))
            .env_remove("NOTIFY_SOCKET");
        command
    }

    /// Runs a subcommand to its end.
    pub fn hayward(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).output().expect("the built binary");
        Answer {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a subcommand that takes `--config`, with the settings of this place.
    pub fn configured(&self, arguments: &[&str]) -> Answer {
        let settings = self.settings.display().to_string();
        let mut all = arguments.to_vec();
        all.extend(["--config", settings.as_str()]);
        self.hayward(&all)
    }

    /// Starts the agent with these settings and waits until it says `enforcing`.
    #[must_use]
    pub fn start(self, start: &Start) -> Self {
        self.write_settings(start);
        self.running()
    }

    /// Starts the agent with the settings as they are and waits until it says `enforcing`.
    #[must_use]
    pub fn running(mut self) -> Self {
        self.spawn();
        self.hayward(&["status", "--wait", "enforcing", "--timeout", "20s"])
            .ok();
        self
    }

    /// Starts the agent with a guard beside its settings, and waits until that is proven.
    #[must_use]
    pub fn guarding(mut self, guard: &str, settings: &str) -> Self {
        self.list_guard(guard, settings);
        self.spawn();
        self.wait_for_proof(guard);
        self
    }

    /// Waits until a guard is proven.
    pub fn wait_for_proof(&self, guard: &str) {
        self.wait_until("a proven guard", || {
            let status = self.hayward(&["status", "--json"]);
            status.code == 0 && status.json()["guards"][guard]["status"] != "degraded"
        });
    }

    /// Starts the agent and does not wait.
    pub fn spawn(&mut self) {
        self.launch(&[], &[]);
    }

    /// Starts the agent by a launcher that becomes it, such as `setpriv ...`, and does not wait.
    pub fn spawn_by(&mut self, launcher: &[&str]) {
        self.launch(launcher, &[]);
    }

    /// Starts the agent with further environment variables and does not wait.
    pub fn spawn_with(&mut self, variables: &[(&str, &OsStr)]) {
        self.launch(&[], variables);
    }

    fn launch(&mut self, launcher: &[&str], variables: &[(&str, &OsStr)]) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log");
        let output = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("output"))
            .expect("a file");
        let run = self.command(&["run", "--config"]);
        let mut command = match launcher.split_first() {
            None => run,
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .arg(run.get_program())
                    .args(run.get_args());
                for (name, value) in run.get_envs() {
                    match value {
                        Some(value) => command.env(name, value),
                        None => command.env_remove(name),
                    };
                }
                command
            }
        };
        let agent = command
            .arg(&self.settings)
            .envs(variables.iter().copied())
            .stdout(output)
            .stderr(log)
            .spawn()
            .expect("the built binary");
        self.agent = Some(agent);
    }

    /// Everything the agents of this place have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Everything they have written to standard output.
    pub fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    /// `kill -9` of the agent.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// From now on nobody reads events.
    pub fn pause_agent(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// The agent goes on.
    pub fn resume_agent(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let agent = self.agent.as_ref().expect("an agent");
        let pid = rustix::process::Pid::from_child(agent);
        rustix::process::kill_process(pid, signal).expect("our own agent");
    }

    /// SIGTERM, and waits for its end.
    pub fn stop_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let pid = i32::try_from(agent.id()).ok();
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _ = agent.wait();
        }
    }

    /// `hayward status --json`.
    pub fn status(&self) -> Value {
        self.hayward(&["status", "--json"]).ok().json()
    }

    /// A counter of the kernel, by its name in the status.
    pub fn counter(&self, name: &str) -> u64 {
        self.status()["guards"]["command"]["counters"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// Records with this action, oldest first.
    pub fn records(&self, action: &str) -> Vec<Value> {
        let mut records = self
            .hayward(&["events", "--json", "--limit", "1000000"])
            .ok()
            .lines();
        records.retain(|record| record["action"] == action);
        records
    }

    /// Waits until there are `count` records with this action.
    pub fn wait_for_records(&self, action: &str, count: usize) -> Vec<Value> {
        let mut records = Vec::new();
        self.wait_until(&format!("{count} records `{action}`"), || {
            records = self.records(action);
            records.len() >= count
        });
        records
    }

    /// Waits until something is so.
    pub fn wait_until(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.wait_for(PATIENCE, what, is_so);
    }

    /// The same of what takes its time.
    pub fn wait_for(&self, patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + patience;
        while !is_so() {
            assert!(
                Instant::now() < deadline,
                "never came to {what}; the log: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        let listen = self.status()["metrics"]["listen"]
            .as_str()
            .map(str::to_owned);
        get(&listen.expect("metrics are served"), "/metrics")
    }

    /// One series of the metrics page; 0 where it is not there yet.
    pub fn series(&self, name: &str) -> u64 {
        let page = self.metrics();
        let value = page.lines().find_map(|line| line.strip_prefix(name));
        value.map_or(0, |value| value.trim().parse().expect("a number"))
    }

    /// A file that a program which runs will make.
    pub fn marker(&self) -> PathBuf {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.path(&format!("ran-{number}"))
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_agent();
        let _ = hayward_kernel::uninstall(&Pins::new(&self.pins));
        remove_cgroup(&self.cgroup);
    }
}

/// The body of a page.
pub fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("a listening server");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default()
}

/// `$HAYWARD_BINARY`, or what cargo built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("HAYWARD_BINARY") {
        return path.into();
    }
    let test = std::env::current_exe().expect("this test");
    let built = test.ancestors().nth(2).map(|folder| folder.join("hayward"));
    built
        .filter(|path| path.exists())
        .expect("build the binary first (cargo build -p hayward), or name it in HAYWARD_BINARY")
}
