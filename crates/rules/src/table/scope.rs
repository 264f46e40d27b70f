//! The scope table: which policy a cgroup falls under, by its path.
//!
//! Each pattern is a DFA of its own, and they are asked one after the other. Joined into one they would have to remember
//! which of them matched so far, each apart: a state for every combination.

use hayward_model::ScopePolicy;

use super::{
    append,
    dfa::{self, Dfa, Text},
    layout::{
        MAX_SCOPE_ENTRIES, SCOPE_COUNT, SCOPE_DFA, SCOPE_ENTRIES, SCOPE_ENTRY_WORDS, SCOPE_POLICY,
    },
    number,
};

/// An ordered list of patterns over whole cgroup paths, each with a policy: the first that matches counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeTable {
    words: Vec<u32>,
}

impl ScopeTable {
    /// Compiles regular expressions over whole paths. The error is a sentence.
    pub fn compile(patterns: &[(String, ScopePolicy)]) -> Result<Self, String> {
        let mut distinct: Vec<&(String, ScopePolicy)> = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            if !distinct.iter().any(|earlier| earlier.0 == pattern.0) {
                distinct.push(pattern);
            }
        }
        if distinct.len() > MAX_SCOPE_ENTRIES {
            return Err(format!(
                "the scope has {} selectors and overrides, and the kernel's table holds {MAX_SCOPE_ENTRIES}",
                distinct.len()
            ));
        }
        let mut words = vec![number(distinct.len())];
        let entries = append(&mut words, &vec![0; distinct.len() * SCOPE_ENTRY_WORDS]) as usize;
        for (index, (regex, policy)) in distinct.into_iter().enumerate() {
            let dfa = Dfa::build(std::slice::from_ref(regex), Text::Path, |_| 1)?;
            let entry = entries + index * SCOPE_ENTRY_WORDS;
            words[entry + SCOPE_POLICY] = policy.bits();
            words[entry + SCOPE_DFA] = dfa.append(&mut words);
        }
        Ok(Self { words })
    }

    /// The words, for the kernel.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// What the kernel programs answer for a path below the cgroup file system.
    pub fn policy(&self, path: &[u8]) -> ScopePolicy {
        let word = |at: usize| self.words.get(at).copied().unwrap_or(0);
        let entries =
            (0..word(SCOPE_COUNT) as usize).map(|n| SCOPE_ENTRIES + n * SCOPE_ENTRY_WORDS);
        let accepts = |entry: &usize| {
            dfa::run(
                &self.words,
                word(entry + SCOPE_DFA) as usize,
                path.iter().copied(),
            ) != 0
        };
        entries
            .into_iter()
            .find(accepts)
            .map_or(ScopePolicy::OUT, |entry| {
                ScopePolicy::from_bits(word(entry + SCOPE_POLICY))
            })
    }
}

/// Says why one pattern by itself cannot be judged in the kernel.
pub fn check_scope(regex: &str) -> Result<(), String> {
    dfa::check(regex, Text::Path)
}
