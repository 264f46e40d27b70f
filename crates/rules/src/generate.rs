//! Recipes: lists of names and templates, expanded into a rule file. The same recipe always gives the same text.

use std::collections::{BTreeMap, BTreeSet};

use hayward_model::Mode;
use hayward_yaml::{Problem, Spanned, line_of};
use serde::Deserialize;

use crate::{Origin, Rule, render};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    id: String,
    lists: BTreeMap<String, Vec<String>>,
    templates: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// Most strings that one recipe may give: beyond, a slip such as a list crossed with itself is likelier than a wish.
const MOST_STRINGS: usize = 1_000_000;

/// Expands a recipe: `{name}` in a template stands for each entry of the list `name`.
pub fn generate(file: &str, recipe: &str) -> Result<String, Problem> {
    let recipe: Recipe = hayward_yaml::parse(file, recipe)?;
    let mut strings = BTreeSet::new();
    for template in &recipe.templates {
        let problem = |message: String, help: String| Problem {
            file: file.to_owned(),
            line: line_of(template),
            message,
            help,
        };
        let mut expanded = vec![String::new()];
        let mut rest = template.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| {
                problem(
                    "a `{` has no `}`".to_owned(),
                    "write {name} for a list".to_owned(),
                )
            })?;
            let list = recipe.lists.get(name).ok_or_else(|| {
                let known: Vec<_> = recipe.lists.keys().map(String::as_str).collect();
                problem(
                    format!("there is no list `{name}`"),
                    format!("lists are {}", known.join(", ")),
                )
            })?;
            if expanded.len() * list.len() + strings.len() > MOST_STRINGS {
                return Err(problem(
                    format!("the recipe gives more than {MOST_STRINGS} strings"),
                    "use fewer lists in one template".to_owned(),
                ));
            }
            expanded = expanded
                .iter()
                .flat_map(|head| {
                    list.iter()
                        .map(move |entry| format!("{head}{before}{entry}"))
                })
                .collect();
            rest = after;
        }
        strings.extend(expanded.into_iter().map(|head| head + rest));
    }
    let whole = |message: &str, help: &str| Problem {
        file: file.to_owned(),
        line: 0,
        message: message.to_owned(),
        help: help.to_owned(),
    };
    if strings.is_empty() {
        let help = "write a template, and entries into the lists that it names";
        return Err(whole("the recipe gives no strings", help));
    }
    if strings.iter().any(|text| text.trim().is_empty()) {
        let help = "an empty string would be found everywhere: remove the empty entries";
        return Err(whole("the recipe gives an empty string", help));
    }
    let rule = Rule {
        id: recipe.id,
        banned: strings.into_iter().map(String::into_bytes).collect(),
        executable: Vec::new(),
        allow: recipe.allow,
        mode: recipe.mode.unwrap_or(Mode::Enforce),
        response: None,
        reason: recipe.reason,
        source: recipe.source,
        expires: None,
        secret: false,
        origin: Origin {
            file: file.to_owned(),
            line: 1,
        },
    };
    render(&[rule]).map_err(|message| Problem {
        file: file.to_owned(),
        line: 0,
        message,
        help: String::new(),
    })
}
