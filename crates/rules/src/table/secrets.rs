//! Finding the text of secret rules in whatever is about to be written: wherever it stands, in either case, also as a
//! part of a longer word, and what is left of it where a text was cut.

use std::ops::Range;

use super::{
    dfa::{self, Dfa, Text},
    executables,
};
use crate::Rule;

/// Which ends of a text were cut off, so that a secret may stand there in part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Its beginning is missing.
    pub start: bool,
    /// Its end is missing.
    pub end: bool,
}

/// Strings and executables of all secret rules.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// In lower case, sorted, each once.
    strings: Vec<Box<[u8]>>,
    /// Indices of `strings` in the order of the strings read backwards.
    backwards: Vec<u32>,
    longest: usize,
    /// A DFA over paths, components last to first; empty where no secret rule names an executable.
    executables: Vec<u32>,
    at: u32,
}

/// A replacement character stands for what may have been the half of a character where a text was cut.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

impl Secrets {
    /// The secrets among `rules`. An executable that is named without wildcards is a string like any other, too.
    pub fn of(rules: &[Rule]) -> Result<Self, String> {
        let secret = || rules.iter().filter(|rule| rule.secret);
        let globs = || secret().flat_map(|rule| &rule.executable);
        let named = globs().filter(|glob| !glob.contains(['*', '?', '[', '{']));
        let mut strings: Vec<Box<[u8]>> = secret()
            .flat_map(|rule| &rule.banned)
            .map(Vec::as_slice)
            .chain(named.map(|glob| glob.as_bytes()))
            .map(|text| text.to_ascii_lowercase().into_boxed_slice())
            .collect();
        strings.sort_unstable();
        strings.dedup();
        let mut backwards: Vec<u32> = (0..strings.len())
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
        let reversed = |index: &u32| strings[*index as usize].iter().rev();
        backwards.sort_unstable_by(|one, other| reversed(one).cmp(reversed(other)));
        let regexes: Vec<String> = globs()
            .map(|glob| executables::reversed_regex(glob))
            .collect::<Result<_, _>>()?;
        let (mut words, mut at) = (Vec::new(), 0);
        if !regexes.is_empty() {
            // Offset 0 is no DFA.
            words.push(0);
            at = Dfa::build(&regexes, Text::Path, |_| 1)?.append(&mut words);
        }
        Ok(Self {
            longest: strings.iter().map(|text| text.len()).max().unwrap_or(0),
            strings,
            backwards,
            executables: words,
            at,
        })
    }

    /// Length of the longest string.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Whether no rule is secret.
    pub fn is_empty(&self) -> bool {
        self.strings.is_empty() && self.executables.is_empty()
    }

    /// Whether a secret rule names this executable. One whose beginning is missing (`cut`) may be one that a path names.
    pub fn names_executable(&self, path: &[u8], cut: bool) -> bool {
        !self.executables.is_empty()
            && (cut
                || dfa::run(
                    &self.executables,
                    self.at as usize,
                    executables::reversed_bytes(path),
                ) != 0)
    }

    /// Where in `text` a secret stands, or what a cut has left of one. Ranges may overlap.
    pub fn ranges(&self, text: &[u8], cut: Cut) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        if self.strings.is_empty() {
            return ranges;
        }
        let whole = match text.strip_suffix(REPLACEMENT) {
            Some(rest) if cut.end => rest,
            _ => text,
        };
        let bare = whole.strip_prefix(REPLACEMENT).unwrap_or(whole);
        if cut.start && cut.end && self.is_inside(bare) {
            ranges.push(0..text.len());
            return ranges;
        }
        if cut.start {
            let skipped = if text.starts_with(REPLACEMENT) {
                REPLACEMENT.len()
            } else {
                0
            };
            ranges.extend(self.tail_at(&text[skipped..]).map(|end| 0..skipped + end));
        }
        for start in 0..whole.len() {
            let (found, open) = self.longest_at(&whole[start..]);
            if open && cut.end {
                ranges.push(start..text.len());
                break;
            }
            ranges.extend(found.map(|length| start..start + length));
        }
        ranges
    }

    /// The longest string that `text` begins with, and whether all of `text` is the beginning of a longer one.
    fn longest_at(&self, text: &[u8]) -> (Option<usize>, bool) {
        let mut among: &[Box<[u8]>] = &self.strings;
        let mut found = None;
        for (depth, byte) in text.iter().enumerate() {
            let wanted = byte.to_ascii_lowercase();
            let low = among.partition_point(|s| s.get(depth).is_none_or(|b| *b < wanted));
            let rest = &among[low..];
            let high = rest.partition_point(|s| s.get(depth).is_some_and(|b| *b == wanted));
            among = &rest[..high];
            match among.first() {
                None => return (found, false),
                Some(first) if first.len() == depth + 1 => found = Some(depth + 1),
                Some(_) => {}
            }
        }
        (found, among.iter().any(|s| s.len() > text.len()))
    }

    /// The end of the longest beginning of `text` that some string ends with.
    fn tail_at(&self, text: &[u8]) -> Option<usize> {
        (1..self.longest.min(text.len() + 1))
            .rev()
            .find(|end| self.is_tail(&text[..*end]))
    }

    /// Whether `text` stands in the middle of some string: cut from there, it has neither of the string's ends. Texts
    /// cut at both ends are longer than most strings, so that this seldom looks at any.
    fn is_inside(&self, text: &[u8]) -> bool {
        let within = |string: &[u8]| {
            let mut places = string.windows(text.len());
            places.any(|place| place.eq_ignore_ascii_case(text))
        };
        !text.is_empty()
            && text.len() < self.longest
            && self.strings.iter().any(|string| within(string))
    }

    fn is_tail(&self, tail: &[u8]) -> bool {
        let byte = |index: &u32, depth: usize| {
            let text = &self.strings[*index as usize];
            let place = text.len().checked_sub(depth + 1)?;
            Some(text[place])
        };
        let mut among: &[u32] = &self.backwards;
        for (depth, wanted) in tail.iter().rev().enumerate() {
            let wanted = wanted.to_ascii_lowercase();
            let low = among.partition_point(|i| byte(i, depth).is_none_or(|b| b < wanted));
            let rest = &among[low..];
            let high = rest.partition_point(|i| byte(i, depth).is_some_and(|b| b == wanted));
            among = &rest[..high];
            if among.is_empty() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use hayward_model::Mode;
    use proptest::prelude::*;

    use super::*;
    use crate::Origin;

    fn secrets(banned: &[&str], executable: &[&str]) -> Secrets {
        Secrets::of(&[Rule {
            id: "s".to_owned(),
            banned: banned.iter().map(|text| text.as_bytes().to_vec()).collect(),
            executable: executable.iter().map(|glob| (*glob).to_owned()).collect(),
            allow: Vec::new(),
            mode: Mode::Enforce,
            response: None,
            reason: None,
            source: None,
            expires: None,
            secret: true,
            origin: Origin {
                file: "test".to_owned(),
                line: 1,
            },
        }])
        .expect("good globs")
    }

    const START: Cut = Cut {
        start: true,
        end: false,
    };
    const END: Cut = Cut {
        start: false,
        end: true,
    };
    const BOTH: Cut = Cut {
        start: true,
        end: true,
    };

    #[test]
    fn what_a_cut_leaves_of_a_secret_is_found() {
        let secrets = secrets(&["hidden word", "Hide"], &[]);
        let at = |text: &str, cut| -> Vec<(usize, usize)> {
            let ranges = secrets.ranges(text.as_bytes(), cut).into_iter();
            ranges.map(|range| (range.start, range.end)).collect()
        };
        assert_eq!(at("a HIDDEN wor", END), [(2, 12)]);
        assert!(at("a HIDDEN wor", Cut::default()).is_empty());
        assert_eq!(at("den word b", START), [(0, 8)]);
        assert_eq!(at("\u{fffd}en word b", START), [(0, 10)]);
        assert_eq!(at("a hid\u{fffd}", END), [(2, 8)]);
        assert_eq!(at("xhidex", Cut::default()), [(1, 5)]);
        assert_eq!(at("IDDEN wo", BOTH), [(0, 8)]);
        assert_eq!(at("\u{fffd}dden\u{fffd}", BOTH), [(0, 10)]);
        assert!(at("idden wx", BOTH).is_empty());
        assert!(at("", BOTH).is_empty());
    }

    #[test]
    fn executables_are_secret_by_name_and_by_glob() {
        let secrets = secrets(&[], &["evilminer", "/opt/.x/**"]);
        assert!(secrets.names_executable(b"/tmp/evilminer", false));
        assert!(secrets.names_executable(b"/opt/.x/a/b", false));
        assert!(!secrets.names_executable(b"/bin/true", false));
        assert!(
            secrets.names_executable(b"/cut/away", true),
            "it cannot be ruled out"
        );
        let named = secrets.ranges(b"cp evilminer /tmp", Cut::default());
        assert!(named.len() == 1 && named[0] == (3..12), "{named:?}");
        assert!(!Secrets::default().names_executable(b"/bin/true", true));
    }

    proptest! {
        #[test]
        fn as_a_search_at_every_offset(
            strings in proptest::collection::vec("[abAB ]{1,5}", 1..6),
            text in "[abcAB ]{0,30}",
            from in 0_usize..10,
            to in 0_usize..10,
        ) {
            let words: Vec<&str> = strings.iter().map(String::as_str).collect();
            let secrets = secrets(&words, &[]);
            let to = text.len().saturating_sub(to);
            let from = from.min(to);
            let kept = &text.as_bytes()[from..to];
            let cut = Cut { start: from > 0, end: to < text.len() };
            let ranges = secrets.ranges(kept, cut);
            let is_masked = |at: usize| ranges.iter().any(|range| range.contains(&at));
            for string in &strings {
                let length = string.len();
                for at in 0..(text.len() + 1).saturating_sub(length) {
                    if text.as_bytes()[at..at + length].eq_ignore_ascii_case(string.as_bytes()) {
                        let inside = at.max(from)..(at + length).min(to);
                        for place in inside {
                            prop_assert!(is_masked(place - from), "{string:?} at {at} of {text:?}");
                        }
                    }
                }
            }
        }
    }
}
