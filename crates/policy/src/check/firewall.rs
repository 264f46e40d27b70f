//! Settings of the guard `inbound`: sets of the operator's own firewall.

use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{
    AddressFamily, FirewallSet, Output,
    raw_firewall::{RawOutput, RawSets},
};

/// So many sets there may be: each is looked at again and again.
const MOST_OUTPUTS: usize = 16;

impl Checker {
    pub(super) fn outputs(&mut self, raw: Option<Vec<Spanned<RawOutput>>>) -> Vec<Output> {
        let mut outputs: Vec<Output> = Vec::new();
        for entry in raw.unwrap_or_default() {
            let line = line_of(&entry);
            let (sets, read): (_, fn(&str) -> _) = match (entry.value.nftables, entry.value.ipset) {
                (Some(sets), None) => (sets, FirewallSet::nftables),
                (None, Some(sets)) => (sets, FirewallSet::ipset),
                _ => {
                    self.problem(
                        line,
                        "an entry of `outputs` names no set, or two".to_owned(),
                        "write one such as `{nftables: \"inet filter banned\"}` or `{ipset: banned}`, and each by itself",
                    );
                    continue;
                }
            };
            for (text, family) in named(sets) {
                match read(&text) {
                    Ok(set) if outputs.iter().any(|known| known.set == set) => {
                        let message = format!("`{set}` is named twice in `outputs`");
                        self.problem(
                            line,
                            message,
                            "a set holds addresses of one family: name two sets for both",
                        );
                    }
                    Ok(set) => outputs.push(Output { set, family }),
                    Err(problem) => {
                        let (message, help) = problem.split_once(": ").unwrap_or((&problem, ""));
                        self.problem(line, message.to_owned(), help);
                    }
                }
            }
            if outputs.len() > MOST_OUTPUTS {
                let message = format!("`outputs` names more than {MOST_OUTPUTS} sets");
                self.problem(line, message, "name fewer");
                break;
            }
        }
        outputs
    }
}

fn named(sets: RawSets) -> Vec<(String, Option<AddressFamily>)> {
    match sets {
        RawSets::One(text) => vec![(text, None)],
        RawSets::Both(both) => {
            let ipv4 = both.ipv4.map(|text| (text, Some(AddressFamily::Ipv4)));
            let ipv6 = both.ipv6.map(|text| (text, Some(AddressFamily::Ipv6)));
            ipv4.into_iter().chain(ipv6).collect()
        }
    }
}
