//! From a cgroup's id to its path: the id is the inode of its folder. Found paths are kept, since a finding about a
//! workload that has just gone should still name it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hayward_model::Workload;

use crate::{environment, in_time, name, own_cgroup};

/// Paths kept; the oldest goes first.
const MOST_KEPT: usize = 16_384;
/// A workload that had no answer is not asked again so soon.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Where cgroup2 is mounted, by what /proc/mounts holds: with hybrid hierarchies not at /sys/fs/cgroup itself. Users
/// may mount under names that are no UTF-8 (FUSE), which must not hide the other mounts.
pub fn cgroup2_mount(mounts: &[u8]) -> Option<PathBuf> {
    mounts.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ').skip(1);
        let at = fields.next()?;
        (fields.next()? == b"cgroup2").then(|| PathBuf::from(OsString::from_vec(unescaped(at))))
    })
}

/// The kernel writes white space and `\` as three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (
                b'\\',
                [
                    high @ b'0'..=b'3',
                    middle @ b'0'..=b'7',
                    low @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => Some((
                (high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'),
                after,
            )),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((*byte, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

/// The cgroups of this host.
#[derive(Debug)]
pub struct Cgroups {
    mount: PathBuf,
    paths: HashMap<u64, String>,
    /// What was asked for of the environments of those workloads.
    attributes: HashMap<u64, BTreeMap<String, String>>,
    /// Those that had no answer, and when.
    silent: HashMap<u64, Instant>,
    wanted: Vec<String>,
    order: VecDeque<u64>,
}

impl Cgroups {
    /// The cgroups of the file system mounted at `mount`.
    pub fn new(mount: PathBuf) -> Self {
        Self {
            mount,
            paths: HashMap::new(),
            attributes: HashMap::new(),
            silent: HashMap::new(),
            wanted: Vec::new(),
            order: VecDeque::new(),
        }
    }

    /// The path of a cgroup below the mount, `/` for the root. None where it had gone before anybody saw it.
    pub fn path_of(&mut self, id: u64) -> Option<String> {
        if !self.paths.contains_key(&id) {
            let mount = self.mount.clone();
            self.learn(&mount);
            // An id is given once: what has gone is not looked for again at each of its records.
            if !self.paths.contains_key(&id) {
                self.note(id, "");
            }
        }
        self.paths.get(&id).filter(|path| !path.is_empty()).cloned()
    }

    /// The id of the cgroup that has this path now.
    pub fn id_of(&self, path: &str) -> Option<u64> {
        let folder = self.mount.join(path.trim_start_matches('/'));
        let metadata = fs::symlink_metadata(folder).ok()?;
        metadata.is_dir().then(|| metadata.ino())
    }

    /// Whether a process is in the cgroup of this path itself. /proc/PID/cgroup would say it from the reader's own cgroup
    /// namespace, which is not the host's where the agent runs in a container.
    pub fn holds(&self, path: &str, pid: u32) -> bool {
        self.members(path).contains(&pid)
    }

    /// The processes in the cgroup of this path itself.
    pub fn members(&self, path: &str) -> Vec<u32> {
        let folder = self.mount.join(path.trim_start_matches('/'));
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        members
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect()
    }

    /// The workload of a cgroup, with an empty path where it has gone. Its attributes are these variables, as its first
    /// process has them, or had when it was asked for.
    pub fn workload(&mut self, id: u64, wanted: &[String]) -> Workload {
        let path = self.path_of(id).unwrap_or_default();
        let mut workload = name(id, &path);
        if self.wanted != wanted {
            self.wanted = wanted.to_vec();
            self.attributes.clear();
            self.silent.clear();
        }
        workload.attributes = match self.attributes.get(&id) {
            Some(attributes) => attributes.clone(),
            None => self.ask(id, &path).unwrap_or_default(),
        };
        workload
    }

    /// Reads the variables, where there is a process to ask, and it lets itself be asked.
    fn ask(&mut self, id: u64, path: &str) -> Option<BTreeMap<String, String>> {
        if self.wanted.is_empty() || path.is_empty() {
            return None;
        }
        let folder = self.mount.join(own_cgroup(path).trim_start_matches('/'));
        let was_silent = self.silent.get(&id);
        if was_silent.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return None;
        }
        let wanted = self.wanted.clone();
        let asked = in_time(move || environment::of_first_process(&folder, &wanted));
        let Some(attributes) = asked.flatten() else {
            if self.silent.len() >= MOST_KEPT {
                self.silent.clear();
            }
            self.silent.insert(id, Instant::now());
            return None;
        };
        self.silent.remove(&id);
        self.attributes.insert(id, attributes.clone());
        Some(attributes)
    }

    /// Notes a cgroup that was seen.
    pub fn note(&mut self, id: u64, path: &str) {
        if self.paths.insert(id, path.to_owned()).is_none() {
            self.order.push_back(id);
            if self.order.len() > MOST_KEPT
                && let Some(oldest) = self.order.pop_front()
            {
                self.paths.remove(&oldest);
                self.attributes.remove(&oldest);
            }
        }
    }

    fn learn(&mut self, folder: &Path) {
        let Ok(metadata) = fs::metadata(folder) else {
            return;
        };
        let below = folder.strip_prefix(&self.mount).unwrap_or(Path::new(""));
        let path = format!("/{}", below.display());
        self.note(metadata.ino(), &path);
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.learn(&entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    #[test]
    fn the_mount_is_found_in_pure_and_hybrid_hierarchies() {
        let pure = b"proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_mount(pure), Some("/sys/fs/cgroup".into()));
        let hybrid =
            b"tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_mount(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup2_mount(b"proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn other_mounts_may_have_any_name() {
        let mounts = b"x /home/a/\xff fuse.x rw 0 0\nnone /a\\040b\\134\\011\\9 cgroup2 rw 0 0\n";
        assert_eq!(cgroup2_mount(mounts), Some("/a b\\\t\\9".into()));
    }

    #[test]
    fn parsing_damaged_mounts_never_panics() {
        let line = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let corpus = Corpus::new([line], ["\\040", "\\377", "\\40", " cgroup2 "]);
        throw(500, &corpus.damaged(), |input| {
            let _ = cgroup2_mount(&input.0);
            Ok(())
        });
    }

    #[test]
    fn ids_are_inodes_and_paths_outlive_their_folders() {
        let mount = tempfile::tempdir().expect("a folder");
        let folder = mount.path().join("a/b");
        fs::create_dir_all(&folder).expect("folders");
        let id = fs::metadata(&folder).expect("a folder").ino();
        let mut cgroups = Cgroups::new(mount.path().to_owned());
        assert_eq!(cgroups.path_of(id).as_deref(), Some("/a/b"));
        fs::remove_dir(&folder).expect("removed");
        assert_eq!(cgroups.workload(id, &[]).cgroup, "/a/b");
        assert_eq!(cgroups.path_of(u64::MAX), None);
    }
}
