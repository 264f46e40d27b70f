//! Which records are asked for.

use hayward_model::{Action, Guard, Record};
use jiff::Timestamp;

/// A question to the journal. Every field that is set must hold; an empty query asks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Not after this time.
    pub until: Option<Timestamp>,
    /// Of this guard.
    pub guard: Option<Guard>,
    /// With this action.
    pub action: Option<Action>,
    /// Of the rule with this id.
    pub rule: Option<String>,
    /// Part of the workload's name, cgroup path, container id or pod UID.
    pub workload: Option<String>,
    /// Whose process it was.
    pub user: Option<User>,
    /// The record with this id; the case of letters does not count.
    pub id: Option<String>,
    /// At most so many records.
    pub limit: Option<usize>,
    /// From which end.
    pub order: Order,
}

/// In which order records come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// In the order in which they were written.
    #[default]
    OldestFirst,
    /// The last written first.
    NewestFirst,
}

/// A user, by number or by what the workload's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// Real user id on the host.
    Uid(u32),
    /// Part of the workload's name.
    Name(String),
}

impl From<&str> for User {
    /// Digits are a user id, all else is part of a name.
    fn from(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::Name(text.to_owned()), Self::Uid)
    }
}

impl User {
    fn matches(&self, record: &Record) -> bool {
        match self {
            Self::Uid(uid) => record
                .process
                .as_ref()
                .is_some_and(|process| process.uid == *uid),
            Self::Name(part) => record
                .workload
                .as_ref()
                .is_some_and(|workload| workload.name.contains(part.as_str())),
        }
    }
}

impl Query {
    /// Whether a record is asked for, `limit` and `order` aside.
    pub fn matches(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
            && self.guard.is_none_or(|guard| record.guard == Some(guard))
            && self.action.is_none_or(|action| record.action == action)
            && (self.rule.is_none() || record.rule == self.rule)
            && self
                .id
                .as_ref()
                .is_none_or(|id| id.eq_ignore_ascii_case(&record.id))
            && self
                .workload
                .as_ref()
                .is_none_or(|part| names_workload(record, part))
            && self.user.as_ref().is_none_or(|user| user.matches(record))
    }
}

fn names_workload(record: &Record, part: &str) -> bool {
    record.workload.as_ref().is_some_and(|workload| {
        [Some(&workload.name), Some(&workload.cgroup)]
            .into_iter()
            .chain([workload.container_id.as_ref(), workload.pod_uid.as_ref()])
            .flatten()
            .any(|name| name.contains(part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::samples;

    #[test]
    fn each_field_holds_or_not() {
        let record = samples::killed(100, "xmrig", "jupyter-ann");
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let query = Query::default;
        let table = [
            (query(), true),
            (
                Query {
                    since: at(100),
                    until: at(100),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    since: at(101),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    until: at(99),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    guard: Some(Guard::Command),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    action: Some(Action::Killed),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    action: Some(Action::Spared),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    rule: Some("xmrig".into()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    rule: Some("xmr".into()),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    workload: Some("ter-a".into()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    workload: Some("0123456789ab".into()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    workload: Some("bob".into()),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    user: Some("1000".into()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    user: Some("1001".into()),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    user: Some("ann".into()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    user: Some("bob".into()),
                    ..query()
                },
                false,
            ),
            (
                Query {
                    id: Some(record.id.to_lowercase()),
                    ..query()
                },
                true,
            ),
            (
                Query {
                    id: Some("0".into()),
                    ..query()
                },
                false,
            ),
        ];
        for (query, expected) in table {
            assert_eq!(query.matches(&record), expected, "{query:?}");
        }
    }
}
