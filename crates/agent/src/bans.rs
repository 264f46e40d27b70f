//! Ban lists: which are in force, what each is called in the kernel's map, and what each has refused.

use std::{
    collections::BTreeMap,
    sync::{MutexGuard, PoisonError},
};

use hayward_kernel::{BanMap, EgressNames, KernelError, Pins};
use hayward_model::Guard;
use hayward_policy::Policy;
use hayward_rules::{BanList, MOST_BAN_LISTS, RulesError, banned_names, bans, load_bans};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{agent::Agent, pipeline::Pipeline};

/// The ban lists of settings.
pub fn bans_of(policy: &Policy) -> Result<Vec<BanList>, RulesError> {
    load_bans(&policy.egress.bans.lists, policy.egress.bans.widest)
}

/// A ban list in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BanReport {
    /// The file's path.
    pub name: String,
    /// Where it came from, as its comments say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of when it is, as its comments say, or when the file was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
    /// Addresses and prefixes in it.
    pub prefixes: usize,
    /// Names in it.
    pub names: usize,
    /// What it has refused since it was first read.
    pub refused: u64,
}

/// The lists in force, by their numbers in the kernel's map.
#[derive(Debug, Default)]
pub(crate) struct BanLists {
    lists: BTreeMap<u8, BanReport>,
}

impl BanLists {
    pub(crate) fn name_of(&self, number: u8) -> Option<String> {
        Some(self.lists.get(&number)?.name.clone())
    }

    /// Numbers for lists: those that were there keep theirs, and what they have refused so far.
    fn numbered(&self, lists: &[BanList]) -> BTreeMap<u8, BanReport> {
        let known = |name: &str| {
            let mut all = self.lists.iter();
            all.find(|(_, list)| list.name == name)
                .map(|(number, _)| *number)
        };
        let kept: Vec<Option<u8>> = lists.iter().map(|list| known(&list.name)).collect();
        let most = u8::try_from(MOST_BAN_LISTS).unwrap_or(u8::MAX);
        let mut free = (0..most).filter(|number| !kept.contains(&Some(*number)));
        let numbers = kept
            .iter()
            .filter_map(|number| number.or_else(|| free.next()));
        let reports = lists.iter().map(|list| BanReport {
            name: list.name.clone(),
            source: list.source.clone(),
            date: list.date,
            prefixes: list.nets.len(),
            names: list.names.len(),
            refused: 0,
        });
        numbers.zip(reports).collect()
    }
}

impl Pipeline {
    pub(crate) fn bans(&self) -> MutexGuard<'_, BanLists> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Agent {
    /// Has the kernel refuse what these lists ban, and nothing that only earlier ones did.
    pub(crate) fn put_bans_in_force(
        &self,
        policy: &Policy,
        lists: &[BanList],
    ) -> Result<(), KernelError> {
        if !policy.lists(Guard::Egress) || !self.judges_packets() {
            return Ok(());
        }
        let map = BanMap::open(&Pins::new(&policy.pins))?;
        let mut current = self.pipeline.bans();
        let numbered = current.numbered(lists);
        let is_new = |number: &u8, list: &BanReport| {
            let before = current.lists.get(number);
            before.is_none_or(|before| before.name != list.name)
        };
        for (number, list) in &numbered {
            if is_new(number, list) {
                map.forget(*number)?;
            }
        }
        let number = |name: &str| {
            let mut all = numbered.iter();
            all.find(|(_, list)| list.name == name)
                .map(|(number, _)| *number)
        };
        let exceptions = &policy.egress.bans;
        map.replace(&bans(lists, &exceptions.exceptions, number))?;
        let names = EgressNames::open(&Pins::new(&policy.pins))?;
        names.ban(&banned_names(lists, &exceptions.exception_names, number))?;
        current.lists = numbered;
        Ok(())
    }

    /// The ban lists in force.
    pub fn ban_lists(&self) -> Result<Vec<BanReport>, KernelError> {
        let lists = self.pipeline.bans().lists.clone();
        if lists.is_empty() {
            return Ok(Vec::new());
        }
        let map = BanMap::open(&Pins::new(&self.policy().pins))?;
        let reports = lists.into_iter().map(|(number, list)| {
            Ok(BanReport {
                refused: map.refused(number)?,
                ..list
            })
        });
        let mut reports = reports.collect::<Result<Vec<_>, KernelError>>()?;
        reports.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str) -> BanList {
        BanList {
            name: name.to_owned(),
            source: None,
            date: None,
            nets: Vec::new(),
            names: Vec::new(),
        }
    }

    #[test]
    fn a_list_keeps_its_number_for_as_long_as_it_is_there() {
        let mut lists = BanLists::default();
        let mut names = |wanted: &[&str]| {
            let wanted: Vec<BanList> = wanted.iter().map(|name| list(name)).collect();
            lists.lists = lists.numbered(&wanted);
            let names = lists.lists.iter();
            names
                .map(|(number, list)| format!("{number}{}", list.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&["a", "b", "c"]), ["0a", "1b", "2c"]);
        assert_eq!(names(&["d", "c"]), ["0d", "2c"]);
        assert_eq!(names(&["a", "c", "d"]), ["0d", "1a", "2c"]);
    }
}
