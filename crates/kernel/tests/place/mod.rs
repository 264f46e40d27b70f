//! A place for a test: a cgroup and pins of its own; both are gone when it is dropped.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_kernel::{KernelOptions, OutboundLimits, Pins, Variant, uninstall};
use hayward_model::ScopePolicy;

/// The place.
pub(crate) struct Place {
    pub(crate) cgroup: PathBuf,
    /// Of the cgroup, below the mount.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) path: String,
    pub(crate) pins: PathBuf,
    /// Which variants of the programs may be loaded.
    pub(crate) variants: &'static [Variant],
}

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let root = cgroup2();
        let name = format!("hayward-test-{}-{name}", std::process::id());
        let cgroup = root.join(&name);
        fs::create_dir(&cgroup).expect("a cgroup of the test's own");
        let pins = PathBuf::from("/sys/fs/bpf").join(&name);
        Self {
            cgroup,
            path: format!("/{name}"),
            pins,
            variants: Variant::ALL,
        }
    }

    /// Options that confine a kernel side to the place.
    pub(crate) fn options(&self) -> KernelOptions {
        KernelOptions {
            pins: self.pins.clone(),
            root_cgroup: id_of(&self.cgroup),
            lease: Duration::from_secs(60),
            uid_min: None,
            users_policy: ScopePolicy::OUT,
            by_name: false,
            root: self.cgroup.clone(),
            network: Vec::new(),
            inbound: hayward_kernel::InboundLimits::DEFAULT,
            outbound: OutboundLimits {
                in_flight: 16,
                failed: 20,
                lookback: Duration::from_secs(30),
                ..OutboundLimits::DEFAULT
            },
            fileless_kill: false,
            unscanned_kill: false,
            filters: false,
            variants: self.variants,
        }
    }

    /// A cgroup in it.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn group(&self, name: &str) -> PathBuf {
        let path = self.cgroup.join(name);
        fs::create_dir_all(&path).expect("a cgroup");
        path
    }
}

/// A cgroup's id.
pub(crate) fn id_of(cgroup: &Path) -> u64 {
    fs::metadata(cgroup).expect("the cgroup").ino()
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = uninstall(&Pins::new(&self.pins));
        remove(&self.cgroup);
    }
}

/// Removes a cgroup with everything below it.
fn remove(cgroup: &Path) {
    let entries = fs::read_dir(cgroup).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(cgroup);
}

fn cgroup2() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
    let line = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    PathBuf::from(
        line.and_then(|line| line.split(' ').nth(1))
            .expect("a cgroup2 mount"),
    )
}
