//! Reading YAML and JSON, with errors that name file, line and what to do.

use serde::de::DeserializeOwned;
pub use serde_saphyr::Spanned;

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's path, or a name for what is no file.
    pub file: String,
    /// Line, from 1; 0 where no line is concerned.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// Problems one below the other, for errors that collect them.
pub fn join(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Parses a whole text (YAML, of which JSON is a part). An empty text is an empty mapping.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Problem> {
    let empty = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#')
    });
    let text = if empty { "{}" } else { text };
    serde_saphyr::from_str_with_options(text, options(text.len())).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or(0, |location| location.line());
        let message = plain(&error.to_string());
        let help = help(&message);
        Problem {
            file: file.to_owned(),
            line: usize::try_from(line).unwrap_or(0),
            message,
            help,
        }
    })
}

/// A text may hold as much as it has bytes for: lists of a million strings are read, and aliases that multiply a small
/// text are still refused.
fn options(bytes: usize) -> serde_saphyr::Options {
    let default = serde_saphyr::Budget::default();
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: default.max_nodes.max(bytes),
            max_events: default.max_events.max(2 * bytes),
            max_total_scalar_bytes: default.max_total_scalar_bytes.max(bytes),
        },
    }
}

/// Line of a value that was parsed as [`Spanned`].
pub fn line_of<T>(spanned: &Spanned<T>) -> usize {
    usize::try_from(spanned.referenced.line()).unwrap_or(0)
}

/// The parser's message without its own note of the place, which ours gives already.
fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    let first = first.split(" at line ").next().unwrap_or(first);
    let first = first.strip_prefix("error: ").unwrap_or(first);
    if let Some((key, _)) = first
        .strip_prefix("duplicate mapping key: ")
        .and_then(|rest| rest.split_once(','))
    {
        return format!("the key `{key}` stands twice");
    }
    // The parser names its own events; people know keys, lists and values.
    match first {
        "expected mapping start" => "keys with values are expected here".to_owned(),
        "expected sequence start" => "a list is expected here".to_owned(),
        "expected string scalar" | "unexpected event: expected scalar" => {
            "one value is expected here".to_owned()
        }
        other => other.to_owned(),
    }
}

/// What to do about an error of the parser, as far as its message tells.
fn help(message: &str) -> String {
    let nearest = nearest(message);
    if !nearest.is_empty() {
        return nearest;
    }
    let help = match message {
        "keys with values are expected here" => "write `key: value`, one below the other",
        "a list is expected here" => "write [one, other], or `- one` lines",
        "one value is expected here" => "write a single word, or text in quotes",
        text if text.starts_with("the key `") => "remove one of the two",
        text if text.starts_with("missing field") => "every entry of this list or file needs it",
        text if text.contains("tabs disallowed") => "indent with spaces",
        text if text.starts_with("budget breached") => {
            "the file is larger, or makes more of its aliases, than is read: split it"
        }
        text if text.starts_with("unclosed") => {
            "close it; what stands below may have been read into it"
        }
        _ => "",
    };
    help.to_owned()
}

/// For an unknown key or variant: the known one that is nearest, or all of them.
fn nearest(message: &str) -> String {
    let (true, Some((head, tail))) = (message.contains("unknown"), message.split_once("expected"))
    else {
        return String::new();
    };
    let Some(unknown) = words(head).last() else {
        return String::new();
    };
    let known: Vec<&str> = words(tail)
        .filter(|word| !["one", "of", "or", "there", "are", "no"].contains(word))
        .collect();
    // Half of a short word changed is another word, and no slip.
    let most = (unknown.chars().count() / 3).max(1);
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(name, unknown), name))
        .filter(|(distance, _)| *distance <= most)
        .min();
    match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// Names in a message, without quotes and punctuation.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.split(move |c| !is_part(c))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        mode: Option<String>,
        #[serde(default)]
        count: Option<u32>,
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known_one() {
        let problem = parse::<Sample>("a.yaml", "count: 1\nmoode: x\n").expect_err("unknown");
        assert_eq!(
            (problem.file.as_str(), problem.line),
            ("a.yaml", 2),
            "{problem}"
        );
        assert!(problem.message.contains("moode"), "{problem}");
        assert_eq!(problem.help, "did you mean `mode`?");
    }

    #[test]
    fn a_wrong_type_names_its_line() {
        let problem = parse::<Sample>("a.yaml", "mode: x\ncount: many\n").expect_err("wrong type");
        assert_eq!(problem.line, 2, "{problem}");
    }

    #[test]
    fn a_long_list_is_read_and_a_text_that_multiplies_itself_is_not() {
        let strings: Vec<String> = (0..400_000).map(|number| format!("a{number}")).collect();
        let text = format!("[{}]", strings.join(", "));
        let read: Vec<String> = parse("a", &text).expect("a long list");
        assert_eq!(read.len(), strings.len());
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let below = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        let bomb = parse::<serde::de::IgnoredAny>("a", &text);
        assert!(bomb.is_err());
    }

    #[test]
    fn a_deep_text_is_refused() {
        for deep in ["[", "{a: ", "- ", "? ", "[{a: "] {
            let text = deep.repeat(100_000);
            assert!(
                parse::<serde::de::IgnoredAny>("a", &text).is_err(),
                "{deep}"
            );
        }
    }

    #[test]
    fn json_and_empty_texts_are_read() {
        let sample: Sample = parse("a.json", "{\"mode\": \"x\", \"count\": 2}").expect("json");
        assert_eq!((sample.mode.as_deref(), sample.count), (Some("x"), Some(2)));
        assert!(parse::<Sample>("a", "# nothing\n\n").is_ok());
    }
}
