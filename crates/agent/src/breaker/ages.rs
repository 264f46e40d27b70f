//! Since when each rule has been in force here, and which were tripped: in a file, so that a restart makes no rule new
//! and puts none in force.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use hayward_rules::Rule;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TripReport, until};

/// The file's name.
const NAME: &str = "rules-in-force.json";

/// By what a rule says, as its fingerprint: seconds since 1970, and more where it was tripped.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Content {
    since: BTreeMap<u64, i64>,
    #[serde(default)]
    tripped: BTreeMap<u64, TripReport>,
    /// Rules that an operator has put in force.
    #[serde(default)]
    trusted: Vec<u64>,
}

/// The file, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Ages {
    path: PathBuf,
    content: Content,
}

impl Ages {
    pub(super) fn open(folder: &Path) -> (Self, Option<String>) {
        let path = folder.join(NAME);
        let read = fs::read(&path).and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        let (content, problem) = match read {
            Ok(content) => (content, None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Content::default(), None),
            Err(error) => {
                let problem = format!(
                    "all rules count as new, since {} cannot be read: {error}",
                    path.display()
                );
                (Content::default(), Some(problem))
            }
        };
        (Self { path, content }, problem)
    }

    /// Notes which rules are in force from now on; those that were before keep their age.
    pub(super) fn note<'a>(&mut self, rules: impl Iterator<Item = &'a Rule>, now: Timestamp) {
        let before = std::mem::take(&mut self.content);
        for rule in rules {
            let key = fingerprint(rule);
            let since = before.since.get(&key).copied();
            self.content
                .since
                .insert(key, since.unwrap_or(now.as_second()));
            if let Some(trip) = before.tripped.get(&key) {
                self.content.tripped.insert(key, trip.clone());
            }
            if before.trusted.contains(&key) {
                self.content.trusted.push(key);
            }
        }
        if self.content.since != before.since {
            self.save();
        }
    }

    /// Whether a rule is tripped, and not too old for it.
    pub(super) fn trip(&self, rule: &Rule, young: Duration) -> Option<TripReport> {
        if self.content.tripped.is_empty() {
            return None;
        }
        let key = fingerprint(rule);
        let trip = self.content.tripped.get(&key)?;
        let until = until(self.since(key)?, young);
        (Timestamp::now() < until).then(|| TripReport {
            until,
            ..trip.clone()
        })
    }

    /// Trips a rule, where it is young and nobody has put it in force by hand.
    pub(super) fn trip_now(
        &mut self,
        rule: &Rule,
        workloads: usize,
        now: Timestamp,
        young: Duration,
    ) -> Option<TripReport> {
        let key = fingerprint(rule);
        let until = until(self.since(key)?, young);
        let known = self.content.tripped.contains_key(&key) || self.content.trusted.contains(&key);
        if now >= until || known {
            return None;
        }
        let trip = TripReport {
            rule: rule.id.clone(),
            at: now,
            until,
            workloads,
        };
        self.content.tripped.insert(key, trip.clone());
        self.save();
        Some(trip)
    }

    /// Puts a tripped rule in force. Says whether it was tripped.
    pub(super) fn reset(&mut self, rule: &Rule) -> bool {
        let key = fingerprint(rule);
        let was = self.content.tripped.remove(&key).is_some();
        if was {
            self.content.trusted.push(key);
            self.save();
        }
        was
    }

    fn since(&self, key: u64) -> Option<Timestamp> {
        Timestamp::from_second(*self.content.since.get(&key)?).ok()
    }

    /// What is in memory holds all the same where this fails.
    fn save(&self) {
        let saved = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile_in(folder)?;
            file.1.write_all(&serde_json::to_vec(&self.content)?)?;
            fs::rename(&file.0, &self.path)
        };
        if let Err(error) = saved() {
            tracing::warn!(
                "how long rules have been in force cannot be noted in {}: {error}; after a restart, new ones count as new again",
                self.path.display()
            );
        }
    }
}

/// A file beside the one that it will replace. Only root reads it: short secret strings could be guessed from it.
fn tempfile_in(folder: &Path) -> io::Result<(PathBuf, fs::File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(format!("{NAME}.new"));
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    Ok((path, file))
}

/// A number for what a rule says and does. Where it stands, and why, do not count.
fn fingerprint(rule: &Rule) -> u64 {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(rule.id.as_bytes());
    for banned in &rule.banned {
        add(banned);
    }
    for text in rule.executable.iter().chain(&rule.allow) {
        add(text.as_bytes());
    }
    add(format!("{:?} {:?}", rule.mode, rule.response).as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    u64::from_le_bytes([
        digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_says_something_else_is_another_and_one_that_has_moved_is_not() {
        let rule = Rule {
            banned: vec![b"ab".to_vec(), b"c".to_vec()],
            ..Rule::new("r", "file", 1)
        };
        let moved = Rule {
            origin: Rule::new("r", "elsewhere", 9).origin,
            ..rule.clone()
        };
        assert_eq!(fingerprint(&rule), fingerprint(&moved));
        let changed = Rule {
            banned: vec![b"a".to_vec(), b"bc".to_vec()],
            ..rule.clone()
        };
        assert_ne!(fingerprint(&rule), fingerprint(&changed));
    }

    #[test]
    fn a_damaged_file_makes_all_rules_new_and_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(NAME), "{\"since\": 7").expect("a file");
        let (ages, problem) = Ages::open(folder.path());
        assert!(problem.is_some_and(|problem| problem.contains("count as new")));
        assert!(ages.content.since.is_empty());
    }

    #[test]
    fn reading_damaged_ages_never_panics() {
        use hayward_fuzz::{Corpus, throw};
        let good = r#"{"since":{"7":1800000000},"tripped":{"7":{"rule":"r","at":"2026-01-01T00:00:00Z","until":"2026-01-02T00:00:00Z","workloads":11}},"trusted":[7]}"#;
        let corpus = Corpus::new([good], ["18446744073709551615", "-1", "null"]);
        throw(300, &corpus.damaged(), |input| {
            let _ = serde_json::from_slice::<Content>(&input.0);
            Ok(())
        });
    }
}
