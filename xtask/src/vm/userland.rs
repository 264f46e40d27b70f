//! What a machine has beside its kernel and the binary under test: busybox, and the setpriv of util-linux, since
//! busybox's cannot take capabilities from root. From Debian, so that it is the machine's processor's.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};

use super::{apt::Apt, architecture::Architecture, mirror::Archive, say};

const SUITE: &str = "bookworm";
const PACKAGES: [&str; 4] = ["busybox-static", "util-linux", "libc6", "libcap-ng0"];

/// The folder that is laid out as the machine sees it, from the cache in `machines` or from the mirror.
pub(crate) fn obtain(machines: &Path, architecture: Architecture) -> Result<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("userland-{}", architecture.name());
    let folder = machines.join(&name);
    if folder.exists() {
        return Ok(folder);
    }
    let mirror = Archive::Main.mirror();
    say(&name, &format!("fetches from {}", mirror.address));
    let work = machines.join(format!("{name}-apt"));
    let apt = Apt::prepare(&work, SUITE, architecture, &mirror)?;
    let unpacked = apt.unpack(&PACKAGES)?;
    let laid_out = work.join("laid-out");
    for (package_has, machine_has) in files(architecture) {
        let (from, to) = (unpacked.join(&package_has), laid_out.join(machine_has));
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::copy(&from, &to).with_context(|| format!("no {package_has} in {PACKAGES:?}"))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    // Last: with it, the cache is whole.
    fs::rename(&laid_out, &folder)?;
    apt.remove()?;
    Ok(folder)
}

/// Compiles a program of one file for a machine.
pub(crate) fn compile(source: &Path, folder: &Path, architecture: Architecture) -> Result<PathBuf> {
    let compiler = architecture.compiler();
    let program = folder.join(source.file_stem().context("a file of C")?);
    let status = Command::new(compiler)
        .args(["-O2", "-frounding-math", "-static", "-pthread", "-o"])
        .arg(&program)
        .arg(source)
        .arg("-lm")
        .status()
        .with_context(|| format!("start {compiler}; tools/install-cross-deps installs it"))?;
    ensure!(status.success(), "{compiler} failed: {status}");
    Ok(program)
}

/// Where the packages have each file, and where a machine has it.
fn files(architecture: Architecture) -> [(String, String); 5] {
    let libraries = architecture.libraries();
    let loader = architecture.loader().to_owned();
    [
        ("bin/busybox".to_owned(), "bin/busybox".to_owned()),
        (
            "usr/bin/setpriv".to_owned(),
            "bin/setpriv.util-linux".to_owned(),
        ),
        (loader.clone(), loader),
        (format!("{libraries}/libc.so.6"), "lib/libc.so.6".to_owned()),
        (
            format!("{libraries}/libcap-ng.so.0"),
            "lib/libcap-ng.so.0".to_owned(),
        ),
    ]
}
