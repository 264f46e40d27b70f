//! Strings that many containers have in common, held once, and labels within limits.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Bytes of a name, an image or a label's value; what is longer is cut. Kubernetes allows 63 for values, 253 for names.
const LONGEST: usize = 256;
/// Bytes of a label's key. A cut key would be another key, so a longer one is left out.
const LONGEST_KEY: usize = 128;
/// Labels of one container or pod. Whoever may start containers may give them any number.
const MOST_LABELS: usize = 16;
/// Bytes of all labels of one container or pod, keys and values.
const MOST_LABEL_BYTES: usize = 1_024;
/// From how many strings on it is worth looking for unused ones.
const FEW: usize = 1_024;

/// Labels, in the order of their keys.
pub(super) type Labels = Box<[(Arc<str>, Arc<str>)]>;

/// The strings that are in use.
#[derive(Debug, Default)]
pub(super) struct Strings {
    held: HashSet<Arc<str>>,
    tidy_at: usize,
}

impl Strings {
    /// The string, cut to what is kept of any, with nothing in it that a terminal would obey.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        let text = cut(text);
        if text.contains(char::is_control) {
            return self.share(&text.replace(char::is_control, "?"));
        }
        if let Some(held) = self.held.get(text) {
            return Arc::clone(held);
        }
        self.tidy();
        let shared: Arc<str> = text.into();
        self.held.insert(Arc::clone(&shared));
        shared
    }

    /// As many labels as are kept of any container, the first ones by key.
    pub(super) fn share_labels(&mut self, labels: &BTreeMap<String, String>) -> Labels {
        let mut room = MOST_LABEL_BYTES;
        let mut kept = Vec::new();
        for (key, value) in labels {
            let bytes = key.len() + value.len().min(LONGEST);
            if key.len() > LONGEST_KEY || bytes > room {
                continue;
            }
            room -= bytes;
            kept.push((self.share(key), self.share(value)));
            if kept.len() == MOST_LABELS {
                break;
            }
        }
        kept.into()
    }

    /// Lets go of what nobody else holds, each time that the number has doubled.
    fn tidy(&mut self) {
        if self.held.len() < self.tidy_at.max(FEW) {
            return;
        }
        self.held.retain(|text| Arc::strong_count(text) > 1);
        self.held.shrink_to(self.held.len() * 2);
        self.tidy_at = self.held.len() * 2;
    }
}

/// As much of a text as is kept, up to the end of a character.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Labels as workloads have them.
pub(super) fn owned(labels: &Labels) -> impl Iterator<Item = (String, String)> {
    labels
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
        pairs.into_iter().collect()
    }

    #[test]
    fn equal_strings_are_one_and_unused_ones_go() {
        let mut strings = Strings::default();
        let image = strings.share("busybox");
        assert!(Arc::ptr_eq(&image, &strings.share("busybox")));
        for number in 0..10 * FEW {
            strings.share(&number.to_string());
        }
        assert!(strings.held.len() <= FEW + 1, "{}", strings.held.len());
        assert!(Arc::ptr_eq(&image, &strings.share("busybox")));
    }

    #[test]
    fn long_strings_are_cut_between_characters() {
        let text = "é".repeat(LONGEST);
        let kept = Strings::default().share(&text);
        assert_eq!(kept.len(), LONGEST);
        let odd = format!("x{text}");
        assert_eq!(Strings::default().share(&odd).len(), LONGEST - 1);
    }

    #[test]
    fn control_characters_are_replaced() {
        let kept = Strings::default().share("a\x1b[2Jb\nc");
        assert_eq!(&*kept, "a?[2Jb?c");
    }

    #[test]
    fn labels_are_limited_in_number_length_and_sum() {
        let mut strings = Strings::default();
        let many = labels((0..100).map(|number| (format!("k{number:03}"), "v".to_owned())));
        let kept = strings.share_labels(&many);
        assert_eq!(kept.len(), MOST_LABELS);
        assert_eq!(&*kept[0].0, "k000");

        let long = labels([
            ("k".repeat(LONGEST_KEY + 1), "v".to_owned()),
            ("k".to_owned(), "v".repeat(100_000)),
        ]);
        let kept = strings.share_labels(&long);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].1.len(), LONGEST);

        let heavy = labels((0..16).map(|number| (format!("k{number:03}"), "v".repeat(250))));
        let kept = strings.share_labels(&heavy);
        let bytes: usize = kept
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert!(bytes <= MOST_LABEL_BYTES, "{bytes}");
    }
}
