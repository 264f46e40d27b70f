//! Globs over an executable's path, turned around: the kernel reads a path from its last component backwards, so that
//! a list of base names is decided after one component.

/// A regular expression over the components of a path in reverse order, each followed by `/`.
///
/// A glob without `/` is a base name. `*` and `?` stay within a component, `**` is any number of components, `[...]`
/// and `{a,b}` mean what they mean in a shell.
pub(crate) fn reversed_regex(glob: &str) -> Result<String, String> {
    if !glob.contains('/') {
        return Ok(format!("{}/(?s:.*)", component(glob)?));
    }
    let Some(rest) = glob.strip_prefix('/') else {
        return Err("a path must start with '/'; a base name holds no '/'".to_owned());
    };
    let mut regex = String::new();
    for part in rest.split('/').rev() {
        match part {
            "" => return Err("a path has no empty components".to_owned()),
            "**" => regex.push_str("(?:[^/]+/)*"),
            part => {
                regex.push_str(&component(part)?);
                regex.push('/');
            }
        }
    }
    Ok(regex)
}

/// The bytes that the kernel feeds the DFA for an absolute path.
pub(crate) fn reversed_bytes(path: &[u8]) -> impl Iterator<Item = u8> {
    path.rsplit(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .flat_map(|part| part.iter().copied().chain([b'/']))
}

fn component(glob: &str) -> Result<String, String> {
    let mut regex = String::new();
    let mut depth = 0;
    let mut characters = glob.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => {
                let negated = characters.next_if_eq(&'!').is_some();
                if !negated && characters.peek() == Some(&']') {
                    return Err("'[]' holds nothing".to_owned());
                }
                regex.push_str(if negated { "[[^/" } else { "[[" });
                loop {
                    match characters.next() {
                        None => return Err("'[' has no ']'".to_owned()),
                        Some(']') => break,
                        Some('-') => regex.push('-'),
                        // Bytes are matched one by one, and such a character is several.
                        Some(inside) if !inside.is_ascii() => {
                            return Err(format!("'[...]' holds ASCII alone, and no '{inside}'"));
                        }
                        Some(inside) => push_literal(&mut regex, inside),
                    }
                }
                // A range such as [+-9] must not reach over the border of a component.
                regex.push_str("]&&[^/]]");
            }
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                regex.push(')');
            }
            ',' if depth > 0 => regex.push('|'),
            literal => push_literal(&mut regex, literal),
        }
    }
    if depth > 0 {
        Err("'{' has no '}'".to_owned())
    } else {
        Ok(regex)
    }
}

fn push_literal(regex: &mut String, character: char) {
    if character.is_ascii() {
        // A backslash gives letters, digits and angle brackets a meaning.
        if character.is_ascii_punctuation() && !"<>".contains(character) {
            regex.push('\\');
        }
        regex.push(character);
    } else {
        let mut bytes = [0; 4];
        for byte in character.encode_utf8(&mut bytes).bytes() {
            regex.push_str(&format!(r"\x{byte:02x}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::dfa::{self, Dfa, Text};

    fn matches(glob: &str, path: &str) -> bool {
        let regex = reversed_regex(glob).expect("a good glob");
        let dfa = Dfa::build(&[regex], Text::Path, |_| 1).expect("a small DFA");
        let mut words = vec![0];
        let at = dfa.append(&mut words);
        dfa::run(&words, at as usize, reversed_bytes(path.as_bytes())) != 0
    }

    #[test]
    fn base_names_match_in_any_folder_and_only_whole() {
        assert!(matches("xmrig", "/usr/bin/xmrig"));
        assert!(matches("xmrig", "/xmrig"));
        assert!(!matches("xmrig", "/usr/xmrig/bin"));
        assert!(!matches("xmrig", "/usr/bin/xmrig2"));
        assert!(!matches("xmrig", "/usr/bin/XMRIG"));
        assert!(matches("xmrig-*", "/opt/xmrig-6.20"));
        assert!(!matches("xm*", "/xm/rig"));
    }

    #[test]
    fn paths_match_from_the_root() {
        assert!(matches("/tmp/**", "/tmp/a/b"));
        assert!(matches("/tmp/**", "/tmp/a"));
        assert!(!matches("/tmp/**", "/var/tmp/a"));
        assert!(matches("/**/evil", "/a/b/evil"));
        assert!(matches("/usr/*/min{er,d}", "/usr/bin/miner"));
        assert!(matches("/usr/*/min{er,d}", "/usr/bin/mind"));
        assert!(!matches("/usr/*/miner", "/usr/local/bin/miner"));
        assert!(matches("/x/[a-c]?", "/x/b1"));
        assert!(!matches("/x/[!a-c]?", "/x/b1"));
        assert!(matches("/x/é", "/x/é"));
        assert!(matches("/x/<a b>", "/x/<a b>"));
        assert!(matches("/x/a[<>+]", "/x/a<"));
    }

    #[test]
    fn a_range_stays_within_a_component() {
        assert!(matches("a[+-9]b", "/x/a5b"));
        assert!(!matches("a[+-9]b", "/b/a"));
        assert!(!matches("b[+-9]a", "/x/a/b"));
        assert!(!matches("a[!x]b", "/x/b/a"));
    }

    #[test]
    fn bad_globs_are_refused() {
        for glob in ["a/b", "/a//b", "/a/[b", "/a/{b", "[é]", "[a-é]", "[]"] {
            assert!(reversed_regex(glob).is_err(), "{glob}");
        }
    }
}
