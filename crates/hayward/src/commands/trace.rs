//! `hayward trace`: who got in touch with the address that an abuse letter names.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
};

use hayward_model::{Contact, Guard, Workload};
use hayward_policy::Policy;
use hayward_record::{JournalError, Reader, contacts};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    cli::{Sought, TraceArguments},
    failure::Failure,
    show,
};

/// So many are shown, the newest: who looks for one does not read more.
const MOST_SHOWN: usize = 10_000;

/// From when and until when.
type Window = (Timestamp, Timestamp);

pub(crate) fn trace(asked: &TraceArguments, json: bool) -> Result<(), Failure> {
    let policy = Policy::load(asked.config.file().as_deref())?;
    let folder = contacts::folder(&policy.journal.path);
    let window = asked.at.map(|at| {
        let from = at.checked_sub(asked.window).unwrap_or(Timestamp::MIN);
        let until = at.checked_add(asked.window).unwrap_or(Timestamp::MAX);
        (from, until)
    });
    let mut found = Found::default();
    match Reader::open(&folder).and_then(|reader| reader.contacts()) {
        Ok(mut log) => {
            for contact in log.by_ref() {
                found.take(contact?, &asked.to, window);
            }
            if log.unreadable() > 0 {
                eprintln!(
                    "hayward: {} of the log cannot be read",
                    lines(log.unreadable())
                );
            }
        }
        Err(JournalError::Missing { .. }) => {}
        Err(JournalError::Read { path, source }) => {
            let (path, help) = (path.display(), "run this as root");
            let message = format!("cannot read the log of contacts at {path}: {source}; {help}");
            return Err(Failure::Other(anyhow::anyhow!(message)));
        }
        Err(error) => return Err(error.into()),
    }
    if found.is_empty() {
        let nothing = found.nothing(&asked.to, window, &folder);
        return Err(Failure::NotSo(format!("{nothing}{}", unlogged(&policy))));
    }
    for remark in found.remarks(window) {
        eprintln!("hayward: {remark}");
    }
    found.show(json)
}

fn lines(count: u64) -> String {
    show::count_of(count, "line")
}

/// Why nothing more will come.
fn unlogged(policy: &Policy) -> &'static str {
    if !policy.lists(Guard::Outbound) {
        "; contacts are seen by the guard `outbound`, which is not listed under `guards`"
    } else if !policy.outbound.log.enabled {
        "; by `log: none` of the guard `outbound`, none are logged"
    } else {
        ""
    }
}

/// What the log holds of contacts with those who are looked for.
#[derive(Debug, Default)]
struct Found {
    within: VecDeque<Contact>,
    /// Older ones within, past [`MOST_SHOWN`].
    left_out: u64,
    /// Before the window: the latest of each workload.
    before: BTreeMap<(u64, String), Contact>,
    /// When the oldest contact of the log was made, whoever made it.
    reaches: Option<Timestamp>,
}

/// One contact for programs.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    contact: &'a Contact,
    /// It was made before the window.
    before: bool,
}

impl Found {
    fn take(&mut self, contact: Contact, sought: &Sought, window: Option<Window>) {
        self.reaches.get_or_insert(contact.time);
        if !sought.holds(&contact.destination) {
            return;
        }
        match window {
            Some((_, until)) if contact.time > until => {}
            Some((from, _)) if contact.time < from => {
                self.before.insert(key(&contact.workload), contact);
            }
            _ => {
                self.within.push_back(contact);
                if self.within.len() > MOST_SHOWN {
                    self.within.pop_front();
                    self.left_out += 1;
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.within.is_empty() && self.before.is_empty()
    }

    fn nothing(&self, sought: &Sought, window: Option<Window>, folder: &Path) -> String {
        let until = window.map(|(_, until)| format!(" until {}", time(until)));
        let reaches = self.reaches.map_or_else(
            || format!("nothing is logged in {}", folder.display()),
            |oldest| format!("the log reaches back to {}", time(oldest)),
        );
        let until = until.unwrap_or_default();
        format!("no workload is known to have got in touch with {sought}{until}: {reaches}")
    }

    /// What must be known to understand what is shown.
    fn remarks(&self, window: Option<Window>) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.left_out > 0 {
            let left_out = show::count_of(self.left_out, "older contact");
            remarks.push(format!("{left_out} left out: narrow it by --at or a port"));
        }
        let Some((from, until)) = window else {
            return remarks;
        };
        if self.within.is_empty() {
            remarks.push(format!(
                "no contact from {} to {}; a contact is logged once while it is known, so these, the latest before, may have gone on",
                time(from),
                time(until)
            ));
            return remarks;
        }
        let within: BTreeSet<_> = self.within.iter().map(|it| key(&it.workload)).collect();
        let others = self
            .before
            .keys()
            .filter(|workload| !within.contains(workload));
        match others.count() {
            0 => {}
            count => remarks.push(format!(
                "{} more got in touch before {}, and may have been still: leave out --at to see them",
                show::count(count, "workload"),
                time(from)
            )),
        }
        remarks
    }

    /// Oldest first.
    fn show(self, json: bool) -> Result<(), Failure> {
        let before = self.within.is_empty();
        let mut contacts: Vec<Contact> = if before {
            self.before.into_values().collect()
        } else {
            self.within.into()
        };
        contacts.sort_by_key(|contact| contact.time);
        if json {
            for contact in &contacts {
                let line = serde_json::to_string(&Shown { contact, before })?;
                if show::try_line(&line).is_break() {
                    break;
                }
            }
            return Ok(());
        }
        let rows: Vec<Vec<String>> = contacts.iter().map(row).collect();
        show::table(
            &["TIME (UTC)", "WORKLOAD", "PROCESS", "USER", "DESTINATION"],
            &rows,
        );
        Ok(())
    }
}

/// Ids are given anew after a boot.
fn key(workload: &Workload) -> (u64, String) {
    (workload.cgroup_id, workload.cgroup.clone())
}

fn row(contact: &Contact) -> Vec<String> {
    let unknown = || "-".to_owned();
    let process = contact.process.as_ref();
    let workload = match contact.workload.name.as_str() {
        // It had gone before the agent could look.
        "" => format!("cgroup {}", contact.workload.cgroup_id),
        name => show::printable(name),
    };
    vec![
        time(contact.time),
        workload,
        process.map_or_else(unknown, |it| {
            format!("{} {}", show::printable(&it.comm), it.pid)
        }),
        process.map_or_else(unknown, |it| it.uid.to_string()),
        contact.destination.to_string(),
    ]
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
#[path = "trace/tests.rs"]
mod tests;
