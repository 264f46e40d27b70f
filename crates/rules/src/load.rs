//! From the `rules` of settings to one set of rules: built-in, files, globs, encrypted files.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use hayward_yaml::Problem;
use jiff::Timestamp;

use crate::{Rule, builtin::BUILTIN, cryptnono, file, secret};

/// Everything that is wrong with the rule files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", hayward_yaml::join(.problems))]
pub struct RulesError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFile {
    /// Its path, or `builtin/...`.
    pub path: String,
    /// How many rules it holds.
    pub rules: usize,
    /// It was encrypted.
    pub secret: bool,
}

/// Rules of all files, and what was noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleSet {
    /// The rules, in the order of the files.
    pub rules: Vec<Rule>,
    /// The files.
    pub files: Vec<RuleFile>,
    /// What operators should know, and is no error.
    pub notices: Vec<String>,
}

/// Reads `builtin`, files, and globs (`*` in the last component; one that finds nothing is fine). `identity` is the
/// file with the age identities for `*.age` files.
pub fn load(sources: &[String], identity: Option<&Path>) -> Result<RuleSet, RulesError> {
    let mut set = RuleSet::default();
    let mut problems = Vec::new();
    for source in sources {
        if source == "builtin" {
            for (name, text) in BUILTIN {
                add(&mut set, &mut problems, name, text, false);
            }
            continue;
        }
        match expand(source) {
            Ok(paths) => {
                for path in paths {
                    let name = path.display().to_string();
                    let secret = is_secret(&name);
                    match read(&path, identity) {
                        Ok(text) => {
                            add(&mut set, &mut problems, &name, &text, secret);
                        }
                        Err(problem) => problems.push(problem),
                    }
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(duplicates(&set.rules));
    drop_expired(&mut set);
    if problems.is_empty() {
        Ok(set)
    } else {
        Err(RulesError { problems })
    }
}

/// The files that [`load`] would read now, so that whoever waits for changes knows where to look.
pub fn files(sources: &[String]) -> Vec<PathBuf> {
    let named = sources.iter().filter(|source| *source != "builtin");
    named
        .filter_map(|source| expand(source).ok())
        .flatten()
        .collect()
}

/// Parses one file's bytes, as `load` does. Never panics, whatever the bytes.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Vec<Rule>, RulesError> {
    let rules = match std::str::from_utf8(bytes) {
        Ok(text) => parse_text(name, text, false),
        Err(error) => Err(vec![not_utf8(name, error.valid_up_to(), bytes)]),
    };
    rules.map_err(|problems| RulesError { problems })
}

fn not_utf8(name: &str, valid: usize, bytes: &[u8]) -> Problem {
    let newlines = bytes
        .get(..valid)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
        .count();
    Problem {
        file: name.to_owned(),
        line: newlines,
        message: "the file is not UTF-8".to_owned(),
        help: "save it as UTF-8".to_owned(),
    }
}

fn parse_text(name: &str, text: &str, secret: bool) -> Result<Vec<Rule>, Vec<Problem>> {
    if cryptnono::is_cryptnono(text) {
        cryptnono::parse(name, text, secret)
    } else {
        file::parse(name, text, secret)
    }
}

fn add(set: &mut RuleSet, problems: &mut Vec<Problem>, name: &str, text: &str, secret: bool) {
    let cryptnono = cryptnono::is_cryptnono(text);
    match parse_text(name, text, secret) {
        Ok(rules) => {
            if cryptnono {
                let notices = cryptnono::notices(&rules);
                set.notices
                    .extend(notices.into_iter().map(|note| format!("{name}: {note}")));
            }
            set.files.push(RuleFile {
                path: name.to_owned(),
                rules: rules.len(),
                secret,
            });
            set.rules.extend(rules);
        }
        Err(more) => problems.extend(more),
    }
}

fn is_secret(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "age")
}

fn read(path: &Path, identity: Option<&Path>) -> Result<String, Problem> {
    let name = path.display().to_string();
    let problem = |message: String, help: &str| Problem {
        file: name.clone(),
        line: 0,
        message,
        help: help.to_owned(),
    };
    let bytes = fs::read(path).map_err(|error| {
        problem(
            format!("cannot be read: {error}"),
            "check the path and its permissions",
        )
    })?;
    let bytes = if is_secret(&name) {
        let identity = identity.ok_or_else(|| {
            problem(
                "is encrypted and no identity is set".to_owned(),
                "name a file of age identities: `identity` in settings, --identity on the command line",
            )
        })?;
        secret::decrypt(&bytes, identity).map_err(|error| {
            problem(
                error.to_string(),
                "check which identities are named, and for whom the file was encrypted",
            )
        })?
    } else {
        bytes
    };
    String::from_utf8(bytes)
        .map_err(|error| not_utf8(&name, error.utf8_error().valid_up_to(), error.as_bytes()))
}

/// A path without `*` is itself, and must be there when it is read; a glob is what its folder holds, sorted.
pub(crate) fn expand(source: &str) -> Result<Vec<PathBuf>, Problem> {
    let path = Path::new(source);
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    if name.matches('*').count() > 1 || folder.to_string_lossy().contains('*') {
        return Err(Problem {
            file: source.to_owned(),
            line: 0,
            message: "a rules glob holds one `*`, in its last component".to_owned(),
            help: "name the folders one by one".to_owned(),
        });
    }
    let Some((prefix, suffix)) = name.split_once('*') else {
        return Ok(vec![path.to_owned()]);
    };
    // A glob without a folder is looked for in the one that the program runs in.
    let here = folder.as_os_str().is_empty();
    let Ok(entries) = fs::read_dir(if here { Path::new(".") } else { folder }) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.len() >= prefix.len() + suffix.len()
                && name.starts_with(prefix)
                && name.ends_with(suffix)
                && !name.starts_with('.')
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    Ok(paths)
}

fn duplicates(rules: &[Rule]) -> Vec<Problem> {
    let mut seen: HashMap<&str, &Rule> = HashMap::new();
    let mut problems = Vec::new();
    for rule in rules {
        if let Some(first) = seen.insert(&rule.id, rule) {
            problems.push(Problem {
                file: rule.origin.file.clone(),
                line: rule.origin.line,
                message: format!("the id {} is taken already, at {}", rule.id, first.origin),
                help: "ids are unique over all files: rename one of the two".to_owned(),
            });
        }
    }
    problems
}

fn drop_expired(set: &mut RuleSet) {
    let now = Timestamp::now();
    let notices = &mut set.notices;
    set.rules.retain(|rule| {
        let live = rule.expires.is_none_or(|expires| expires > now);
        if !live {
            notices.push(format!(
                "{}: rule {} has expired and is left out",
                rule.origin, rule.id
            ));
        }
        live
    });
}
