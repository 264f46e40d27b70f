//! Folders that look like cgroups, for tests that need no kernel to answer.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf, sync::Mutex};

use tempfile::TempDir;

use crate::{ActError, Bounds, Restrictions, Standing, Target};

/// A hierarchy with one workload, `/root/job`, whose kernel says that it is frozen and has no processes.
pub(crate) struct Fake {
    pub(crate) folder: TempDir,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let fake = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        fake.make("root/job");
        fake
    }

    pub(crate) fn make(&self, path: &str) {
        fs::create_dir_all(self.path(path)).expect("a folder");
        for (name, text) in [
            ("cgroup.procs", ""),
            ("cgroup.events", "populated 0\nfrozen 1\n"),
            ("cgroup.freeze", "0\n"),
        ] {
            self.write(&format!("{path}/{name}"), text);
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a file of our own");
    }

    /// A file of the workload.
    pub(crate) fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path("root/job").join(name));
        text.expect("a file of our own").trim_end().to_owned()
    }

    pub(crate) fn id(&self, path: &str) -> u64 {
        fs::metadata(self.path(path)).expect("a folder").ino()
    }

    /// What it wrote down of restrictions.
    pub(crate) fn restrictions(&self) -> Mutex<Restrictions> {
        Restrictions::open(self.folder.path()).0.into()
    }

    /// Everything is in scope but `excluded`.
    pub(crate) fn bounds(&self) -> Bounds<'static> {
        Bounds {
            mount: self.folder.path().to_owned(),
            root: "/root".to_owned(),
            standing: &|path| {
                if path.contains("excluded") {
                    Standing::Excluded
                } else {
                    Standing::In
                }
            },
            stop: &|_| Err("no runtime has it".to_owned()),
            quarantine: &|_, _| Err("no program judges packets".to_owned()),
        }
    }

    /// Does something with the workload.
    pub(crate) fn with<T>(
        &self,
        act: impl FnOnce(&Target) -> Result<T, ActError>,
    ) -> Result<T, ActError> {
        let bounds = self.bounds();
        act(&Target::open(&bounds, self.id("root/job"), "/root/job")?)
    }
}
