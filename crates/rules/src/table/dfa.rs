//! Regular expressions as dense DFAs of bounded size, laid out in words.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson,
    util::{primitives::StateID, start, syntax},
};

use super::{
    layout::{DFA_ACCEPT, DFA_CLASSES, DFA_START, DFA_STRIDE_SHIFT, DFA_TRANSITIONS, DFA_WORDS},
    minimize,
};
use std::collections::HashMap;

/// Bytes that one DFA may take while it is built; a pattern that needs more has no bounded DFA for our purpose.
const SIZE_LIMIT: usize = 8 << 20;

/// How the text that a DFA reads is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    /// A command line: ASCII case ignored, NUL is a space.
    CommandLine,
    /// A path: bytes as they are.
    Path,
}

/// A DFA over whole texts, before it has a place in a table.
#[derive(Debug)]
pub(crate) struct Dfa {
    columns: Vec<u32>,
    stride_shift: u32,
    /// Rows of the states, state 0 being dead; entries are row offsets.
    transitions: Vec<u32>,
    accept: Vec<u32>,
    start: u32,
}

impl Dfa {
    /// Builds the union of `patterns`, each matching whole texts. `accept` says, for the patterns that match, the
    /// value (not 0) that the state accepts with. The error is a sentence.
    pub(crate) fn build(
        patterns: &[String],
        text: Text,
        accept: impl Fn(&[usize]) -> u32,
    ) -> Result<Self, String> {
        let whole: Vec<_> = patterns
            .iter()
            .map(|pattern| format!(r"\A(?:{pattern})\z"))
            .collect();
        let dfa = dense::Builder::new()
            .syntax(syntax(text))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(SIZE_LIMIT)),
            )
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(SIZE_LIMIT))
                    .determinize_size_limit(Some(4 * SIZE_LIMIT)),
            )
            .build_many(&whole)
            .map_err(|error| explain(&error))?;
        Self::lay_out(&dfa, text, accept)
    }

    fn lay_out(
        dfa: &dense::DFA<Vec<u32>>,
        text: Text,
        accept: impl Fn(&[usize]) -> u32,
    ) -> Result<Self, String> {
        let first = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| error.to_string())?;
        // Bytes that the DFA does not tell apart share a column from the start: a row of 256 for each state would be
        // half a gigabyte for the largest that is allowed.
        let mut samples: Vec<u8> = Vec::new();
        let mut column_of_class: HashMap<u8, usize> = HashMap::new();
        let columns: Vec<usize> = (0..=255u8)
            .map(|byte| {
                let nul = byte == 0 && text == Text::CommandLine;
                let byte = if nul { b' ' } else { byte };
                let class = dfa.byte_classes().get(byte);
                *column_of_class.entry(class).or_insert_with(|| {
                    samples.push(byte);
                    samples.len() - 1
                })
            })
            .collect();
        let mut numbers: HashMap<StateID, u32> = HashMap::from([(first, 1)]);
        let mut states = vec![first];
        let mut rows: Vec<Vec<u32>> = vec![vec![0; samples.len()]];
        let mut accepts = vec![0];
        let mut next = 0;
        while let Some(&state) = states.get(next) {
            next += 1;
            let mut row = vec![0; samples.len()];
            for (column, byte) in samples.iter().enumerate() {
                let target = dfa.next_state(state, *byte);
                if dfa.is_dead_state(target) {
                    continue;
                }
                let number = offset(states.len() + 1);
                row[column] = *numbers.entry(target).or_insert_with(|| {
                    states.push(target);
                    number
                });
            }
            rows.push(row);
            let end = dfa.next_eoi_state(state);
            let matching: Vec<_> = if dfa.is_match_state(end) {
                (0..dfa.match_len(end))
                    .map(|i| dfa.match_pattern(end, i).as_usize())
                    .collect()
            } else {
                Vec::new()
            };
            accepts.push(if matching.is_empty() {
                0
            } else {
                accept(&matching)
            });
        }
        Ok(Self::compress(&columns, &rows, &accepts))
    }

    /// Columns that no state tells apart become one, and states that no text tells apart.
    fn compress(column_of: &[usize], rows: &[Vec<u32>], accept: &[u32]) -> Self {
        let mut columns = Vec::with_capacity(256);
        let mut seen: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut samples = Vec::new();
        let mut joined: HashMap<usize, u32> = HashMap::new();
        for &column in column_of {
            columns.push(*joined.entry(column).or_insert_with(|| {
                let targets: Vec<u32> = rows.iter().map(|row| row[column]).collect();
                let number = offset(seen.len());
                *seen.entry(targets).or_insert_with(|| {
                    samples.push(column);
                    number
                })
            }));
        }
        drop(seen);
        let rows: Vec<Vec<u32>> = rows
            .iter()
            .map(|row| samples.iter().map(|column| row[*column]).collect())
            .collect();
        let (class_of, classes) = minimize::classes(&rows, accept);
        let stride_shift = samples.len().next_power_of_two().trailing_zeros();
        let mut transitions = vec![0; classes << stride_shift];
        let mut accepts = vec![0; classes];
        for (state, row) in rows.iter().enumerate() {
            let class = class_of[state] as usize;
            accepts[class] = accept[state];
            for (column, target) in row.iter().enumerate() {
                transitions[(class << stride_shift) + column] =
                    class_of[*target as usize] << stride_shift;
            }
        }
        let start = class_of[1] << stride_shift;
        Self {
            columns,
            stride_shift,
            transitions,
            accept: accepts,
            start,
        }
    }

    /// Appends the DFA to a table and returns its offset.
    pub(crate) fn append(&self, words: &mut Vec<u32>) -> u32 {
        let at = words.len();
        words.resize(at + DFA_WORDS, 0);
        for (field, section) in [
            (DFA_CLASSES, &self.columns),
            (DFA_TRANSITIONS, &self.transitions),
            (DFA_ACCEPT, &self.accept),
        ] {
            words[at + field] = offset(words.len());
            words.extend_from_slice(section);
        }
        words[at + DFA_STRIDE_SHIFT] = self.stride_shift;
        words[at + DFA_START] = self.start;
        offset(at)
    }
}

/// Runs a DFA that lies in a table over a text. Returns the value it accepts with, 0 for none.
pub(crate) fn run(words: &[u32], dfa: usize, text: impl IntoIterator<Item = u8>) -> u32 {
    let word = |at: usize| words.get(at).copied().unwrap_or(0);
    let columns = word(dfa + DFA_CLASSES) as usize;
    let transitions = word(dfa + DFA_TRANSITIONS) as usize;
    let mut state = word(dfa + DFA_START);
    for byte in text {
        let column = word(columns + usize::from(byte));
        state = word(transitions + (state + column) as usize);
        if state == 0 {
            return 0;
        }
    }
    word(word(dfa + DFA_ACCEPT) as usize + (state >> word(dfa + DFA_STRIDE_SHIFT)) as usize)
}

/// Checks one pattern by itself. The error names the construct that cannot be had.
pub(crate) fn check(pattern: &str, text: Text) -> Result<(), String> {
    regex_automata::util::syntax::parse_with(pattern, &syntax(text))
        .map_err(|error| one_line(&error.to_string()))?;
    Dfa::build(&[pattern.to_owned()], text, |_| 1).map(|_| ())
}

/// A line feed is a byte like any other: a script in an argument has many, and `.*` is to mean the rest of it.
pub(crate) fn syntax(text: Text) -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .case_insensitive(text == Text::CommandLine)
}

fn explain(error: &dense::BuildError) -> String {
    use std::error::Error;
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {source}");
    if text.contains("limit") {
        format!(
            "needs a DFA of more than {} MiB: counted repetitions such as x{{1,200}}, or many '.*' in one pattern, multiply its states",
            SIZE_LIMIT >> 20
        )
    } else {
        one_line(&text).trim_end_matches([':', ' ']).to_owned()
    }
}

/// The parser draws its errors over several lines; the last one says what is wrong.
fn one_line(text: &str) -> String {
    text.lines()
        .last()
        .unwrap_or(text)
        .trim_start_matches("error: ")
        .to_owned()
}

fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
