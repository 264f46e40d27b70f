//! Where a cryptnono rule file means something else here than there, told for each string and pattern concerned.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::table::parse_allow;

/// What whoever moves from cryptnono must know of these strings and patterns.
pub fn notes(banned: &[String], allowed: &[String]) -> Vec<String> {
    let mut notes: Vec<String> = anchored(allowed).map(anchoring_note).collect();
    let texts = || {
        let banned = banned.iter().map(|text| ("banned string", text));
        banned.chain(allowed.iter().map(|text| ("allow pattern", text)))
    };
    for (what, text) in texts().filter(|(_, text)| !text.is_ascii()) {
        notes.push(format!(
            "in the {what} {text} only ASCII letters match in either case; other letters match exactly"
        ));
    }
    for (what, text) in texts().filter(|(_, text)| text.contains(['\'', '"'])) {
        notes.push(format!(
            "the {what} {text} holds a quote: cryptnono puts arguments with spaces into quotes before it looks, and here they are joined by spaces as they are"
        ));
    }
    for text in banned.iter().filter(|text| text.trim() != *text) {
        notes.push(format!(
            "the banned string {text:?} begins or ends with a space, which must stand in the command line too"
        ));
    }
    notes.push(
        "a banned string now also counts when another occurrence of it is part of a longer word; only ASCII letters, digits and _ make a word longer"
            .to_owned(),
    );
    notes.push(
        "cryptnono looks at every process of the host, and here only containers are in scope: add what else you want to `scope.include`"
            .to_owned(),
    );
    notes
}

/// The patterns that lose their open end: cryptnono anchors them at the start alone, Hayward at both ends.
pub(crate) fn anchored(allowed: &[String]) -> impl Iterator<Item = &String> {
    let changes =
        |pattern: &&String| parse_allow(pattern).is_none_or(|parsed| !has_open_end(&parsed));
    allowed.iter().filter(changes)
}

/// What changes for such a pattern.
pub(crate) fn anchoring_note(pattern: &String) -> String {
    let wrapped = if pattern.contains('|') {
        format!("({pattern}).*")
    } else {
        format!("{pattern}.*")
    };
    format!(
        "the allow pattern {pattern} must now match the whole command line; write {wrapped} to keep its old meaning"
    )
}

/// Whether it means the same with and without an anchor at its end.
fn has_open_end(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Look(Look::End) => true,
        HirKind::Repetition(repeated) => repeated.max.is_none() && is_any_byte(&repeated.sub),
        HirKind::Capture(group) => has_open_end(&group.sub),
        HirKind::Concat(parts) => parts.last().is_some_and(has_open_end),
        HirKind::Alternation(ways) => ways.iter().all(has_open_end),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

fn is_any_byte(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Class(Class::Bytes(class)) => {
            let ranges = class.ranges();
            ranges.len() == 1 && (ranges[0].start(), ranges[0].end()) == (0, u8::MAX)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_had_an_open_end_there_and_not_here_is_told() {
        for (pattern, changes) in [
            ("grep .*", false),
            ("grep .+", false),
            ("grep$", false),
            ("(grep|git) .*", false),
            ("a.*|b.*", false),
            ("(?s:.*)", false),
            ("^grep", true),
            (r"grep \.*", true),
            ("grep|git .*", true),
            ("grep [a-z]*", true),
            ("", true),
        ] {
            let patterns = [pattern.to_owned()];
            let told = anchored(&patterns).count() == 1;
            assert_eq!(told, changes, "{pattern}");
        }
        assert!(anchoring_note(&"a|b .*".to_owned()).contains("(a|b .*).*"));
    }

    #[test]
    fn each_string_and_pattern_concerned_is_named() {
        let banned = ["Mönero", "plain", "it's", " spaced"].map(str::to_owned);
        let allowed = ["gräp .*".to_owned()];
        let notes = notes(&banned, &allowed).join("\n");
        for text in [
            "string Mönero",
            "string it's",
            "\" spaced\"",
            "pattern gräp",
            "scope",
        ] {
            assert!(notes.contains(text), "{text} in {notes}");
        }
        assert!(!notes.contains("plain"), "{notes}");
    }
}
