//! One rule file: its format, and from there to validated rules.

use hayward_model::{Mode, Response};
use hayward_yaml::{Problem, Spanned, line_of};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;

use crate::{Origin, Rule, table};

/// A rule file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    #[serde(default)]
    banned: Vec<Spanned<String>>,
    #[serde(default)]
    executable: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    expires: Option<Spanned<String>>,
}

/// Parses and validates one file. All problems are told, not the first alone.
pub(crate) fn parse(name: &str, text: &str, secret: bool) -> Result<Vec<Rule>, Vec<Problem>> {
    let raw: RawFile =
        hayward_yaml::parse(name, text).map_err(|problem| vec![veil(problem, secret)])?;
    let mut problems = Vec::new();
    let mut rules = Vec::new();
    let mode = raw.mode.unwrap_or(Mode::Enforce);
    problems.extend(check_allow(name, &raw.allow, secret));
    for spanned in raw.rules {
        let origin = Origin {
            file: name.to_owned(),
            line: line_of(&spanned),
        };
        let raw_rule = spanned.value;
        problems.extend(check(&raw_rule, &origin, secret));
        let expires = raw_rule.expires.as_ref().map(|spanned| {
            let text = &spanned.value;
            instant(text).ok_or_else(|| Problem {
                file: origin.file.clone(),
                line: line_of(spanned),
                message: if secret {
                    "`expires` is no date".to_owned()
                } else {
                    format!("`expires: {text}` is no date")
                },
                help: "write a day (2027-01-01) or an instant (2027-01-01T12:00:00Z)".to_owned(),
            })
        });
        let expires = match expires.transpose() {
            Ok(expires) => expires,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        rules.push(Rule {
            id: raw_rule.id,
            banned: raw_rule
                .banned
                .into_iter()
                .map(|text| text.value.into_bytes())
                .collect(),
            executable: raw_rule
                .executable
                .into_iter()
                .map(|glob| glob.value)
                .collect(),
            allow: raw
                .allow
                .iter()
                .chain(&raw_rule.allow)
                .map(|pattern| pattern.value.clone())
                .collect(),
            mode: mode.and(raw_rule.mode.unwrap_or(Mode::Enforce)),
            response: raw_rule.response,
            reason: raw_rule.reason,
            source: raw_rule.source,
            expires,
            secret,
            origin,
        });
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems)
    }
}

/// Allow patterns, each by itself, so that an error names its line.
pub(crate) fn check_allow(file: &str, patterns: &[Spanned<String>], secret: bool) -> Vec<Problem> {
    let problem = |pattern: &Spanned<String>| {
        let reason = table::check_allow(&pattern.value).err()?;
        let shown = if secret {
            "of a secret file"
        } else {
            &pattern.value
        };
        Some(Problem {
            file: file.to_owned(),
            line: line_of(pattern),
            message: format!("the allow pattern {shown} cannot be judged in the kernel: {reason}"),
            help: table::ALLOW_HELP.to_owned(),
        })
    };
    patterns.iter().filter_map(problem).collect()
}

fn check(rule: &RawRule, origin: &Origin, secret: bool) -> Vec<Problem> {
    let problem = |line: usize, message: String, help: &str| Problem {
        file: origin.file.clone(),
        line,
        message,
        help: help.to_owned(),
    };
    let mut problems = Vec::new();
    if rule.id.trim().is_empty() {
        let help = "give the rule a unique `id`, which logs and metrics will show";
        problems.push(problem(
            origin.line,
            "a rule has an empty id".to_owned(),
            help,
        ));
    }
    if is_reserved(&rule.id) {
        let message = format!("the id {} is one that Hayward uses itself", rule.id);
        let help = "rename the rule: ids that begin with hayward/, and egress, fileless, pool, randomx and unscanned, are reserved";
        problems.push(problem(origin.line, message, help));
    }
    if rule.response == Some(Response::Deny) {
        let message = format!(
            "rule {} is to deny what it bans, and that has begun",
            rule.id
        );
        let help = "write observe, throttle, quarantine, freeze, kill, kill-workload or evict";
        problems.push(problem(origin.line, message, help));
    }
    if rule.banned.is_empty() && rule.executable.is_empty() {
        let message = format!("rule {} has neither `banned` nor `executable`", rule.id);
        problems.push(problem(
            origin.line,
            message,
            "say what it bans, or remove it",
        ));
    }
    for text in &rule.banned {
        if text.value.trim().is_empty() {
            let message = format!("rule {} bans an empty string", rule.id);
            let help = "an empty string would be found everywhere: remove it";
            problems.push(problem(line_of(text), message, help));
        }
        if text.value.contains('\0') {
            let message = format!("rule {} bans a string with a NUL byte", rule.id);
            let help = "arguments are joined by spaces: write a space";
            problems.push(problem(line_of(text), message, help));
        }
    }
    for glob in &rule.executable {
        if glob.value.is_empty() {
            let message = format!("rule {} has an empty executable", rule.id);
            problems.push(problem(line_of(glob), message, table::EXECUTABLE_HELP));
        } else if let Err(reason) = table::check_executable(&glob.value) {
            let shown = if secret {
                "of a secret file"
            } else {
                &glob.value
            };
            let message = format!("the executable {shown} is no glob: {reason}");
            problems.push(problem(line_of(glob), message, table::EXECUTABLE_HELP));
        }
    }
    problems.extend(check_allow(&origin.file, &rule.allow, secret));
    problems
}

/// Ids of the agent's own rules, and those that stand in records for a setting which decided.
pub(crate) fn is_reserved(id: &str) -> bool {
    id.starts_with("hayward/")
        || ["egress", "fileless", "pool", "randomx", "unscanned"].contains(&id)
}

/// Errors about secret files name file and line, and quote nothing.
pub(crate) fn veil(problem: Problem, secret: bool) -> Problem {
    if secret {
        Problem {
            message: "the decrypted text is no rule file".to_owned(),
            help: "decrypt it with `hayward rules decrypt`, and test what comes of it".to_owned(),
            ..problem
        }
    } else {
        problem
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}
