//! What Hayward has frozen and throttled, and what was there before: kept in a file, so that it can be undone after the
//! agent has ended in whatever way.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CpuLimit, Share};

/// The file's name.
const NAME: &str = "restrictions.json";

/// How many workloads may be restricted at a time.
const MOST: usize = 1024;

/// What Hayward did to a workload, and can undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restriction {
    /// Id of its cgroup.
    pub cgroup_id: u64,
    /// Path of its cgroup below the mount.
    pub cgroup: String,
    /// Since when it is restricted.
    pub since: Timestamp,
    /// Hayward froze it.
    #[serde(default)]
    pub frozen: bool,
    /// Hayward throttled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<Throttled>,
    /// Hayward quarantined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<Quarantined>,
}

impl Restriction {
    fn is_any(&self) -> bool {
        self.frozen || self.throttled.is_some() || self.quarantined.is_some()
    }

    /// What of it holds at a time; none where nothing does.
    pub fn at(&self, now: Timestamp) -> Option<Self> {
        let mut left = self.clone();
        left.quarantined = left
            .quarantined
            .filter(|quarantined| quarantined.holds(now));
        Some(left).filter(Self::is_any)
    }
}

/// Until when a workload may reach nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// None until it is released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Quarantined {
    /// Whether it holds at a time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it lasts longer than until a time; none is until it is released.
    pub fn outlasts(&self, other: Option<Timestamp>) -> bool {
        match (self.until, other) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(until), Some(other)) => until >= other,
        }
    }
}

impl std::fmt::Display for Quarantined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.until {
            Some(until) => write!(f, "until {}", until.strftime("%Y-%m-%d %H:%M:%S UTC")),
            None => f.write_str("until it is released"),
        }
    }
}

/// To what a workload was throttled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Throttled {
    /// The share of one processor that it has now.
    pub share: Share,
    /// What it had before.
    pub had: CpuLimit,
}

/// Why what was done could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum RestrictionsError {
    /// The file cannot be written.
    #[error(
        "nothing was done, since it could not be undone after a restart: {path} cannot be written: {source}"
    )]
    System {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There are too many.
    #[error(
        "nothing was done: {MOST} workloads are restricted already; thaw, release or end some of them"
    )]
    Full,
}

/// The file's content. Ids of cgroups begin anew with every boot.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    boot: String,
    restrictions: Vec<Restriction>,
}

/// Every restriction, in memory and in the file.
#[derive(Debug)]
pub struct Restrictions {
    path: PathBuf,
    content: Content,
}

impl Restrictions {
    /// Reads those of this boot from the file in a folder. Where there is no file, or none that can be read, there are
    /// none; the reason of the latter is returned with them.
    pub fn open(folder: &Path) -> (Self, Option<String>) {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let boot = boot.trim().to_owned();
        let path = folder.join(NAME);
        let (mut content, problem) = match read(&path) {
            Ok(content) => (content, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Content::default(), None),
            Err(error) => {
                let problem = format!(
                    "what was frozen and throttled before is not known, since {} cannot be read: {error}; look for it with `hayward workloads`",
                    path.display()
                );
                (Content::default(), Some(problem))
            }
        };
        if content.boot != boot {
            content.restrictions.clear();
        }
        content.boot = boot;
        (Self { path, content }, problem)
    }

    /// The restriction of a cgroup.
    pub fn of(&self, cgroup_id: u64) -> Option<&Restriction> {
        let mut all = self.content.restrictions.iter();
        all.find(|restriction| restriction.cgroup_id == cgroup_id)
    }

    /// Whether any workload is quarantined.
    pub fn quarantine_any(&self) -> bool {
        let now = Timestamp::now();
        let mut all = self.content.restrictions.iter();
        all.any(|it| it.quarantined.as_ref().is_some_and(|it| it.holds(now)))
    }

    /// Keeps only those for which `is_there` says so, of cgroup id and path. Not written before the next change: what is
    /// gone stays gone.
    pub fn keep(&mut self, is_there: impl Fn(u64, &str) -> bool) {
        let all = &mut self.content.restrictions;
        all.retain(|restriction| is_there(restriction.cgroup_id, &restriction.cgroup));
        let now = Timestamp::now();
        *all = all
            .iter()
            .filter_map(|restriction| restriction.at(now))
            .collect();
    }

    /// Changes the restriction of a cgroup, and writes the file; what restricts nothing any more is dropped. Where the file
    /// cannot be written, nothing has changed.
    pub(crate) fn change(
        &mut self,
        cgroup_id: u64,
        cgroup: &str,
        change: impl FnOnce(&mut Restriction),
    ) -> Result<(), RestrictionsError> {
        let before = self.content.restrictions.clone();
        let mut changed = self.of(cgroup_id).cloned().unwrap_or_else(|| Restriction {
            cgroup_id,
            cgroup: cgroup.to_owned(),
            since: Timestamp::now(),
            frozen: false,
            throttled: None,
            quarantined: None,
        });
        change(&mut changed);
        let all = &mut self.content.restrictions;
        all.retain(|restriction| restriction.cgroup_id != cgroup_id);
        all.extend(changed.at(Timestamp::now()));
        let written = if all.len() > MOST {
            Err(RestrictionsError::Full)
        } else {
            write(&self.path, &self.content).map_err(|source| RestrictionsError::System {
                path: self.path.clone(),
                source,
            })
        };
        if written.is_err() {
            self.content.restrictions = before;
        }
        written
    }
}

fn read(path: &Path) -> io::Result<Content> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Whoever reads finds the old content or the new one, whole, and after a loss of power too.
fn write(path: &Path, content: &Content) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    fn throttled(restriction: &mut Restriction) {
        restriction.throttled = Some(Throttled {
            share: "5%".parse().expect("a share"),
            had: CpuLimit {
                max: "max 100000".to_owned(),
                burst: None,
            },
        });
    }

    #[test]
    fn what_was_done_is_known_after_a_restart_until_it_is_undone() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Restrictions::open(folder.path()).0;
        let mut before = open();
        before.change(7, "/a", |it| it.frozen = true).expect("kept");
        before.change(7, "/a", throttled).expect("kept");
        before.change(8, "/b", throttled).expect("kept");

        let mut after = open();
        assert_eq!(after.of(7), before.of(7));
        assert!(
            after
                .of(7)
                .is_some_and(|it| it.frozen && it.throttled.is_some())
        );
        after.change(7, "/a", |it| it.frozen = false).expect("kept");
        assert!(open().of(7).is_some_and(|it| !it.frozen));
        after
            .change(7, "/a", |it| it.throttled = None)
            .expect("kept");
        assert_eq!(open().of(7), None);

        after.keep(|_, path| path != "/b");
        assert_eq!(after.of(8), None);
        let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_an_earlier_boot_restricted_is_another_cgroup_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut before, _) = Restrictions::open(folder.path());
        before.content.boot = "another".to_owned();
        before.change(7, "/a", |it| it.frozen = true).expect("kept");
        assert_eq!(Restrictions::open(folder.path()).0.of(7), None);
    }

    #[test]
    fn what_cannot_be_kept_is_not_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut full, _) = Restrictions::open(folder.path());
        for id in 0..MOST as u64 {
            let mut one = full.content.restrictions.first().cloned();
            match &mut one {
                None => full.change(id, "/a", |it| it.frozen = true).expect("kept"),
                Some(one) => {
                    one.cgroup_id = id;
                    full.content.restrictions.push(one.clone());
                }
            }
        }
        let refused = full.change(u64::MAX, "/b", |it| it.frozen = true);
        assert!(matches!(refused, Err(RestrictionsError::Full)));
        assert_eq!(full.of(u64::MAX), None);

        let (mut nowhere, _) = Restrictions::open(&folder.path().join("none"));
        let refused = nowhere.change(7, "/a", |it| it.frozen = true);
        assert!(matches!(refused, Err(RestrictionsError::System { .. })));
        assert_eq!(nowhere.of(7), None);
    }

    #[test]
    fn reading_a_damaged_file_never_panics() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut good, _) = Restrictions::open(folder.path());
        good.change(7, "/a", throttled).expect("kept");
        let text = fs::read(folder.path().join(NAME)).expect("the file");
        throw(
            100,
            &Corpus::new([text], ["\"share\": 0", "1e99"]).damaged(),
            |input| {
                fs::write(folder.path().join(NAME), &input.0).expect("a file of our own");
                let _ = Restrictions::open(folder.path());
                Ok(())
            },
        );
        fs::write(folder.path().join(NAME), "{").expect("a file of our own");
        let (_, problem) = Restrictions::open(folder.path());
        assert!(problem.is_some_and(|problem| problem.contains(NAME)));
    }
}
