//! cryptnono's rule files: `{"bannedCommandStrings": [...], "allowedCommandPatterns": [...]}`, loaded unchanged.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use hayward_model::Mode;
use hayward_yaml::{Problem, Spanned, line_of};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    Origin, Rule, compat,
    file::{check_allow, is_reserved, veil},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    banned_command_strings: Vec<Spanned<String>>,
    #[serde(default)]
    allowed_command_patterns: Vec<Spanned<String>>,
}

/// The keys that tell such a file from ours, whatever else is in it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    #[serde(default)]
    banned_command_strings: Option<IgnoredAny>,
    #[serde(default)]
    allowed_command_patterns: Option<IgnoredAny>,
}

/// Whether a text is such a file. Our own may speak of its keys, in a comment or as a banned string.
pub(crate) fn is_cryptnono(text: &str) -> bool {
    (text.contains("bannedCommandStrings") || text.contains("allowedCommandPatterns"))
        && hayward_yaml::parse::<Keys>("", text).is_ok_and(|keys| {
            keys.banned_command_strings.is_some() || keys.allowed_command_patterns.is_some()
        })
}

/// Parses such a file. Ids come from the strings themselves, so that a line added renames no other rule. Those of a secret
/// file come from places alone: with an id made of its string, whoever sees records could check guesses.
pub(crate) fn parse(name: &str, text: &str, secret: bool) -> Result<Vec<Rule>, Vec<Problem>> {
    let raw: Raw =
        hayward_yaml::parse(name, text).map_err(|problem| vec![veil(problem, secret)])?;
    let stem = name.rsplit('/').next().unwrap_or(name);
    let stem = stem.split('.').next().unwrap_or(stem);
    if is_reserved(&format!("{stem}/")) {
        return Err(vec![Problem {
            file: name.to_owned(),
            line: 0,
            message: "ids that begin with hayward/ are ones that Hayward uses itself".to_owned(),
            help: "rename the file: the ids of its rules begin with its name".to_owned(),
        }]);
    }
    let problems = check_allow(name, &raw.allowed_command_patterns, secret);
    if !problems.is_empty() {
        return Err(problems);
    }
    let allow: Vec<String> = raw
        .allowed_command_patterns
        .into_iter()
        .map(|pattern| pattern.value)
        .collect();
    let mut rules: Vec<Rule> = Vec::new();
    let mut of_id: HashMap<String, usize> = HashMap::new();
    let mut texts: HashSet<Vec<u8>> = HashSet::new();
    for (index, text) in raw.banned_command_strings.into_iter().enumerate() {
        let line = line_of(&text);
        if text.value.trim().is_empty() {
            return Err(vec![Problem {
                file: name.to_owned(),
                line,
                message: "an empty banned string".to_owned(),
                help: "an empty string would be found everywhere: remove it".to_owned(),
            }]);
        }
        if text.value.contains('\0') {
            return Err(vec![Problem {
                file: name.to_owned(),
                line,
                message: "a banned string with a NUL byte".to_owned(),
                help: "arguments are joined by spaces: write a space".to_owned(),
            }]);
        }
        let text = text.value.into_bytes();
        if !texts.insert(text.clone()) {
            continue;
        }
        let id = if secret {
            format!("{stem}/{}", index + 1)
        } else {
            format!("{stem}/{:08x}", fingerprint(&text))
        };
        match of_id.entry(id.clone()) {
            Entry::Vacant(place) => {
                place.insert(rules.len());
            }
            // Two strings may have one fingerprint: then they are one rule, and both stay banned.
            Entry::Occupied(place) => {
                if let Some(rule) = rules.get_mut(*place.get()) {
                    rule.banned.push(text);
                }
                continue;
            }
        }
        rules.push(Rule {
            id,
            banned: vec![text],
            executable: Vec::new(),
            allow: allow.clone(),
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

/// What operators must know of the patterns whose meaning changes, each once.
pub(crate) fn notices(rules: &[Rule]) -> Vec<String> {
    let open = rules.iter().filter(|rule| !rule.secret);
    let mut patterns: Vec<String> = Vec::new();
    for pattern in open.flat_map(|rule| &rule.allow) {
        if !patterns.contains(pattern) {
            patterns.push(pattern.clone());
        }
    }
    compat::anchored(&patterns)
        .map(compat::anchoring_note)
        .collect()
}

/// FNV-1a (32 bits, constants of the published algorithm): stable over versions, which a hasher of the standard
/// library is not.
fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<Rule> {
        parse("a/hidden.json", text, false).expect("a good file")
    }

    #[test]
    fn a_string_given_twice_is_one_rule_and_strings_with_one_fingerprint_stay_banned() {
        // A known collision of FNV-1a with 32 bits.
        assert_eq!(fingerprint(b"costarring"), fingerprint(b"liquid"));
        let rules = parsed(r#"{"bannedCommandStrings": ["costarring", "x", "x", "liquid"]}"#);
        let banned: Vec<_> = rules.iter().map(|rule| rule.banned.len()).collect();
        assert_eq!(banned, [2, 1]);
        assert!(rules.iter().all(|rule| rule.id.starts_with("hidden/")));
    }

    #[test]
    fn ids_of_a_secret_file_are_places_and_say_nothing_of_the_strings() {
        let ids = |text: &str| -> Vec<String> {
            let rules = parse("a/hidden.json.age", text, true).expect("a good file");
            rules.into_iter().map(|rule| rule.id).collect()
        };
        let one = ids(r#"{"bannedCommandStrings": ["a", "b", "a", "c"]}"#);
        assert_eq!(one, ["hidden/1", "hidden/2", "hidden/4"]);
        assert_eq!(ids(r#"{"bannedCommandStrings": ["x", "y"]}"#), one[..2]);
    }

    #[test]
    fn only_its_keys_make_a_file_cryptnonos() {
        assert!(is_cryptnono(r#"{"allowedCommandPatterns": []}"#));
        assert!(is_cryptnono("bannedCommandStrings: [x]\nother: 1\n"));
        assert!(!is_cryptnono("# was: bannedCommandStrings\nrules: []\n"));
        assert!(!is_cryptnono(
            "rules: [{id: a, banned: [bannedCommandStrings]}]"
        ));
    }

    #[test]
    fn strings_that_could_not_be_exported_are_refused() {
        let text = "{\"bannedCommandStrings\": [\"x\",\n\"a\\u0000b\"]}";
        let problems = parse("c.json", text, false).expect_err("a NUL byte");
        assert_eq!(problems[0].line, 2, "{problems:?}");
    }

    #[test]
    fn errors_name_the_line() {
        let problems = parse(
            "c.yaml",
            "bannedCommandStrings: [x]\nallowedCommandPatterns:\n  - ok\n  - (?=x)\n",
            false,
        )
        .expect_err("look-around");
        assert_eq!(problems[0].line, 4, "{problems:?}");
    }
}
