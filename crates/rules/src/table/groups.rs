//! Groups: rules that share everything but their strings, so that the kernel decides with one bit for each.

use std::collections::HashSet;

use hayward_model::{Mode, Response};
use jiff::Timestamp;

use super::{TableProblem, layout::MAX_GROUPS};
use crate::Rule;

/// What the rules of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group<'a> {
    pub(crate) enforce: bool,
    /// Enforcing ends no process: the agent answers the workload.
    pub(crate) milder: bool,
    pub(crate) allow: &'a [String],
    pub(crate) expires: Option<Timestamp>,
    pub(crate) needs_banned: bool,
    pub(crate) needs_executable: bool,
    /// Rules that need both must be told apart: the two hits have to come from the same one.
    alone: Option<usize>,
}

/// Sorts rules into groups: those that end processes first, then others that enforce. Returns the groups and the group of each rule.
pub(crate) fn group(rules: &[Rule]) -> Result<(Vec<Group<'_>>, Vec<usize>), Vec<TableProblem>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let group = of(index, rule);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.sort_by_key(|group| (!group.enforce, group.milder));
    if groups.len() > MAX_GROUPS {
        return Err(too_many(rules, &groups));
    }
    let of_rule = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let group = of(index, rule);
            groups
                .iter()
                .position(|other| *other == group)
                .unwrap_or_default()
        })
        .collect();
    Ok((groups, of_rule))
}

fn of(index: usize, rule: &Rule) -> Group<'_> {
    let (needs_banned, needs_executable) = (!rule.banned.is_empty(), !rule.executable.is_empty());
    let enforce = rule.mode == Mode::Enforce && rule.response != Some(Response::Observe);
    Group {
        enforce,
        milder: enforce && rule.response.is_some_and(|response| !response.kills()),
        allow: &rule.allow,
        expires: rule.expires,
        needs_banned,
        needs_executable,
        alone: (needs_banned && needs_executable).then_some(index),
    }
}

fn too_many(rules: &[Rule], groups: &[Group<'_>]) -> Vec<TableProblem> {
    let last = rules
        .iter()
        .enumerate()
        .find(|(index, rule)| of(*index, rule) == groups[MAX_GROUPS])
        .map(|(_, rule)| rule.origin.clone());
    vec![TableProblem {
        origin: last,
        message: format!(
            "the rules fall into {} groups and the kernel's table holds {MAX_GROUPS}: a group is a distinct combination of mode, response, allow patterns and expiry, and each rule with both `banned` and `executable` is one",
            groups.len()
        ),
        help: "move allow patterns from single rules to their file, or join rules that differ in nothing else".to_owned(),
    }]
}

/// Checks every allow pattern by itself, so that an error names the one that is wrong.
pub(crate) fn check_allow(rules: &[Rule]) -> Vec<TableProblem> {
    let mut checked: HashSet<&str> = HashSet::new();
    let mut problems = Vec::new();
    // The rules of a file follow one another and mostly have the file's patterns alone.
    for rule in rules
        .chunk_by(|one, other| one.allow == other.allow)
        .map(|run| &run[0])
    {
        for pattern in &rule.allow {
            if !checked.insert(pattern) {
                continue;
            }
            if let Err(reason) = super::check_allow(pattern) {
                let shown = if rule.secret {
                    "of a secret file"
                } else {
                    pattern
                };
                problems.push(TableProblem {
                    origin: Some(rule.origin.clone()),
                    message: format!(
                        "the allow pattern {shown} cannot be judged in the kernel: {reason}"
                    ),
                    help: super::ALLOW_HELP.to_owned(),
                });
            }
        }
    }
    problems
}
