//! Deterministic automata as tables of states, before they are laid out in words: made small, and joined.

use std::collections::HashMap;

/// States that a joined automaton may have. What needs more has no bounded size for our purpose.
const MOST_STATES: usize = 1 << 15;

/// An automaton. State 0 is dead.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Column of each byte.
    pub(crate) columns: Vec<u32>,
    pub(crate) width: usize,
    /// Rows of targets.
    pub(crate) targets: Vec<u32>,
    /// What each state accepts with; 0 does not.
    pub(crate) accept: Vec<u32>,
    pub(crate) start: u32,
}

impl Machine {
    fn row(&self, state: u32) -> &[u32] {
        let at = state as usize * self.width;
        &self.targets[at..at + self.width]
    }

    /// The smallest automaton that accepts the same with the same values: bytes that no state tells apart share a
    /// column, and states that no text tells apart a row.
    pub(crate) fn smallest(&self) -> Self {
        let states = self.accept.len();
        let (class_of, classes) = self.equivalent();
        let mut first_of = vec![0; classes];
        for state in (0..states).rev() {
            first_of[class_of[state] as usize] = number(state);
        }
        let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut samples = Vec::new();
        let mut column_of: Vec<Option<u32>> = vec![None; self.width];
        let columns = self.columns.iter().map(|column| {
            let column = *column as usize;
            *column_of[column].get_or_insert_with(|| {
                let targets = first_of.iter().map(|state| self.row(*state)[column]);
                let targets = targets.map(|to| class_of[to as usize]).collect();
                let next = number(samples.len());
                *seen.entry(targets).or_insert_with(|| {
                    samples.push(column);
                    next
                })
            })
        });
        let columns = columns.collect();
        let targets = first_of.iter().flat_map(|state| {
            let row = self.row(*state);
            samples
                .iter()
                .map(|column| class_of[row[*column] as usize])
                .collect::<Vec<_>>()
        });
        Self {
            columns,
            width: samples.len(),
            targets: targets.collect(),
            accept: first_of.iter().map(|s| self.accept[*s as usize]).collect(),
            start: class_of[self.start as usize],
        }
    }

    /// Moore's algorithm: states are split by what they accept, and then by where they lead, until nothing splits any
    /// more. Returns the class of each state and their number; the dead state 0 is class 0.
    fn equivalent(&self) -> (Vec<u32>, usize) {
        let states = self.accept.len();
        let mut class_of: Vec<u32> = vec![0; states];
        let mut classes = 0;
        loop {
            let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
            let next: Vec<u32> = (0..states)
                .map(|state| {
                    let row = self.row(number(state)).iter();
                    let own = [self.accept[state], class_of[state]];
                    let key: Vec<u32> = own
                        .into_iter()
                        .chain(row.map(|target| class_of[*target as usize]))
                        .collect();
                    let number = number(seen.len());
                    *seen.entry(key).or_insert(number)
                })
                .collect();
            class_of = next;
            if seen.len() == classes {
                return (class_of, classes);
            }
            classes = seen.len();
        }
    }

    /// The same automaton, which also accepts, with `value`, whatever begins with what it accepts and a slash.
    pub(crate) fn and_below(mut self, value: u32) -> Self {
        let slash = usize::from(b'/');
        let old = self.columns[slash] as usize;
        let settled = number(self.accept.len());
        let rows = self.targets.chunks(self.width).zip(&self.accept);
        let targets = rows.flat_map(|(row, accept)| {
            let below = if *accept == 0 { row[old] } else { settled };
            row.iter().copied().chain([below])
        });
        self.targets = targets.collect();
        self.columns[slash] = number(self.width);
        self.width += 1;
        self.targets.extend(vec![settled; self.width]);
        self.accept.push(value);
        self
    }

    /// Whether whatever follows leaves the automaton in this state, accepting.
    fn is_settled(&self, state: u32) -> bool {
        self.accept[state as usize] != 0 && self.row(state).iter().all(|to| *to == state)
    }

    /// One automaton that accepts what any of these accepts, with the value of the first that does. Behind one that has
    /// settled, the following are not looked at: that keeps the states few where one automaton over all patterns would
    /// multiply them.
    pub(crate) fn first_of(machines: &[Self]) -> Result<Self, String> {
        let (columns, samples) = shared_columns(machines);
        let settled: Vec<Vec<bool>> = machines
            .iter()
            .map(|m| {
                (0..m.accept.len())
                    .map(|s| m.is_settled(number(s)))
                    .collect()
            })
            .collect();
        let prune = |states: &mut Vec<u32>| {
            let known = states.iter().zip(&settled);
            let first = known
                .into_iter()
                .position(|(s, settled)| settled[*s as usize]);
            if let Some(first) = first {
                states[first + 1..].fill(0);
            }
        };
        let dead = vec![0; machines.len()];
        let mut start: Vec<u32> = machines.iter().map(|m| m.start).collect();
        prune(&mut start);
        let mut numbers = HashMap::from([(dead.clone(), 0)]);
        let mut states = vec![dead];
        let first = *numbers.entry(start.clone()).or_insert(1);
        if first == 1 {
            states.push(start);
        }
        let mut targets = Vec::new();
        let mut at = 0;
        while at < states.len() {
            for sample in &samples {
                let mut next: Vec<u32> = machines
                    .iter()
                    .zip(&states[at])
                    .zip(sample)
                    .map(|((machine, state), column)| machine.row(*state)[*column as usize])
                    .collect();
                prune(&mut next);
                let fresh = number(states.len());
                targets.push(*numbers.entry(next).or_insert_with_key(|next| {
                    states.push(next.clone());
                    fresh
                }));
            }
            at += 1;
            if states.len() > MOST_STATES {
                return Err(format!("needs a DFA of more than {MOST_STATES} states"));
            }
        }
        let value = |states: &Vec<u32>| {
            let values = machines.iter().zip(states);
            let mut values = values.map(|(machine, state)| machine.accept[*state as usize]);
            values.find(|value| *value != 0).unwrap_or(0)
        };
        Ok(Self {
            columns,
            width: samples.len(),
            targets,
            accept: states.iter().map(value).collect(),
            start: first,
        })
    }
}

/// The column of each byte where no machine tells the bytes of one column apart, and for each column its columns in
/// the machines.
fn shared_columns(machines: &[Machine]) -> (Vec<u32>, Vec<Vec<u32>>) {
    let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut samples = Vec::new();
    let columns = (0..256).map(|byte| {
        let own: Vec<u32> = machines.iter().map(|m| m.columns[byte]).collect();
        let next = number(samples.len());
        *seen.entry(own).or_insert_with_key(|own| {
            samples.push(own.clone());
            next
        })
    });
    (columns.collect(), samples)
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::meta::Regex;

    use crate::table::dfa::{self, Dfa, Text};

    proptest! {
        #[test]
        fn the_first_pattern_that_matches_counts(
            patterns in proptest::collection::vec(
                prop_oneof![Just("a"), Just("(?:.*/)?a(?:/.*)?"), Just("b.*"), Just("(?:.*/)?[^/]*b(?:/.*)?"), Just(".*"), Just("(?:a/)*b")],
                0..5,
            ),
            paths in proptest::collection::vec("[ab/]{0,8}", 20),
        ) {
            let numbered: Vec<(String, u32)> =
                patterns.iter().zip(1..).map(|(p, value)| ((*p).to_owned(), value)).collect();
            let joined = Dfa::first_of(&numbered, Text::Path).expect("a small DFA");
            let mut words = vec![0];
            let at = joined.append(&mut words) as usize;
            for path in paths {
                let matches = |(pattern, _): &&(String, u32)| {
                    let whole = Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
                    whole.is_match(&path)
                };
                let first = numbered.iter().find(matches).map_or(0, |(_, value)| *value);
                prop_assert_eq!(dfa::run(&words, at, path.bytes()), first, "{}", path);
            }
        }
    }
}
