//! What changes between two sets of rules, by id.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Rule;

/// Ids of rules that differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RuleDifference {
    /// Only in the new set.
    pub added: Vec<String>,
    /// Only in the old set.
    pub removed: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
}

/// Compares two sets. Where a rule stands does not matter, and neither does the order.
pub fn diff(old: &[Rule], new: &[Rule]) -> RuleDifference {
    let (old, new) = (by_id(old), by_id(new));
    let same = |one: &Rule, other: &Rule| {
        one == other
            || *one
                == Rule {
                    origin: one.origin.clone(),
                    ..other.clone()
                }
    };
    RuleDifference {
        added: new
            .keys()
            .filter(|id| !old.contains_key(*id))
            .map(|id| (*id).to_owned())
            .collect(),
        removed: old
            .keys()
            .filter(|id| !new.contains_key(*id))
            .map(|id| (*id).to_owned())
            .collect(),
        changed: new
            .iter()
            .filter(|(id, rule)| old.get(*id).is_some_and(|former| !same(former, rule)))
            .map(|(id, _)| (*id).to_owned())
            .collect(),
    }
}

fn by_id(rules: &[Rule]) -> BTreeMap<&str, &Rule> {
    rules.iter().map(|rule| (rule.id.as_str(), rule)).collect()
}
