//! Where a test's runtimes run: namespaces of processes, mounts and network of their own. When the first process of it
//! is killed, the kernel ends all others, daemons, shims and containers alike, and all mounts are gone.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use hayward_model::Workload;
use hayward_workload::{Cgroups, cgroup2_mount};
use tempfile::TempDir;

use super::wait_for;
use crate::{
    Host,
    sweep::{PREFIX, remove_cgroup},
};

/// The first process. Runtimes have paths in /run that no option changes: here they get one of their own. It waits for
/// all children, since those whose parents have ended become its own.
const FIRST: &str =
    r#"mount -t tmpfs tmpfs /run && touch "$0/ready" && while :; do sleep 3600 & wait; done"#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The place.
#[derive(Debug)]
pub struct Place {
    /// Files of the test, seen from within too.
    pub folder: TempDir,
    /// The cgroup that its containers are in, below the mount.
    pub cgroup: String,
    unshare: Child,
    first: u32,
    /// Where its processes are, unless they have a namespace of their own.
    daemons: Option<PathBuf>,
}

impl Place {
    /// Makes it.
    #[expect(clippy::new_without_default, reason = "it starts processes")]
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-runtimes-{number}", std::process::id());
        Self::with_cgroup(format!("/{name}"), true)
    }

    /// Makes it with the cgroup within that of an agent, which may act there. It must end before the agent's.
    pub fn of(host: &Host) -> Self {
        let above = host.cgroup.file_name().expect("a name").to_string_lossy();
        Self::with_cgroup(format!("/{above}/runtimes"), true)
    }

    /// The same among the host's processes: a container that gets the host's namespace of processes gets that. All that
    /// runs here is in cgroups of the test's, and ends with them.
    pub fn among_processes_of(host: &Host) -> Self {
        let above = host.cgroup.file_name().expect("a name").to_string_lossy();
        Self::with_cgroup(format!("/{above}/runtimes"), false)
    }

    fn with_cgroup(cgroup: String, own_processes: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let daemons = mount().join(&cgroup[1..]).join("daemons");
        let mut unshare = if own_processes {
            Command::new("setpriv")
        } else {
            fs::create_dir_all(&daemons).expect("a cgroup of the test's own");
            joining(&daemons, "setpriv")
        };
        unshare
            .args(["--pdeathsig", "KILL"])
            .args(["unshare", "--mount", "--net", "--ipc"]);
        if own_processes {
            unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        }
        let unshare = unshare
            .args(["sh", "-c", FIRST])
            .arg(folder.path())
            .spawn()
            .expect("setpriv and unshare");
        let ready = folder.path().join("ready");
        wait_for("namespaces", || ready.exists().then_some(()));
        let first = if own_processes {
            child_of(unshare.id()).expect("its first process")
        } else {
            unshare.id()
        };
        Self {
            folder,
            cgroup,
            unshare,
            first,
            daemons: (!own_processes).then_some(daemons),
        }
    }

    /// A path in the folder of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program to be run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.daemons {
            None => {
                let mut command = Command::new("nsenter");
                command.arg("--pid");
                command
            }
            Some(daemons) => joining(daemons, "nsenter"),
        };
        command
            .args(["--mount", "--net", "--ipc", "--target"])
            .arg(self.first.to_string())
            .arg("--")
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// The process that a command has become once it runs.
    pub(super) fn process_of(&self, child: &Child) -> Option<u32> {
        match &self.daemons {
            None => child_of(child.id()),
            Some(_) => Some(child.id()),
        }
    }

    /// Runs a program in it to its end, and hands over what it wrote.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let output = output.expect("nsenter");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {error}{}",
            self.logs()
        );
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().to_owned()
    }

    /// The workload of a container that runs here, as its cgroup's path tells it.
    pub fn workload(&self, id: &str) -> Workload {
        let mount = mount();
        let below = mount.join(&self.cgroup[1..]);
        let path = wait_for("the container's cgroup", || find(&below, id));
        let cgroup_id = fs::metadata(&path).expect("a cgroup").ino();
        Cgroups::new(mount).workload(cgroup_id, &[])
    }

    /// The command lines of a container's processes.
    pub fn processes(&self, id: &str) -> Vec<String> {
        let folder = mount().join(&self.workload(id).cgroup[1..]);
        let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let line = |pid: &str| {
            let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(
                String::from_utf8_lossy(&bytes)
                    .trim_end_matches('\0')
                    .replace('\0', " "),
            )
        };
        pids.lines().filter_map(line).collect()
    }

    /// The ends of what the daemons wrote, for messages.
    pub fn logs(&self) -> String {
        let entries = fs::read_dir(self.folder.path()).into_iter().flatten();
        let mut all = String::new();
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text[text.len().saturating_sub(4096)..]);
                all += &format!("\n== {}\n{text}", path.display());
            }
        }
        all
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        if self.daemons.is_some() {
            let _ = fs::write(mount().join(&self.cgroup[1..]).join("cgroup.kill"), "1");
        }
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        wait_for("the end of all processes", || {
            (!Path::new(&format!("/proc/{}", self.first)).exists()).then_some(())
        });
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        for mount in mounts.lines() {
            let mut fields = mount.split(' ').skip(1);
            if let (Some(at), Some("cgroup" | "cgroup2")) = (fields.next(), fields.next()) {
                let cgroup = Path::new(at).join(&self.cgroup[1..]);
                remove_cgroup(&cgroup);
                // With the controllers of cgroup v1, runc made the one around it too. Where that is an agent's, it has
                // others and stays.
                if let Some(above) = cgroup.parent().filter(|above| *above != Path::new(at)) {
                    let _ = fs::remove_dir(above);
                }
            }
        }
    }
}

/// Where cgroup2 is mounted.
fn mount() -> PathBuf {
    let mounts = fs::read("/proc/mounts").expect("/proc/mounts");
    cgroup2_mount(&mounts).expect("a cgroup2 mount")
}

/// A program that begins in a cgroup.
fn joining(cgroup: &Path, program: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#])
        .arg(cgroup)
        .arg(program);
    command
}

/// The only child of a process.
pub(super) fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The topmost folder below `folder` with `part` in its name.
fn find(folder: &Path, part: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let folders: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    let is_named = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().contains(part)
    };
    if let Some(path) = folders.iter().find(is_named) {
        return Some(path.clone());
    }
    folders.iter().find_map(|path| find(path, part))
}
