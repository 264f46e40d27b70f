//! A container as runtimes make them: runc, which containerd, Docker and CRI-O start theirs with too.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use hayward_workload::cgroup2_mount;
use serde_json::{Value, json};

use crate::{Ended, copy_program};

/// The shell has a mount namespace of its own. There cgroup2 is where runc looks for it, also on hosts that keep the
/// controllers of cgroup v1: runc then leaves those alone.
const ENTER: &str = r#"mount --bind "$0" /sys/fs/cgroup && exec runc "$@""#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Runs a statically linked program as the first process of a container, which has namespaces and a root of its own, in
/// a cgroup below `cgroup` that is named as containerd names them. Returns how it ended.
pub fn run_in_container(cgroup: &Path, program: &Path, arguments: &[&str]) -> Ended {
    let bundle = tempfile::tempdir().expect("a folder");
    let bundle = bundle.path();
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin).expect("a root file system");
    copy_program(program, bin.join("program"));
    let spec = Command::new("runc")
        .arg("spec")
        .current_dir(bundle)
        .status();
    let spec = spec.expect("runc, which tools/install-test-deps installs");
    assert!(spec.success(), "runc spec");
    let number = u64::from(std::process::id()) << 32 | u64::from(next());
    let id = format!("{number:064x}");
    let mounts = fs::read("/proc/mounts").expect("/proc/mounts");
    let mount = cgroup2_mount(&mounts).expect("a cgroup2 mount");
    let below = cgroup.strip_prefix(&mount).expect("a cgroup");
    let path = Path::new("/")
        .join(below)
        .join(format!("cri-containerd-{id}.scope"));

    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).expect("what runc wrote");
    let mut settings: Value = serde_json::from_str(&text).expect("JSON");
    let command = [&["/bin/program"], arguments].concat();
    settings["process"]["terminal"] = json!(false);
    settings["process"]["args"] = json!(command);
    settings["linux"]["cgroupsPath"] = json!(path);
    fs::write(&config, settings.to_string()).expect("settings");

    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", ENTER])
        .arg(&mount)
        .arg("--root")
        .arg(bundle.join("state"))
        .args(["run", "--bundle"])
        .arg(bundle)
        .arg(&id)
        .stdin(Stdio::null())
        .output()
        .expect("unshare");
    let code = output.status.code().expect("runc ends by itself");
    assert_ne!(code, 1, "runc: {}", String::from_utf8_lossy(&output.stderr));
    // It tells a signal as shells do.
    match code {
        129.. => Ended::Signal(code - 128),
        _ => Ended::Code(code),
    }
}

fn next() -> u32 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}
