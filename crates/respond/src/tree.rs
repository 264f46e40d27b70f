//! A cgroup and what is below it, read through an open folder.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, openat},
    io::Errno,
};

/// A folder of the cgroup file system.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: OwnedFd,
}

impl Tree {
    pub(crate) fn new(folder: OwnedFd) -> Self {
        Self { folder }
    }

    /// The text of a file in it.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> io::Result<String> {
        let mut text = String::new();
        self.open(name, OFlags::RDONLY)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Writes a whole value to a file in it, which must be there.
    pub(crate) fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let file = self.open(name, OFlags::WRONLY | OFlags::TRUNC)?;
        // In one call, as the kernel wants it.
        rustix::io::write(&file, value.as_bytes())?;
        Ok(())
    }

    /// A file in it, for reading.
    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        self.open(name, OFlags::RDONLY)
    }

    /// Whether the cgroup still is. A folder that was removed holds no files any more, though it is open here.
    pub(crate) fn is_there(&self) -> bool {
        self.open("cgroup.procs", OFlags::PATH).is_ok()
    }

    /// Paths of the cgroups below, from this one on. Those that cannot be looked into have gone, or lie deeper than a path
    /// can tell.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut ahead = vec![PathBuf::new()];
        while let Some(path) = ahead.pop() {
            let below = self.folders(&path).unwrap_or_default();
            ahead.extend(below.iter().cloned());
            found.extend(below);
        }
        found
    }

    /// Every process in it and below it; 0 for one that has no number in this pid namespace.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let below = self.cgroups();
        let all = std::iter::once(Path::new("")).chain(below.iter().map(PathBuf::as_path));
        all.flat_map(|path| {
            // That of a threaded cgroup cannot be read; its processes stand in the one above it.
            let text = self.read(path.join("cgroup.procs")).unwrap_or_default();
            let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
            pids
        })
        .collect()
    }

    fn folders(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = self.open(
            Path::new(".").join(path),
            OFlags::RDONLY | OFlags::DIRECTORY,
        )?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if entry.file_type() == FileType::Directory && ![&b"."[..], b".."].contains(&name) {
                found.push(path.join(OsStr::from_bytes(name)));
            }
        }
        Ok(found)
    }

    fn open(&self, name: impl AsRef<Path>, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(self.folder.as_fd(), name.as_ref(), flags, Mode::empty());
        Ok(opened.map(File::from)?)
    }
}

/// Whether an error says that the cgroup has gone. A file that is open says it in another way.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    [Errno::NOENT, Errno::NODEV].contains(&Errno::from_io_error(error).unwrap_or(Errno::INVAL))
}
