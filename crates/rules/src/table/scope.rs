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

    /// Puts other policies in the place of those that there are.
    pub fn change(&mut self, policy_of: impl Fn(ScopePolicy) -> ScopePolicy) {
        let count = self.words[SCOPE_COUNT] as usize;
        for number in 0..count {
            let word = &mut self.words[SCOPE_ENTRIES + number * SCOPE_ENTRY_WORDS + SCOPE_POLICY];
            *word = policy_of(ScopePolicy::from_bits(*word)).bits();
        }
    }

    /// The words, for the kernel.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// What the kernel programs answer for a path below the cgroup file system.
    pub fn policy(&self, path: &[u8]) -> ScopePolicy {
        self.first(path).map_or(ScopePolicy::OUT, |number| {
            let entry = SCOPE_ENTRIES + number * SCOPE_ENTRY_WORDS;
            ScopePolicy::from_bits(self.words[entry + SCOPE_POLICY])
        })
    }

    /// The number of the first pattern that matches a path below the cgroup file system: the one whose policy the kernel
    /// programs take. Patterns that are the same as an earlier one are not counted.
    pub fn first(&self, path: &[u8]) -> Option<usize> {
        let word = |at: usize| self.words.get(at).copied().unwrap_or(0);
        (0..word(SCOPE_COUNT) as usize).find(|number| {
            let entry = SCOPE_ENTRIES + number * SCOPE_ENTRY_WORDS;
            let dfa = word(entry + SCOPE_DFA) as usize;
            dfa::run(&self.words, dfa, path.iter().copied()) != 0
        })
    }
}

/// Says why one pattern by itself cannot be judged in the kernel.
pub fn check_scope(regex: &str) -> Result<(), String> {
    dfa::check(regex, Text::Path)
}
