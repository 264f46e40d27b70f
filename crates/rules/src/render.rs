//! Rules as a rule file's text, which loads again to the same rules.

use hayward_model::{Mode, Response};
use serde::Serialize;

use crate::Rule;

#[derive(Serialize)]
struct RawFile<'a> {
    rules: Vec<RawRule<'a>>,
}

#[derive(Serialize)]
struct RawRule<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    banned: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    executable: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    allow: &'a [String],
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// Writes the rules, secret ones too: what comes of it is as secret as they are.
pub fn render(rules: &[Rule]) -> Result<String, String> {
    let rules = rules
        .iter()
        .map(|rule| RawRule {
            id: &rule.id,
            banned: rule
                .banned
                .iter()
                .map(|b| String::from_utf8_lossy(b).into_owned())
                .collect(),
            executable: &rule.executable,
            allow: &rule.allow,
            mode: rule.mode,
            response: rule.response,
            reason: rule.reason.as_deref(),
            source: rule.source.as_deref(),
            expires: rule.expires.map(|expires| expires.to_string()),
        })
        .collect();
    serde_saphyr::to_string(&RawFile { rules }).map_err(|error| error.to_string())
}
