//! Selectors that are right by themselves and wrong where they stand.

use std::collections::BTreeMap;

use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{
    raw::{RawOverride, RawSelector},
    scope::takes_in_the_host,
};

impl Checker {
    pub(super) fn refuse_the_host(&mut self, include: &[Spanned<RawSelector>]) {
        for selector in include {
            if takes_in_the_host(&selector.value) {
                let message = format!(
                    "`include: [{}]` takes in the host's own services, which could then be killed",
                    selector.value
                );
                let help = "name what is meant, such as {unit: \"ci-*.service\"}; or write `scope: {host: true}` if they are";
                self.problem(line_of(selector), message, help);
            }
        }
    }

    /// Selectors that an earlier one leaves nothing to decide.
    pub(super) fn contradictions(
        &self,
        include: &Option<Vec<Spanned<RawSelector>>>,
        exclude: &[Spanned<RawSelector>],
        overrides: &[RawOverride],
    ) -> Vec<String> {
        let exclude = exclude.iter().map(|selector| ("scope.exclude", selector));
        let overrides = overrides.iter().map(|entry| ("overrides", &entry.r#match));
        let include = include.iter().flatten();
        let include = include.map(|selector| ("scope.include", selector));
        let mut seen: BTreeMap<String, (&str, usize)> = BTreeMap::new();
        let mut warnings = Vec::new();
        for (list, selector) in exclude.chain(overrides).chain(include) {
            let (text, line) = (selector.value.to_string(), line_of(selector));
            match seen.get(&text) {
                // What is excluded or overridden may well be included: that is what they are for.
                Some((earlier, at)) if *earlier == list || *earlier == "scope.exclude" => {
                    warnings.push(format!(
                        "{}:{line}: {text} of `{list}` decides nothing: `{earlier}` has it in line {at}, and comes first",
                        self.file
                    ));
                }
                Some(_) => {}
                None => {
                    seen.insert(text, (list, line));
                }
            }
        }
        warnings
    }
}
