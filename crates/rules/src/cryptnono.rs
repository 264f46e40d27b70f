//! cryptnono's rule files: `{"bannedCommandStrings": [...], "allowedCommandPatterns": [...]}`, loaded unchanged.

use hayward_model::Mode;
use hayward_yaml::{Problem, Spanned, line_of};
use serde::Deserialize;

use crate::{Origin, Rule};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    banned_command_strings: Vec<Spanned<String>>,
    #[serde(default)]
    allowed_command_patterns: Vec<String>,
}

/// Whether a text looks like such a file.
pub(crate) fn is_cryptnono(text: &str) -> bool {
    text.contains("bannedCommandStrings") || text.contains("allowedCommandPatterns")
}

/// Parses such a file. Ids come from the strings themselves, so that a line added renames no other rule.
pub(crate) fn parse(name: &str, text: &str, secret: bool) -> Result<Vec<Rule>, Vec<Problem>> {
    let raw: Raw = hayward_yaml::parse(name, text).map_err(|problem| vec![problem])?;
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.split('.').next().unwrap_or(stem);
    let mut rules: Vec<Rule> = Vec::new();
    for text in raw.banned_command_strings {
        let line = line_of(&text);
        if text.value.trim().is_empty() {
            return Err(vec![Problem {
                file: name.to_owned(),
                line,
                message: "an empty banned string".to_owned(),
                help: "an empty string would be found everywhere: remove it".to_owned(),
            }]);
        }
        let id = format!("{stem}/{:08x}", fingerprint(text.value.as_bytes()));
        if rules.iter().any(|rule| rule.id == id) {
            continue;
        }
        rules.push(Rule {
            id,
            banned: vec![text.value.into_bytes()],
            executable: Vec::new(),
            allow: raw.allowed_command_patterns.clone(),
            mode: Mode::Enforce,
            response: None,
            reason: None,
            source: None,
            expires: None,
            secret,
            origin: Origin {
                file: name.to_owned(),
                line,
            },
        });
    }
    Ok(rules)
}

/// Patterns whose meaning changes: cryptnono anchors them at the start alone, Hayward at both ends.
pub(crate) fn changed_patterns(rules: &[Rule]) -> Vec<String> {
    let mut changed: Vec<String> = Vec::new();
    for pattern in rules
        .iter()
        .filter(|rule| !rule.secret)
        .flat_map(|rule| &rule.allow)
    {
        if !pattern.ends_with(".*") && !pattern.ends_with('$') && !changed.contains(pattern) {
            changed.push(pattern.clone());
        }
    }
    changed
}

/// FNV-1a (32 bits, constants of the published algorithm): stable over versions, which a hasher of the standard
/// library is not.
fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
