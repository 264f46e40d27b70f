//! Removing what a test that was killed has left behind. Names carry the pid of the test that made them, and only what
//! belongs to no living process is touched.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hayward_kernel::Pins;

/// What the names of cgroups and pins of tests begin with.
pub(crate) const PREFIX: &str = "hayward-test-";

/// Removes cgroups and pins of tests that are no more.
pub(crate) fn sweep(mount: &Path, pins: &Path) {
    for folder in [pins, mount] {
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let maker = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
            if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                if folder == pins {
                    let _ = hayward_kernel::uninstall(&Pins::new(entry.path()));
                } else {
                    remove_cgroup(&entry.path());
                }
            }
        }
    }
}

/// Ends what runs in a cgroup of a test, and removes it with everything below it.
pub(crate) fn remove_cgroup(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
    for below in folders(path) {
        remove_cgroup(&below);
    }
    // Killed processes leave a cgroup when they are reaped, which nobody announces.
    let deadline = Instant::now() + Duration::from_secs(5);
    while fs::remove_dir(path).is_err() && path.exists() && Instant::now() < deadline {
        std::thread::yield_now();
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
