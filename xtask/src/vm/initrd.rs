//! All that a machine's file system holds: busybox, the binary under test, and the scripts.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use hayward_test_miner::{program, rounder};

const BUSYBOX: &str = "/bin/busybox";
/// The one of util-linux: busybox's cannot take capabilities from root.
const SETPRIV: &str = "/usr/bin/setpriv";

/// Packs `tests/vm/<script>.sh` with what it needs. Not compressed: an emulated machine takes longer to unpack than
/// qemu takes to read.
pub(crate) fn build(
    folder: &Path,
    scripts: &Path,
    script: &str,
    binary: Option<&Path>,
) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("empty {}", root.display()))?;
    }
    let mut names = Vec::new();
    for name in ["bin", "test"] {
        fs::create_dir_all(root.join(name))?;
        names.push(name.to_owned());
    }
    let script = format!("{script}.sh");
    let mut files = vec![
        (PathBuf::from(BUSYBOX), "bin/busybox"),
        (scripts.join("init"), "init"),
        (scripts.join("common.sh"), "test/common.sh"),
        (scripts.join(&script), "test/run.sh"),
    ];
    let unit = scripts.join("../../packaging/hayward.service");
    files.push((unit, "test/hayward.service"));
    files.push((PathBuf::from(SETPRIV), "bin/setpriv.util-linux"));
    if let Some(binary) = binary {
        files.push((binary.to_owned(), "bin/hayward"));
    }
    if script == "randomx.sh" {
        files.push((program().to_owned(), "bin/randomx-miner"));
        files.push((rounder().to_owned(), "bin/randomx-rounder"));
    }
    for (from, name) in files {
        place(&from, &root.join(name))?;
        names.push(name.to_owned());
    }
    for library in libraries(SETPRIV)? {
        let name = library.trim_start_matches('/').to_owned();
        let above: Vec<_> = Path::new(&name).ancestors().skip(1).collect();
        for folder in above.into_iter().rev() {
            let folder = folder.display().to_string();
            if !folder.is_empty() && !names.contains(&folder) {
                fs::create_dir_all(root.join(&folder))?;
                names.push(folder);
            }
        }
        place(Path::new(&library), &root.join(&name))?;
        names.push(name);
    }
    symlink("busybox", root.join("bin/sh"))?;
    names.push("bin/sh".to_owned());
    let initrd = folder.join("initrd");
    pack(&root, &names, &initrd)?;
    Ok(initrd)
}

/// Paths of the shared libraries that a program needs, its loader among them.
fn libraries(program: &str) -> Result<Vec<String>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .context("run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(str::to_owned).collect())
}

fn place(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
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
