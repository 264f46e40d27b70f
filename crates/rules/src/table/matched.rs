//! Which banned string it was that the kernel or the scan found.

use std::{collections::HashMap, sync::OnceLock};

use super::{CommandTable, layout::is_boundary};
use crate::Rule;

/// From so many strings on, those of a rule are looked up in order and not one after the other.
const MANY: usize = 32;

/// The strings of a rule, by index, sorted in lower case, and the length of the longest.
type Order = (Box<[u32]>, usize);

/// Of the rules with many strings. Made when first wanted: most rules never match.
pub(super) type Orders = HashMap<usize, OnceLock<Order>>;

pub(super) fn orders(rules: &[Rule]) -> Orders {
    let many = rules.iter().enumerate();
    many.filter(|(_, rule)| rule.banned.len() >= MANY)
        .map(|(index, _)| (index, OnceLock::new()))
        .collect()
}

fn lower(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().map(u8::to_ascii_lowercase)
}

fn sorted(rule: &Rule) -> Order {
    let mut order: Vec<u32> = (0..rule.banned.len())
        .filter_map(|index| u32::try_from(index).ok())
        .collect();
    let text = |index: &u32| lower(&rule.banned[*index as usize]);
    order.sort_by(|one, other| text(one).cmp(text(other)));
    let longest = rule.banned.iter().map(Vec::len).max().unwrap_or(0);
    (order.into_boxed_slice(), longest)
}

impl CommandTable {
    /// The banned string of `rule` that ends at `end` of `line` (arguments joined by spaces), as the rule writes it:
    /// the longest, where one ends with another.
    pub fn matched_text(&self, rule: u32, line: &[u8], end: u32) -> Option<String> {
        let before = line.get(..end as usize)?;
        let index = rule as usize;
        let rule = self.rules.get(index)?;
        let found = if let Some(order) = self.orders.get(&index) {
            let (order, longest) = order.get_or_init(|| sorted(rule));
            (before.len().saturating_sub(*longest)..before.len())
                .filter(|start| *start == 0 || is_boundary(before[start - 1]))
                .find_map(|start| find(rule, order, &before[start..]))?
        } else {
            let ends = |text: &&Vec<u8>| {
                before.len() >= text.len()
                    && before[before.len() - text.len()..].eq_ignore_ascii_case(text)
            };
            rule.banned.iter().filter(ends).max_by_key(|t| t.len())?
        };
        Some(String::from_utf8_lossy(found).into_owned())
    }
}

fn find<'a>(rule: &'a Rule, order: &[u32], wanted: &[u8]) -> Option<&'a Vec<u8>> {
    let text = |index: &u32| &rule.banned[*index as usize];
    let at = order.partition_point(|index| lower(text(index)).lt(lower(wanted)));
    let found = text(order.get(at)?);
    found.eq_ignore_ascii_case(wanted).then_some(found)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn table(banned: Vec<Vec<u8>>) -> CommandTable {
        let rule = Rule {
            banned,
            ..Rule::new("r", "test", 1)
        };
        CommandTable::compile(vec![rule], 1, |_| 0).expect("a good rule")
    }

    #[test]
    fn few_strings_and_many_give_the_same_answer() {
        let wanted = ["XMRig", "--donate level", "level"].map(|text| text.as_bytes().to_vec());
        let more = (0..1_000).map(|number| format!("other-{number}").into_bytes());
        let few = table(wanted.to_vec());
        let many = table(wanted.iter().cloned().chain(more).collect());
        for (line, end, text) in [
            ("/tmp/xmrig -o", 10, Some("XMRig")),
            ("a --DONATE level", 16, Some("--donate level")),
            ("a level", 7, Some("level")),
            ("a level", 6, None),
            ("a", 9, None),
        ] {
            for table in [&few, &many] {
                let found = table.matched_text(0, line.as_bytes(), end);
                assert_eq!(found.as_deref(), text, "{line}");
            }
        }
        assert_eq!(
            many.matched_text(0, b"other-77", 8).as_deref(),
            Some("other-77")
        );
    }
}
