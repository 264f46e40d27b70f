//! The canary: proof that the kernel really stops a banned program, before the agent says so.
//!
//! A copy of this binary in memory is started under a name that is banned for nobody else, in a cgroup made for it.
//! Only its death by SIGKILL counts: some kernels attach programs that never fire.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{
            fs::MetadataExt,
            process::{CommandExt, ExitStatusExt},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::memory::CACHE_MIB;

/// Id of the canary's own rule, which every table holds and no record shows.
pub(crate) const CANARY_RULE: &str = "hayward/canary";

/// How long a canary rounds, if nobody ends it before.
const ROUNDING: Duration = Duration::from_secs(2);

/// How long a canary waits for what it has said. Over its own host that takes no time.
const SUBSCRIBING: Duration = Duration::from_millis(100);

/// The same for a drill, which has to be found first.
const MINING: Duration = Duration::from_secs(20);

/// The canary's banned argument: no other process has a reason to know it.
pub(crate) fn banned_argument() -> String {
    format!(
        "hayward-canary-{}-{:x}",
        std::process::id(),
        hayward_kernel::boot_ns()
    )
}

/// A cgroup for one canary, removed when dropped.
#[derive(Debug)]
pub(crate) struct CanaryCgroup {
    path: PathBuf,
}

impl CanaryCgroup {
    /// Makes the cgroup directly below `root`.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let path = root.join(format!("hayward-canary-{}", std::process::id()));
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result?,
        }
        Ok(Self { path })
    }

    /// The cgroup's id.
    pub(crate) fn id(&self) -> io::Result<u64> {
        Ok(fs::metadata(&self.path)?.ino())
    }

    /// Starts the canary and says whether it was killed before it ran.
    pub(crate) fn fly(&self, argument: &str) -> io::Result<bool> {
        let copy = copy_of_self()?;
        let status = Command::new("/proc/self/exe")
            .args(["canary", &self.path.display().to_string()])
            .arg(copy.as_raw_fd().to_string())
            .arg(argument)
            .env_clear()
            .status()?;
        Ok(status.signal() == Some(9))
    }

    /// Starts a process that rounds as RandomX does, for [`ROUNDING`] at most.
    pub(crate) fn round(&self) -> io::Result<Child> {
        Command::new("/proc/self/exe")
            .args(["canary-rounding", &self.path.display().to_string()])
            .env_clear()
            .spawn()
    }

    /// Starts a process that sends a datagram to its own host, and says whether that was refused.
    pub(crate) fn send(&self) -> io::Result<bool> {
        self.is_stopped("canary-sending")
    }

    /// Starts a process that subscribes to a pool that is none, and says whether that was refused.
    pub(crate) fn subscribe(&self) -> io::Result<bool> {
        self.is_stopped("canary-subscribing")
    }

    fn is_stopped(&self, canary: &str) -> io::Result<bool> {
        let status = Command::new("/proc/self/exe")
            .args([canary, &self.path.display().to_string()])
            .env_clear()
            .status()?;
        Ok(status.success())
    }
}

impl Drop for CanaryCgroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::warn!(
                "cannot remove the canary's cgroup {}: {error}",
                self.path.display()
            );
        }
    }
}

/// This binary's bytes in memory: another inode, so that the rule which protects the agent's own does not hold.
pub fn copy_of_self() -> io::Result<OwnedFd> {
    // Inherited on purpose: the launcher executes it.
    let descriptor = memfd_create("hayward-canary", MemfdFlags::empty())?;
    let mut copy = fs::File::from(descriptor);
    io::copy(&mut fs::File::open("/proc/self/exe")?, &mut copy)?;
    Ok(copy.into())
}

/// What `hayward canary CGROUP FD ARGUMENT` does: joins the cgroup and becomes the canary. Returns only on failure.
pub fn launch(cgroup: &str, descriptor: &str, argument: &str) -> io::Error {
    if let Err(error) = fs::write(Path::new(cgroup).join("cgroup.procs"), "0") {
        return error;
    }
    Command::new(format!("/proc/self/fd/{descriptor}"))
        .arg("canary-survived")
        .arg(argument)
        .exec()
}

/// What `hayward canary-rounding CGROUP` does: joins the cgroup and rounds as RandomX does.
pub fn round(cgroup: &str) -> io::Result<()> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    hayward_kernel::round_irregularly(ROUNDING);
    Ok(())
}

/// What `hayward canary-sending CGROUP` does: joins the cgroup and sends a datagram to nobody. Says whether it was
/// refused.
pub fn send(cgroup: &str) -> io::Result<bool> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    // The port of the protocol that throws everything away.
    let sent = socket.send_to(b"canary", (Ipv4Addr::LOCALHOST, 9));
    Ok(sent.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied))
}

/// What `hayward canary-subscribing CGROUP` does: joins the cgroup and subscribes to a pool that is itself, over a
/// connection to its own host. Says whether it waited for that in vain.
pub fn subscribe(cgroup: &str) -> io::Result<bool> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut miner = TcpStream::connect(listener.local_addr()?)?;
    let (mut pool, _) = listener.accept()?;
    miner.write_all(b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n")?;
    pool.set_read_timeout(Some(SUBSCRIBING))?;
    Ok(pool.read(&mut [0; 64]).is_err())
}

/// What `hayward canary-mining` does: holds as much memory as RandomX needs, and rounds as it does, for a while.
pub fn mine() {
    let mebibytes = usize::try_from(CACHE_MIB).unwrap_or(0) + 8;
    // Written to, so that it is there.
    let memory = vec![1u8; mebibytes << 20];
    hayward_kernel::round_irregularly(MINING);
    std::hint::black_box(memory);
}
