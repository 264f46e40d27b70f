//! Where programs, links and maps are pinned, and how two agents are kept from sharing the place.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use libbpf_rs::MapHandle;
use rustix::fs::{FlockOperation, flock};

use crate::{
    Cell, Cells,
    error::{Doing, KernelError},
    frames, source_table,
};

/// Version of maps and cells, as `bpf/layout.h` has it: agents of different layouts pin side by side.
pub(crate) const LAYOUT_VERSION: u32 = 11;

/// An instance number that no programs have.
const NO_INSTANCE: u64 = u64::MAX;

/// Magic number of the BPF file system (`BPF_FS_MAGIC` in linux/magic.h).
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// The folder below a BPF file system that holds everything of one agent.
#[derive(Debug, Clone)]
pub struct Pins {
    folder: PathBuf,
}

/// Held while an agent runs: a second agent with the same pins is refused.
#[derive(Debug)]
pub(crate) struct PinsLock {
    _folder: File,
}

impl Pins {
    /// The pins in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Makes the folders. Fails where no BPF file system is mounted.
    pub(crate) fn create(&self) -> Result<(), KernelError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for folder in [self.folder.clone(), self.maps(), self.links()] {
            builder
                .create(&folder)
                .doing(|| format!("make the folder {}", folder.display()))?;
        }
        let at = self.folder.clone();
        let system = rustix::fs::statfs(&self.folder)
            .map_err(io::Error::from)
            .doing(|| format!("look at {}", at.display()))?;
        #[expect(
            clippy::useless_conversion,
            reason = "the field's width differs by architecture"
        )]
        if i64::from(system.f_type) != BPF_FS_MAGIC {
            // Leave no folders behind on a file system that cannot hold pins.
            let _ = fs::remove_dir_all(&self.folder);
            return Err(KernelError::NoBpfFileSystem {
                path: self.folder.clone(),
            });
        }
        Ok(())
    }

    /// Takes the place for one agent, until the lock is dropped or its process ends in whatever way.
    pub(crate) fn lock(&self) -> Result<PinsLock, KernelError> {
        let folder = File::open(&self.folder)
            .doing(|| format!("open the folder {}", self.folder.display()))?;
        flock(&folder, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            KernelError::AlreadyRunning {
                path: self.folder.clone(),
            }
        })?;
        Ok(PinsLock { _folder: folder })
    }

    /// Whether an agent is running with these pins.
    pub fn in_use(&self) -> bool {
        self.folder.exists() && self.lock().is_err()
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn maps(&self) -> PathBuf {
        self.folder.join(format!("maps-{LAYOUT_VERSION}"))
    }

    pub(crate) fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    /// Opens a map that an agent has pinned, whether it still runs or not.
    pub(crate) fn open(&self, name: &str) -> Result<MapHandle, KernelError> {
        let path = self.map(name);
        MapHandle::from_pinned_path(&path)
            .doing(|| format!("open the pinned map {}", path.display()))
    }

    /// Bytes that the pinned maps take, as the kernel counts them. Before Linux 6.4 that is what they may take at most.
    pub fn memory(&self) -> Result<u64, KernelError> {
        let folder = self.maps();
        let doing = || format!("read what the maps in {} take", folder.display());
        let mut bytes = 0;
        for entry in fs::read_dir(&folder).doing(doing)? {
            let map = MapHandle::from_pinned_path(entry.doing(doing)?.path()).doing(doing)?;
            let about = format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd());
            let text = fs::read_to_string(about).doing(doing)?;
            let line = text.lines().find_map(|line| line.strip_prefix("memlock:"));
            bytes += line.and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        }
        Ok(bytes)
    }

    pub(crate) fn links(&self) -> PathBuf {
        self.folder.join("links")
    }

    /// Links that are pinned, with the instance number in their names.
    pub(crate) fn pinned_links(&self) -> Vec<(PathBuf, u64)> {
        let Ok(entries) = fs::read_dir(self.links()) else {
            return Vec::new();
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                let instance = name
                    .rsplit('-')
                    .next()
                    .and_then(|digits| digits.parse().ok())
                    .unwrap_or(0);
                (entry.path(), instance)
            })
            .collect()
    }

    /// Folders with the maps of other layouts, which an agent of another version has left.
    pub(crate) fn other_maps(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("maps-") && *path != self.maps()
            })
            .collect()
    }

    /// Maps of tables that are pinned, of every size: their names carry it.
    pub(crate) fn pinned_tables(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.maps()).into_iter().flatten();
        entries
            .filter_map(Result::ok)
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                name.contains("_tables-") || name.starts_with(source_table::MAP)
            })
            .map(|entry| entry.path())
            .collect()
    }
}

/// Removes everything that an agent pinned, without an agent. The programs are told that none of them decides before
/// their links go, since the kernel releases a link some time after its pin. Returns how many pins were removed.
pub fn uninstall(pins: &Pins) -> Result<usize, KernelError> {
    if !pins.folder.exists() {
        return Ok(0);
    }
    if let Ok(cells) = Cells::open(pins) {
        cells.set(Cell::ActiveInstance, NO_INSTANCE)?;
    }
    let mut removed = 0;
    let mut folders = vec![pins.links()];
    let entries = fs::read_dir(&pins.folder)
        .doing(|| format!("list the folder {}", pins.folder.display()))?;
    folders.extend(
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| *path != pins.links()),
    );
    for folder in folders {
        removed += remove(&folder)?;
    }
    fs::remove_dir(&pins.folder).doing(|| format!("remove {}", pins.folder.display()))?;
    Ok(removed)
}

/// Removes a folder of pins, where it is there. Returns how many it held.
pub(crate) fn remove(folder: &Path) -> Result<usize, KernelError> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(0);
    };
    let mut removed = 0;
    for entry in entries.filter_map(Result::ok) {
        frames::remove(&entry.path())?;
        removed += 1;
    }
    fs::remove_dir(folder).doing(|| format!("remove {}", folder.display()))?;
    Ok(removed)
}

/// Device and inode of the running binary, in the kernel's own encoding of devices.
pub(crate) fn own_binary() -> io::Result<(u64, u64)> {
    let metadata = fs::metadata("/proc/self/exe")?;
    let (major, minor) = (
        rustix::fs::major(metadata.dev()),
        rustix::fs::minor(metadata.dev()),
    );
    Ok(((u64::from(major) << 20) | u64::from(minor), metadata.ino()))
}

/// Number of the host's mount namespace, in which container runtimes are before they enter a container: PID 1's, or
/// this process's own where that one may not be looked at. 0 where neither may.
pub(crate) fn host_mounts() -> u64 {
    let number = |path| fs::metadata(path).map(|metadata| metadata.ino());
    number("/proc/1/ns/mnt")
        .or_else(|_| number("/proc/self/ns/mnt"))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_kernel_programs() {
        let line = format!("#define LAYOUT_VERSION {LAYOUT_VERSION}\n");
        assert!(include_str!("../bpf/layout.h").contains(&line));
    }
}
