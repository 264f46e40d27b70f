//! All that a machine's file system holds: its userland, the binary under test, and the scripts.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Packs `tests/vm/<script>.sh` with what it needs; programs go where commands are found. Not compressed: an emulated machine takes longer to unpack than
/// qemu takes to read.
pub(crate) fn build(
    folder: &Path,
    scripts: &Path,
    script: &str,
    userland: &Path,
    programs: &[&Path],
) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("empty {}", root.display()))?;
    }
    copy_folder(userland, &root)?;
    fs::create_dir_all(root.join("test"))?;
    let mut files = vec![
        (scripts.join("init"), PathBuf::from("init")),
        (scripts.join("common.sh"), PathBuf::from("test/common.sh")),
        (
            scripts.join(format!("{script}.sh")),
            PathBuf::from("test/run.sh"),
        ),
        (
            scripts.join("../../packaging/hayward.service"),
            PathBuf::from("test/hayward.service"),
        ),
    ];
    for program in programs {
        let name = program.file_name().context("a program has a name")?;
        files.push((program.to_path_buf(), Path::new("bin").join(name)));
    }
    for (from, name) in files {
        let to = root.join(name);
        fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    symlink("busybox", root.join("bin/sh"))?;
    let mut names = Vec::new();
    list(&root, Path::new(""), &mut names)?;
    let initrd = folder.join("initrd");
    pack(&root, &names, &initrd)?;
    Ok(initrd)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Names of all that is in a folder, each folder before what it holds.
fn list(root: &Path, below: &Path, names: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        names.push(name.display().to_string());
        if entry.file_type()?.is_dir() {
            list(root, &name, names)?;
        }
    }
    Ok(())
}

fn pack(root: &Path, names: &[String], archive: &Path) -> Result<()> {
    let mut cpio = Command::new("cpio")
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(archive)?)
        .spawn()
        .context("start cpio; tools/install-test-deps installs it")?;
    if let Some(mut list) = cpio.stdin.take() {
        list.write_all(names.join("\n").as_bytes())?;
    }
    let status = cpio.wait()?;
    if !status.success() {
        bail!("cpio failed: {status}");
    }
    Ok(())
}
