//! Entering the cgroups that existed before the kernel programs did; new ones enter themselves.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// Calls `enter(id, path, host_path)` for every cgroup below `root` and for `root` itself. `host_path` is the path
/// below the cgroup file system, `/` being its root.
pub(crate) fn walk(mount: &Path, root: &Path, enter: &mut dyn FnMut(u64, &Path, &str)) {
    let Ok(metadata) = fs::metadata(root) else {
        return;
    };
    let below = root
        .strip_prefix(mount)
        .map(Path::to_string_lossy)
        .unwrap_or_default();
    enter(metadata.ino(), root, &format!("/{below}"));
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(mount, &entry.path(), enter);
        }
    }
}
