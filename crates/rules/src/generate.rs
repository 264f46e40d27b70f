//! Recipes: lists of names and templates, expanded into a rule file. The same recipe always gives the same text.

use std::collections::{BTreeMap, BTreeSet};

use hayward_model::Mode;
use hayward_yaml::{Problem, Spanned, line_of};
use serde::Deserialize;

use crate::{Origin, Rule, file, render};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    id: String,
    lists: BTreeMap<String, Vec<String>>,
    templates: Vec<Spanned<String>>,
    #[serde(default)]
    allow: Vec<Spanned<String>>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// Most strings that one recipe may give: beyond, a slip such as a list crossed with itself is likelier than a wish.
const MOST_STRINGS: usize = 1_000_000;
/// Most bytes that they may have together.
const MOST_BYTES: usize = 64 << 20;

/// Expands a recipe: `{name}` in a template stands for each entry of the list `name`.
pub fn generate(file: &str, recipe: &str) -> Result<String, Problem> {
    let recipe: Recipe = hayward_yaml::parse(file, recipe)?;
    let mut strings = BTreeSet::new();
    let mut bytes_given = 0;
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
            let heads = expanded.iter().map(String::len).sum::<usize>();
            let entries = list.iter().map(String::len).sum::<usize>();
            let count = expanded.len() * list.len();
            let bytes = heads * list.len() + (entries + before.len() * list.len()) * expanded.len();
            if count + strings.len() > MOST_STRINGS || bytes + bytes_given > MOST_BYTES {
                return Err(problem(
                    format!(
                        "the recipe gives more than {MOST_STRINGS} strings, or {} MiB of them",
                        MOST_BYTES >> 20
                    ),
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
        for head in expanded {
            bytes_given += head.len() + rest.len();
            strings.insert(head + rest);
        }
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
    if let Some(problem) = file::check_allow(file, &recipe.allow, false)
        .into_iter()
        .next()
    {
        return Err(problem);
    }
    let rule = Rule {
        id: recipe.id,
        banned: strings.into_iter().map(String::into_bytes).collect(),
        executable: Vec::new(),
        allow: recipe.allow.into_iter().map(|allow| allow.value).collect(),
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
    let text = render(&[rule]).map_err(|message| whole(&message, ""))?;
    // What is given away must load: an empty id or a NUL byte in an entry shows here.
    match file::parse(file, &text, false) {
        Ok(_) => Ok(text),
        Err(problems) => Err(problems.into_iter().next().map_or_else(
            || whole("what the recipe gives is no rule file", ""),
            |problem| Problem { line: 0, ..problem },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(recipe: &str) -> Problem {
        generate("r.yaml", recipe).expect_err(recipe)
    }

    #[test]
    fn what_would_not_load_is_refused() {
        let recipe = "id: a\nlists: {}\ntemplates: [x]\nallow:\n  - ok\n  - '('\n";
        let problem = refused(recipe);
        assert_eq!(problem.line, 6, "{problem}");
        assert!(problem.message.contains("unclosed"), "{problem}");
        for recipe in [
            "id: ''\nlists: {}\ntemplates: [x]\n",
            "id: a\nlists: {n: [\"x\\0\"]}\ntemplates: ['{n}']\n",
        ] {
            assert_eq!(refused(recipe).line, 0, "{recipe}");
        }
    }

    #[test]
    fn more_bytes_than_anybody_wants_are_refused_before_they_are_made() {
        let long = "x".repeat(10_000);
        let entries: Vec<String> = (0..900).map(|number| format!("{long}{number}")).collect();
        let entries = entries.join(", ");
        let recipe = format!("id: a\nlists: {{n: [{entries}]}}\ntemplates: ['{{n}}{{n}}']\n");
        let problem = refused(&recipe);
        assert!(problem.message.contains("64 MiB"), "{problem}");
    }
}
