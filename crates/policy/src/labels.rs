//! Kubernetes' label selectors, in the form that `kubectl --selector` takes.
//!
//! `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a` and `!a`, joined by commas: all must hold. As in
//! Kubernetes, `a!=b` and `a notin (b)` hold for whoever has no label `a`.

use std::collections::BTreeMap;

/// All requirements of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Missing,
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

impl LabelSelector {
    /// Reads a selector. The error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let requirements = split(text)?;
        let requirements = requirements.into_iter().map(Requirement::parse);
        Ok(Self {
            requirements: requirements.collect::<Result<_, _>>()?,
        })
    }

    /// Whether labels meet all of it.
    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match &requirement.test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::OneOf(values) => value.is_some_and(|value| values.contains(value)),
                Test::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

/// At commas that stand outside of parentheses.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return Err(format!("`{text}` has a parenthesis too many")),
            ',' if !inside => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if inside {
        return Err(format!("`{text}` lacks a closing parenthesis"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

impl Requirement {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (key, test) = if let Some((key, value)) = text.split_once("!=") {
            (key, Test::NoneOf(vec![value_of(value)?]))
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, Test::OneOf(vec![value_of(value)?]))
        } else if let Some((head, values)) = text.split_once('(') {
            let values = values
                .strip_suffix(')')
                .ok_or_else(|| format!("`{text}` goes on behind the parenthesis"))?;
            let values = values.split(',').map(value_of).collect::<Result<_, _>>()?;
            match head.trim_end().rsplit_once(char::is_whitespace) {
                Some((key, "in")) => (key, Test::OneOf(values)),
                Some((key, "notin")) => (key, Test::NoneOf(values)),
                _ => return Err(format!("`{text}` needs `in` or `notin` before its values")),
            }
        } else if let Some(key) = text.strip_prefix('!') {
            (key, Test::Missing)
        } else {
            (text, Test::Exists)
        };
        Ok(Self {
            key: key_of(key)?,
            test,
        })
    }
}

/// A key as Kubernetes has them: a name, which a domain and a `/` may stand before.
fn key_of(text: &str) -> Result<String, String> {
    let key = text.trim();
    let (domain, name) = key.split_once('/').unwrap_or(("a", key));
    let is_good = is_name(name) && is_name(domain);
    is_good
        .then(|| key.to_owned())
        .ok_or_else(|| format!("`{key}` is no key of a label"))
}

fn value_of(text: &str) -> Result<String, String> {
    let value = text.trim();
    let is_good = value.is_empty() || is_name(value);
    is_good
        .then(|| value.to_owned())
        .ok_or_else(|| format!("`{value}` is no value of a label"))
}

fn is_name(text: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let may_stand = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(may_stand)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let selector = LabelSelector::parse(selector).expect(selector);
        selector.matches(&labels.collect())
    }

    #[test]
    fn every_form_means_what_kubernetes_means() {
        let labels = [("component", "singleuser-server"), ("hub.io/kind", "build")];
        for selector in [
            "component=singleuser-server",
            "component == singleuser-server",
            "component",
            "!team",
            "team!=a",
            "component!=other",
            "component in (x, singleuser-server)",
            "team notin (a,b)",
            "hub.io/kind in (build),component",
            " component = singleuser-server , hub.io/kind=build ",
        ] {
            assert!(matches(selector, &labels), "{selector}");
        }
        for selector in [
            "component=singleuser",
            "team",
            "!component",
            "component!=singleuser-server",
            "team in (a,b)",
            "component notin (singleuser-server)",
            "component,team",
        ] {
            assert!(!matches(selector, &labels), "{selector}");
        }
        assert!(matches("a=", &[("a", "")]));
        assert!(!matches("a=", &[]));
    }

    #[test]
    fn what_is_no_selector_is_refused_and_named() {
        for (selector, expected) in [
            ("", "`` is no key"),
            ("a=b,", "`` is no key"),
            ("a in (b", "lacks a closing parenthesis"),
            ("a in b)", "a parenthesis too many"),
            ("a on (b)", "needs `in` or `notin`"),
            ("a in (b) c", "goes on behind"),
            ("a/b/c", "`a/b/c` is no key"),
            ("a=b c", "`b c` is no value"),
            ("a>1", "`a>1` is no key"),
        ] {
            let error = LabelSelector::parse(selector).expect_err(selector);
            assert!(error.contains(expected), "{selector}: {error}");
        }
    }

    #[test]
    fn parsing_damaged_label_selectors_never_panics() {
        use hayward_fuzz::{Corpus, throw};
        let corpus = Corpus::new(
            ["component in (a, b),!x,team!=a,hub.io/kind=build"],
            ["(", ")", ",", "!=", " notin ", "=="],
        );
        throw(500, &corpus.damaged(), |input| {
            let _ = LabelSelector::parse(&String::from_utf8_lossy(&input.0));
            Ok(())
        });
    }
}
