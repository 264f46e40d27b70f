//! Regular expressions as dense DFAs of bounded size, laid out in words.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson,
    util::{primitives::StateID, start, syntax},
};

use super::{
    layout::{DFA_ACCEPT, DFA_CLASSES, DFA_START, DFA_STRIDE_SHIFT, DFA_TRANSITIONS, DFA_WORDS},
    machine::Machine,
};
use std::collections::HashMap;

/// Bytes that one DFA may take while it is built; a pattern that needs more has no bounded DFA for our purpose.
const SIZE_LIMIT: usize = 8 << 20;

/// The end of a pattern that matches what is below, too. Names of cgroups hold no line feed, so it needs no automaton of
/// its own: whatever follows is accepted.
const AND_BELOW: &str = "(?:/.*)?";

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
pub(crate) struct Dfa(Machine);

impl Dfa {
    /// Builds the union of `patterns`, each matching whole texts. `accept` says, for the patterns that match, the
    /// value (not 0) that the state accepts with. The error is a sentence.
    pub(crate) fn build(
        patterns: &[String],
        text: Text,
        accept: impl Fn(&[usize]) -> u32,
    ) -> Result<Self, String> {
        Ok(Self(machine(patterns, text, accept)?.smallest()))
    }

    /// Builds an ordered list of patterns, each with a value (not 0): the first that matches counts.
    pub(crate) fn first_of(patterns: &[(String, u32)], text: Text) -> Result<Self, String> {
        let machines: Vec<Machine> = patterns
            .iter()
            .map(|(pattern, value)| {
                let head = pattern.strip_suffix(AND_BELOW);
                let pattern = head.unwrap_or(pattern).to_owned();
                let machine = machine(&[pattern], text, |_| *value)?;
                Ok(match head {
                    Some(_) => machine.and_below(*value).smallest(),
                    None => machine.smallest(),
                })
            })
            .collect::<Result<_, String>>()?;
        Ok(Self(Machine::first_of(&machines)?.smallest()))
    }

    /// Appends the DFA to a table and returns its offset.
    pub(crate) fn append(&self, words: &mut Vec<u32>) -> u32 {
        let Self(machine) = self;
        let shift = machine.width.next_power_of_two().trailing_zeros();
        let mut transitions = vec![0; machine.accept.len() << shift];
        for (state, row) in machine.targets.chunks(machine.width.max(1)).enumerate() {
            for (column, target) in row.iter().enumerate() {
                transitions[(state << shift) + column] = target << shift;
            }
        }
        let at = words.len();
        words.resize(at + DFA_WORDS, 0);
        for (field, section) in [
            (DFA_CLASSES, &machine.columns),
            (DFA_TRANSITIONS, &transitions),
            (DFA_ACCEPT, &machine.accept),
        ] {
            words[at + field] = offset(words.len());
            words.extend_from_slice(section);
        }
        words[at + DFA_STRIDE_SHIFT] = shift;
        words[at + DFA_START] = machine.start << shift;
        offset(at)
    }
}

fn machine(
    patterns: &[String],
    text: Text,
    accept: impl Fn(&[usize]) -> u32,
) -> Result<Machine, String> {
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
    explore(&dfa, text, accept)
}

/// Numbers the states that can be reached. Of the bytes that the DFA does not tell apart, one is tried.
fn explore(
    dfa: &dense::DFA<Vec<u32>>,
    text: Text,
    accept: impl Fn(&[usize]) -> u32,
) -> Result<Machine, String> {
    let first = dfa
        .start_state(&start::Config::new().anchored(Anchored::Yes))
        .map_err(|error| error.to_string())?;
    let classes = dfa.byte_classes();
    let mut columns: Vec<u32> = (0..=255).map(|byte| u32::from(classes.get(byte))).collect();
    if text == Text::CommandLine {
        columns[0] = columns[usize::from(b' ')];
    }
    let mut samples: Vec<u8> = (0..=255).collect();
    samples.dedup_by_key(|byte| classes.get(*byte));
    let width = samples.len();
    let mut numbers: HashMap<StateID, u32> = HashMap::from([(first, 1)]);
    let mut states = vec![first];
    let mut targets = vec![0; width];
    let mut accepts = vec![0];
    let mut next = 0;
    while let Some(&state) = states.get(next) {
        next += 1;
        targets.extend(samples.iter().map(|sample| {
            let target = dfa.next_state(state, *sample);
            if dfa.is_dead_state(target) {
                return 0;
            }
            let number = offset(states.len() + 1);
            *numbers.entry(target).or_insert_with(|| {
                states.push(target);
                number
            })
        }));
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
    Ok(Machine {
        columns,
        width,
        targets,
        accept: accepts,
        start: 1,
    })
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

fn syntax(text: Text) -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
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
