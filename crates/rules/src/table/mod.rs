//! The table that the kernel matches command lines with, and the same judgement in Rust.
//!
//! A table is a row of 32-bit words: a header, then the automaton over banned strings, the DFA over executables, the
//! groups and their allow DFAs. The kernel gets it as one map value, swapped whole.

mod automaton;
mod dfa;
mod double_array;
mod executables;
mod groups;
mod judge;
pub mod layout;
mod matched;
mod minimize;
mod scope;
mod secrets;

use jiff::Timestamp;
use regex_syntax::hir::Hir;

pub use judge::Judgement;
pub use scope::{ScopeTable, check_scope};
pub use secrets::{Cut, Secrets};

use crate::{Origin, Rule};
use automaton::{Automaton, Entry};
use dfa::{Dfa, Text};
use groups::Group;
use layout::{
    GROUP_ENFORCE, GROUP_MILDER, GROUP_WORDS, Header, MAX_GROUPS, OUTPUT_GROUP_SHIFT, OUTPUT_RULE,
    TABLE_BORDERS, TABLE_MAGIC, TABLE_PARTS, TABLE_SHORT_STARTS, TABLE_SYMBOLS, is_boundary,
};

/// Rules, compiled.
#[derive(Debug, Clone)]
pub struct CommandTable {
    words: Vec<u32>,
    rules: Vec<Rule>,
    generation: u32,
    orders: matched::Orders,
    secrets: Secrets,
}

/// Why rules cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableProblem {
    /// The rule concerned, where it is one.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Everything that keeps rules from being compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct TableError {
    /// At least one.
    pub problems: Vec<TableProblem>,
}

impl std::fmt::Display for TableProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        write!(f, "{}\n  help: {}", self.message, self.help)
    }
}

/// What to do about an allow pattern that cannot be had.
pub const ALLOW_HELP: &str = "an allow pattern is a regular expression over bytes without look-around, back-references or Unicode classes";
/// What to do about an executable that is no glob.
pub(crate) const EXECUTABLE_HELP: &str =
    "write a base name such as minerd, or a path glob such as /tmp/**";

/// Checks one allow pattern by itself; the error says why it cannot be judged in the kernel.
pub fn check_allow(pattern: &str) -> Result<(), String> {
    dfa::check(pattern, Text::CommandLine)
}

/// An allow pattern, parsed as it is for the kernel.
pub(crate) fn parse_allow(pattern: &str) -> Option<Hir> {
    regex_automata::util::syntax::parse_with(pattern, &dfa::syntax(Text::CommandLine)).ok()
}

/// Checks one executable by itself; the error says why it is no glob.
pub(crate) fn check_executable(glob: &str) -> Result<(), String> {
    dfa::check(&executables::reversed_regex(glob)?, Text::Path)
}

impl CommandTable {
    /// Compiles rules. `to_boot_ns` gives the CLOCK_BOOTTIME ns of a point in time, for expiry in the kernel.
    pub fn compile(
        rules: Vec<Rule>,
        generation: u32,
        to_boot_ns: impl Fn(Timestamp) -> u64,
    ) -> Result<Self, TableError> {
        let problems = groups::check_allow(&rules);
        if !problems.is_empty() {
            return Err(TableError { problems });
        }
        let (groups, group_of) =
            groups::group(&rules).map_err(|problems| TableError { problems })?;
        let mut words = vec![0; TABLE_PARTS];
        words[Header::Magic as usize] = TABLE_MAGIC;
        words[Header::Generation as usize] = generation;
        // What every program start reads comes first, and close together.
        append_executables(&mut words, &rules, &group_of)?;
        append_automaton(&mut words, Automaton::build(entries(&rules, &group_of)));
        append_groups(&mut words, &groups, to_boot_ns)?;
        words.shrink_to_fit();
        let secrets = Secrets::of(&rules).map_err(|reason| TableError {
            problems: vec![TableProblem {
                origin: None,
                message: format!("the executables of secret rules cannot be masked: {reason}"),
                help: EXECUTABLE_HELP.to_owned(),
            }],
        })?;
        Ok(Self {
            words,
            orders: matched::orders(&rules),
            rules,
            generation,
            secrets,
        })
    }

    /// The words, for the kernel.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The rules; their places are the rule indices of events and judgements.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What must not be written of secret rules.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The number that every event carries.
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

fn entries(rules: &[Rule], group_of: &[usize]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for text in &rule.banned {
            let text = text.to_ascii_lowercase();
            let text = text
                .iter()
                .map(|byte| if *byte == 0 { b' ' } else { *byte })
                .collect();
            entries.push(Entry {
                text,
                group: number(group_of[index]),
                rule: number(index),
            });
        }
    }
    entries
}

fn append_automaton(words: &mut Vec<u32>, mut automaton: Automaton) {
    for byte in 0..=255u8 {
        let at = usize::from(byte);
        let (set_word, set_bit) = (at / 32, at % 32);
        words[TABLE_BORDERS + set_word] |= u32::from(is_boundary(byte)) << set_bit;
        words[TABLE_SHORT_STARTS + set_word] |= u32::from(automaton.short_starts[at]) << set_bit;
        words[TABLE_SYMBOLS + at / 4] |= u32::from(automaton.symbols[at]) << (at % 4 * 8);
    }
    let [all, long, short] = &automaton.filters;
    for (filter, place, shift) in [
        (short, Header::ShortFilter, Header::ShortFilterShift),
        (all, Header::Filter, Header::FilterShift),
        (long, Header::LongFilter, Header::LongFilterShift),
    ] {
        words[place as usize] = append(words, &filter.words);
        words[shift as usize] = filter.shift;
    }
    let outputs = append(words, &automaton.outputs);
    for cell in automaton.output_cells {
        automaton.cells[cell] += outputs;
    }
    words[Header::Cells as usize] = append(words, &automaton.cells);
}

fn append_executables(
    words: &mut Vec<u32>,
    rules: &[Rule],
    group_of: &[usize],
) -> Result<(), TableError> {
    let mut regexes = Vec::new();
    let mut hits = Vec::new();
    let mut problems = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for glob in &rule.executable {
            match executables::reversed_regex(glob) {
                Ok(regex) => {
                    regexes.push(regex);
                    hits.push(hit(number(group_of[index]), number(index)));
                }
                Err(reason) => problems.push(TableProblem {
                    origin: Some(rule.origin.clone()),
                    message: format!(
                        "the executable {} is no glob: {reason}",
                        if rule.secret {
                            "of a secret file"
                        } else {
                            glob
                        }
                    ),
                    help: EXECUTABLE_HELP.to_owned(),
                }),
            }
        }
    }
    if !problems.is_empty() {
        return Err(TableError { problems });
    }
    if regexes.is_empty() {
        return Ok(());
    }
    // Every set of globs that some state accepts gets one list of hits, placed before the DFA.
    let lists = std::cell::RefCell::new(Vec::<u32>::new());
    let base = words.len();
    let list_of = |matching: &[usize]| {
        let mut list: Vec<u32> = Vec::new();
        for hit in matching.iter().filter_map(|index| hits.get(*index)) {
            if !list.iter().any(|seen| same_group(*seen, *hit)) {
                list.push(*hit);
            }
        }
        let mut lists = lists.borrow_mut();
        let at = base + lists.len();
        let length = number(list.len());
        lists.push(length);
        lists.extend(list);
        number(at)
    };
    let dfa = Dfa::build(&regexes, Text::Path, list_of).map_err(|reason| TableError {
        problems: vec![TableProblem {
            origin: None,
            message: format!(
                "the executables of all rules together cannot be judged in the kernel: {reason}"
            ),
            help: "use fewer globs with '**' or several '*'".to_owned(),
        }],
    })?;
    words.extend(lists.into_inner());
    words[Header::Executables as usize] = dfa.append(words);
    Ok(())
}

fn append_groups(
    words: &mut Vec<u32>,
    groups: &[Group<'_>],
    to_boot_ns: impl Fn(Timestamp) -> u64,
) -> Result<(), TableError> {
    let records = append(words, &[0; MAX_GROUPS * GROUP_WORDS]) as usize;
    words[Header::Groups as usize] = number(records);
    for (index, group) in groups.iter().enumerate() {
        let at = records + index * GROUP_WORDS;
        if !group.allow.is_empty() {
            let dfa = Dfa::build(group.allow, Text::CommandLine, |_| 1).map_err(|reason| TableError {
                problems: vec![TableProblem {
                    origin: None,
                    message: format!(
                        "{} allow patterns that hold together cannot be judged in the kernel: {reason}",
                        group.allow.len()
                    ),
                    help: "split the rule file, so that each part has fewer allow patterns".to_owned(),
                }],
            })?;
            words[at] = dfa.append(words);
        }
        let flags = [(group.enforce, GROUP_ENFORCE), (group.milder, GROUP_MILDER)];
        let flags = flags.into_iter().filter(|(is_so, _)| *is_so);
        words[at + 1] = flags.fold(0, |flags, (_, flag)| flags | flag);
        let expires = group.expires.map_or(0, &to_boot_ns);
        set_wide(words, at + 2, expires);
        let bit = 1u64 << index;
        for (header, wanted) in [
            (Header::BannedLo, group.needs_banned),
            (Header::ExecutableLo, group.needs_executable),
            (Header::LiveLo, true),
        ] {
            if wanted {
                let at = header as usize;
                let value = u64::from(words[at]) | u64::from(words[at + 1]) << 32;
                set_wide(words, at, value | bit);
            }
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is wanted"
)]
fn set_wide(words: &mut [u32], at: usize, value: u64) {
    words[at] = value as u32;
    words[at + 1] = (value >> 32) as u32;
}

fn append(words: &mut Vec<u32>, section: &[u32]) -> u32 {
    let at = number(words.len());
    words.extend_from_slice(section);
    at
}

/// A word of an output list.
fn hit(group: u32, rule: u32) -> u32 {
    group << OUTPUT_GROUP_SHIFT | (rule & OUTPUT_RULE)
}

fn same_group(one: u32, other: u32) -> bool {
    one >> OUTPUT_GROUP_SHIFT == other >> OUTPUT_GROUP_SHIFT
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
