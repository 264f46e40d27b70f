//! What the guard `inbound` knows in the agent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
};

use ipnet::IpNet;

use crate::firewall::TablePlan;

use super::{
    interfaces::InterfaceReport, links::Links, never::Never, peers::Peers, recorded::Recorded,
};

/// What is shared between those who look at interfaces, who write down who is never banned, and who take findings.
#[derive(Default)]
pub(crate) struct Inbound {
    links: RwLock<Links>,
    /// What came of looking at each interface. Held while it is tried, so that what was found first is never put in force last.
    pub(crate) reports: Mutex<Vec<InterfaceReport>>,
    /// Held while it is written, for the same reason.
    pub(crate) spared: Mutex<Spared>,
    /// A copy, for those who ask while it is written.
    never: RwLock<Never>,
    pub(crate) recorded: Mutex<Recorded>,
    /// A table of nftables drops in place of programs, where there is a plan of it.
    pub(crate) table: Mutex<Option<TablePlan>>,
    /// What keeps it from its work, by what it is about.
    problems: Mutex<BTreeMap<&'static str, String>>,
}

/// Who is never banned, and where that comes from.
#[derive(Default)]
pub(crate) struct Spared {
    /// By settings and the host's files.
    pub(crate) fixed: Never,
    pub(crate) listed: Peers,
    /// Whom this host had called when it was last looked.
    pub(crate) peers: BTreeSet<IpAddr>,
    /// What the kernel was given; none where that is not known.
    pub(crate) written: Option<BTreeSet<IpNet>>,
}

impl Inbound {
    /// Interfaces by their numbers.
    pub(crate) fn links(&self) -> Links {
        self.links.read().map(|it| it.clone()).unwrap_or_default()
    }

    pub(crate) fn set_links(&self, links: Links) {
        *self.links.write().unwrap_or_else(PoisonError::into_inner) = links;
    }

    /// What an interface is called.
    pub(crate) fn interface(&self, number: u32) -> Option<String> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        links.get(&number).map(|link| link.name.clone())
    }

    /// Who is never banned, with a word of why.
    pub(crate) fn never(&self) -> Never {
        self.never.read().map(|it| it.clone()).unwrap_or_default()
    }

    pub(crate) fn set_never(&self, never: Never) {
        *self.never.write().unwrap_or_else(PoisonError::into_inner) = never;
    }

    /// Findings that were not recorded since there were too many.
    pub(crate) fn unrecorded(&self) -> u64 {
        lock(&self.recorded).left_out()
    }

    /// Notes what is wrong, or that nothing is any more. It is logged when it begins.
    pub(crate) fn note(&self, about: &'static str, problem: Option<String>) {
        let mut problems = lock(&self.problems);
        match problem {
            Some(problem) => {
                if problems.get(about) != Some(&problem) {
                    tracing::error!("{problem}");
                }
                problems.insert(about, problem);
            }
            None => {
                problems.remove(about);
            }
        }
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        lock(&self.problems).values().cloned().collect()
    }
}

/// The lock, whatever became of who had it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
