//! The judgement of the kernel programs, in Rust, over the same words: for running processes, for `hayward judge`, and
//! to hold the kernel against.

use super::{
    CommandTable, dfa, executables,
    layout::{
        BASE_FAIL, BASE_OFFSET, BASE_OUTPUT, GROUP_ENFORCE, GROUP_WORDS, Header, MAX_GROUPS,
        OUTPUT_GROUP_SHIFT, OUTPUT_RULE, STATE_BOUNDARY, STATE_WORD, SYMBOL_FAIL, SYMBOL_OUTPUT,
        is_boundary, symbol,
    },
};

/// What the rules say of a command line. `end` is the offset just past the match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// No rule matches.
    Clean,
    /// A rule matches and an allow pattern spares the command line.
    Spared {
        /// Index of the rule.
        rule: u32,
        /// Offset just past the match.
        end: u32,
    },
    /// A rule in `observe` matches.
    Observed {
        /// Index of the rule.
        rule: u32,
        /// Offset just past the match.
        end: u32,
    },
    /// A rule in `enforce` matches.
    Banned {
        /// Index of the rule.
        rule: u32,
        /// Offset just past the match.
        end: u32,
    },
}

/// Hits by group: the rule and where its string ends.
#[derive(Default)]
struct Hits {
    groups: u64,
    of_group: Vec<(u32, u32)>,
}

impl Hits {
    fn new() -> Self {
        Self {
            groups: 0,
            of_group: vec![(0, 0); MAX_GROUPS],
        }
    }

    fn report(&mut self, words: &[u32], list: u32, end: usize) {
        let list = list as usize;
        for hit in &words[list + 1..=list + words[list] as usize] {
            let group = (hit >> OUTPUT_GROUP_SHIFT) as usize % MAX_GROUPS;
            if self.groups & (1 << group) == 0 {
                self.groups |= 1 << group;
                self.of_group[group] = (hit & OUTPUT_RULE, u32::try_from(end).unwrap_or(u32::MAX));
            }
        }
    }
}

impl CommandTable {
    /// Judges the arguments as `/proc/PID/cmdline` has them (each ended by NUL), and the executable's absolute path
    /// where it is known. `now_boot_ns` (CLOCK_BOOTTIME) decides about expiry; 0 lets no rule expire.
    pub fn judge(
        &self,
        arguments: &[u8],
        executable: Option<&[u8]>,
        now_boot_ns: u64,
    ) -> Judgement {
        let line = arguments.strip_suffix(&[0]).unwrap_or(arguments);
        let words = &self.words;
        let mut hits = Hits::new();
        let mut executable_hits = 0;
        if let (Some(path), dfa @ 1..) = (executable, self.header(Header::Executables)) {
            let list = dfa::run(words, dfa as usize, executables::reversed_bytes(path));
            if list != 0 {
                hits.report(words, list, 0);
                executable_hits = hits.groups;
                hits.groups = 0;
            }
        }
        self.find_banned(line, &mut |list, end| hits.report(words, list, end));
        let matched = (hits.groups | !self.wide(Header::BannedLo))
            & (executable_hits | !self.wide(Header::ExecutableLo))
            & self.wide(Header::LiveLo);
        self.decide(line, matched, &hits, now_boot_ns)
    }

    /// Calls `report(list, end)` for every place where some banned string ends.
    fn find_banned(&self, line: &[u8], report: &mut dyn FnMut(u32, usize)) {
        let words = &self.words;
        let cells = self.header(Header::Cells) as usize;
        let base = |state: u32| words[cells + 2 * state as usize];
        let check = |state: u32| words[cells + 2 * state as usize + 1];
        let mut state = STATE_BOUNDARY;
        let mut at = 0;
        while at < line.len() {
            let is_border = is_boundary(line[at]);
            let word = base(state);
            if word & BASE_OUTPUT != 0 && is_border {
                report(base((word & BASE_OFFSET) ^ SYMBOL_OUTPUT), at);
            }
            let next = (word & BASE_OFFSET) ^ symbol(words, line[at]);
            if state != STATE_WORD && check(next) == state {
                state = next;
            } else if word & BASE_FAIL != 0 {
                state = base((word & BASE_OFFSET) ^ SYMBOL_FAIL);
                continue;
            } else {
                state = if is_border {
                    STATE_BOUNDARY
                } else {
                    STATE_WORD
                };
            }
            at += 1;
        }
        let word = base(state);
        if word & BASE_OUTPUT != 0 {
            report(base((word & BASE_OFFSET) ^ SYMBOL_OUTPUT), line.len());
        }
    }

    /// Every stretch of `line` (arguments joined by spaces) in which a string of a secret rule occurs.
    pub fn secret_ranges(&self, line: &[u8]) -> Vec<std::ops::Range<usize>> {
        let mut ranges = Vec::new();
        if !self.rules.iter().any(|rule| rule.secret) {
            return ranges;
        }
        self.find_banned(line, &mut |list, end| {
            let list = list as usize;
            for hit in &self.words[list + 1..=list + self.words[list] as usize] {
                let rule = hit & OUTPUT_RULE;
                if self
                    .rules
                    .get(rule as usize)
                    .is_some_and(|rule| rule.secret)
                    && let Ok(offset) = u32::try_from(end)
                    && let Some(text) = self.matched_text(rule, line, offset)
                {
                    ranges.push(end.saturating_sub(text.len())..end);
                }
            }
        });
        ranges
    }

    fn decide(&self, line: &[u8], matched: u64, hits: &Hits, now_boot_ns: u64) -> Judgement {
        let mut judgement = Judgement::Clean;
        for group in (0..MAX_GROUPS).filter(|group| matched & (1 << group) != 0) {
            let record = self.header(Header::Groups) as usize + group * GROUP_WORDS;
            let (allow, flags) = (self.words[record], self.words[record + 1]);
            let expires =
                u64::from(self.words[record + 2]) | u64::from(self.words[record + 3]) << 32;
            if expires != 0 && now_boot_ns >= expires {
                continue;
            }
            let (rule, end) = hits.of_group[group];
            if allow != 0 && dfa::run(&self.words, allow as usize, line.iter().copied()) != 0 {
                if judgement == Judgement::Clean {
                    judgement = Judgement::Spared { rule, end };
                }
                continue;
            }
            return if flags & GROUP_ENFORCE != 0 {
                Judgement::Banned { rule, end }
            } else {
                Judgement::Observed { rule, end }
            };
        }
        judgement
    }

    fn header(&self, word: Header) -> u32 {
        self.words[word as usize]
    }

    fn wide(&self, low: Header) -> u64 {
        let at = low as usize;
        u64::from(self.words[at]) | u64::from(self.words[at + 1]) << 32
    }
}
