//! Noticing that settings or rule files have changed. Their stamps are compared, and nothing is subscribed to: that
//! sees a Kubernetes ConfigMap's swapped links, network file systems, and files that appear under a glob alike.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_policy::{Policy, TellSettings, TellTarget};

use crate::agent::Agent;

/// How often it is looked.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What a file looks like from outside; none where it is not there.
type Stamp = (PathBuf, Option<(u64, i64, i64, u64)>);

/// The stamps of everything that settings and rules were, or would be, read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<Stamp>);

impl Stamps {
    pub(crate) fn take(settings: Option<&Path>, policy: &Policy) -> Self {
        let rules = hayward_rules::files(&policy.command.rules);
        let files = settings
            .map(Path::to_owned)
            .into_iter()
            .chain(policy.identity.clone())
            .chain(policy.tell.iter().filter_map(headers))
            .chain(rules)
            .chain(hayward_rules::files(&policy.egress.bans.lists));
        Self(files.map(stamp).collect())
    }
}

fn headers(told: &TellSettings) -> Option<PathBuf> {
    match &told.target {
        TellTarget::Webhook { headers, .. } => headers.clone(),
        TellTarget::Command(_) => None,
    }
}

fn stamp(path: PathBuf) -> Stamp {
    let stamp = fs::metadata(&path).ok().map(|metadata| {
        (
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.size(),
        )
    });
    (path, stamp)
}

/// What was last acted on, and what was seen since and may still be being written.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) acted_on: Stamps,
    pending: Option<Stamps>,
}

impl Watch {
    pub(crate) fn since(acted_on: Stamps) -> Self {
        Self {
            acted_on,
            pending: None,
        }
    }
}

impl Agent {
    /// Reloads when files have changed and then stood still for one interval.
    pub(crate) fn watch(&self) {
        let now = Stamps::take(self.settings_file.as_deref(), &self.policy());
        {
            let mut watch = self
                .watch
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if now == watch.acted_on {
                watch.pending = None;
                return;
            }
            if watch.pending.as_ref() != Some(&now) {
                watch.pending = Some(now);
                return;
            }
            watch.pending = None;
            watch.acted_on = now;
        }
        // What is bad is refused, recorded and not tried again until it changes.
        let _ = self.reload(false, None);
    }
}
