//! A workload that may be acted on: its cgroup's folder, opened once.
//!
//! Whatever is done goes through the open folder. Another cgroup that gets the same name later is another folder, and
//! one that has gone holds no files any more.

use std::{fs::File, io, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, ResolveFlags, fstat, open, openat2},
    io::Errno,
};

use crate::{
    ActError, Bounds, Cut, Forbidden, Stop,
    tree::{Tree, is_gone},
};

/// A workload's cgroup, checked against all that is never acted on.
#[derive(Debug)]
pub struct Target<'a> {
    bounds: &'a Bounds<'a>,
    pub(crate) tree: Tree,
    id: u64,
    path: String,
}

impl<'a> Target<'a> {
    /// Opens the cgroup with this id, which is its folder's inode, at this path below the mount. Fails where another
    /// cgroup is there now, and where it is never acted on.
    pub fn open(bounds: &'a Bounds<'a>, id: u64, path: &str) -> Result<Self, ActError> {
        let forbidden = |why| Forbidden {
            path: path.to_owned(),
            why,
        };
        bounds.check_path(path).map_err(forbidden)?;
        let failed = |error: Errno| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => ActError::Gone {
                path: path.to_owned(),
            },
            error => ActError::System {
                act: "open",
                path: path.to_owned(),
                source: error.into(),
            },
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mount = open(&bounds.mount, flags, Mode::empty()).map_err(failed)?;
        let below = path.trim_start_matches('/');
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let folder = openat2(&mount, below, flags, Mode::empty(), resolve).map_err(failed)?;
        if fstat(&folder).map_err(failed)?.st_ino != id {
            return Err(failed(Errno::NOENT));
        }
        let target = Self {
            bounds,
            tree: Tree::new(folder),
            id,
            path: path.to_owned(),
        };
        target.check()?;
        Ok(target)
    }

    /// Its id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its path below the mount.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many processes are in it and below it.
    pub fn processes(&self) -> usize {
        self.tree.pids().len()
    }

    /// Has it stopped by its runtime: says by which.
    pub(crate) fn stop(&self, stop: &Stop) -> Result<String, String> {
        (self.bounds.stop)(stop)
    }

    /// Has the kernel side quarantine it, or end that.
    pub(crate) fn quarantine(&self, cut: Cut) -> Result<(), String> {
        (self.bounds.quarantine)(&self.path, cut)
    }

    /// Looks once more for what is never acted on: processes and cgroups come and go.
    pub(crate) fn check(&self) -> Result<(), ActError> {
        let forbidden = |why| Forbidden {
            path: self.path.clone(),
            why,
        };
        self.bounds.check_path(&self.path).map_err(forbidden)?;
        self.bounds
            .check_tree(&self.path, &self.tree)
            .map_err(forbidden)?;
        Ok(())
    }

    /// The text of one of its files, without the end of the line. None where the cgroup has no such file.
    pub(crate) fn read(&self, act: &'static str, name: &str) -> Result<Option<String>, ActError> {
        match self.tree.read(name) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            Err(error) if is_gone(&error) && self.tree.is_there() => Ok(None),
            Err(error) => Err(self.failure(act, error)),
        }
    }

    /// Writes one of its files.
    pub(crate) fn write(&self, act: &'static str, name: &str, value: &str) -> Result<(), ActError> {
        let written = self.tree.write(name, value);
        written.map_err(|error| self.failure(act, error))
    }

    /// Waits until `cgroup.events` says this of `key`, which the kernel announces; not longer than `patience`. Says whether
    /// it came to that.
    pub(crate) fn wait_for(
        &self,
        act: &'static str,
        key: &str,
        value: bool,
        patience: Duration,
    ) -> Result<bool, ActError> {
        let waited = self.tree.file("cgroup.events").and_then(|events| {
            let line = format!("{key} {}", u8::from(value));
            wait(&events, &line, patience)
        });
        match waited {
            // What has gone holds no processes.
            Err(error) if is_gone(&error) && (key, value) == ("populated", false) => Ok(true),
            result => result.map_err(|error| self.failure(act, error)),
        }
    }

    /// An error of the system as one of this workload.
    pub(crate) fn failure(&self, act: &'static str, error: io::Error) -> ActError {
        let path = self.path.clone();
        if is_gone(&error) && !self.tree.is_there() {
            return ActError::Gone { path };
        }
        ActError::System {
            act,
            path,
            source: error,
        }
    }

    /// What this host cannot do to this workload.
    pub(crate) fn impossible(&self, act: &'static str, why: impl Into<String>) -> ActError {
        ActError::Impossible {
            act,
            path: self.path.clone(),
            why: why.into(),
        }
    }
}

fn wait(events: &File, line: &str, patience: Duration) -> io::Result<bool> {
    let deadline = std::time::Instant::now() + patience;
    loop {
        let mut bytes = [0; 256];
        // From the start: only that tells anew, and what is announced is that it tells something else.
        let length = rustix::io::pread(events, &mut bytes, 0)?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        if text.lines().any(|other| other == line) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec::try_from(left).ok();
        let mut polled = [PollFd::new(events, PollFlags::PRI)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::{Why, fake::Fake};

    fn opened(fake: &Fake, id: u64, path: &str) -> Result<(), ActError> {
        Target::open(&fake.bounds(), id, path).map(|_| ())
    }

    fn why(result: Result<(), ActError>) -> Why {
        match result {
            Err(ActError::Forbidden(forbidden)) => forbidden.why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_cgroup_that_took_over_a_name_is_not_the_one_that_was_judged() {
        let fake = Fake::new();
        let id = fake.id("root/job");
        let bounds = fake.bounds();
        let target = Target::open(&bounds, id, "/root/job").expect("it is there");
        // The old folder stays for now: its inode would be given to the new one at once.
        fs::rename(fake.path("root/job"), fake.path("old")).expect("our own");
        fake.make("root/job");
        assert!(matches!(
            opened(&fake, id, "/root/job"),
            Err(ActError::Gone { .. })
        ));
        fs::remove_dir_all(fake.path("old")).expect("our own");
        for result in [
            target.write("freeze", "cgroup.freeze", "1"),
            target.read("freeze", "cgroup.freeze").map(|_| ()),
        ] {
            assert!(matches!(result, Err(ActError::Gone { .. })), "{result:?}");
        }
        assert_eq!(fake.read("cgroup.freeze"), "0");
        assert!(matches!(
            opened(&fake, 1, "/root/none"),
            Err(ActError::Gone { .. })
        ));
    }

    #[test]
    fn no_link_leads_elsewhere() {
        let fake = Fake::new();
        fake.make("elsewhere/job");
        let id = fake.id("elsewhere/job");
        symlink(fake.path("elsewhere"), fake.path("root/link")).expect("a link");
        symlink(fake.path("elsewhere/job"), fake.path("root/last")).expect("a link");
        for path in ["/root/link/job", "/root/last"] {
            let result = opened(&fake, id, path);
            assert!(matches!(result, Err(ActError::Gone { .. })), "{result:?}");
        }
    }

    #[test]
    fn what_is_in_a_cgroup_can_forbid_it() {
        let fake = Fake::new();
        let job = |fake: &Fake| opened(fake, fake.id("root/job"), "/root/job");
        assert!(job(&fake).is_ok());
        fake.make("root/job/inner");
        fake.write("root/job/inner/cgroup.procs", "1\n");
        assert_eq!(why(job(&fake)), Why::Init);
        let own = std::process::id();
        fake.write("root/job/inner/cgroup.procs", &format!("{own}\n"));
        assert_eq!(why(job(&fake)), Why::Hayward(own));
        fake.write("root/job/inner/cgroup.procs", "");
        assert!(job(&fake).is_ok());
        fake.make("root/job/inner/excluded");
        let excluded = "/root/job/inner/excluded".to_owned();
        assert_eq!(why(job(&fake)), Why::Excluded(excluded));
    }

    #[test]
    fn what_comes_after_it_was_opened_forbids_it_too() {
        let fake = Fake::new();
        let own = std::process::id();
        let refused = fake.with(|target| {
            fake.write("root/job/cgroup.procs", &format!("{own}\n"));
            crate::act(target, &fake.restrictions(), crate::Act::Freeze, false).map(|_| ())
        });
        assert_eq!(why(refused), Why::Hayward(own));
        assert_eq!(fake.read("cgroup.freeze"), "0");
    }
}
