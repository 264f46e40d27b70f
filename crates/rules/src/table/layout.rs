//! Offsets and flags of the table's words, as the kernel programs read them (`crates/kernel/bpf/layout.h`; a test of
//! that crate compares the two).

/// First word of every table.
pub const TABLE_MAGIC: u32 = 0x3144_4357;
/// Groups that a table can hold.
pub const MAX_GROUPS: usize = 64;

/// Words of the header, in order.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
#[expect(missing_docs, reason = "layout.h explains each word")]
pub enum Header {
    Magic,
    Generation,
    Cells,
    Filter,
    FilterShift,
    LongFilter,
    LongFilterShift,
    ShortFilter,
    ShortFilterShift,
    Groups,
    Executables,
    BannedLo,
    BannedHi,
    ExecutableLo,
    ExecutableHi,
    LiveLo,
    LiveHi,
    Words,
}

/// Where the set of bytes lies that are no word characters.
pub(crate) const TABLE_BORDERS: usize = Header::Words as usize;
/// Where the set of bytes lies with which some banned string of fewer than four bytes begins.
pub(crate) const TABLE_SHORT_STARTS: usize = TABLE_BORDERS + SET_WORDS;
/// Where the symbols of the bytes lie, four a word.
pub(crate) const TABLE_SYMBOLS: usize = TABLE_SHORT_STARTS + SET_WORDS;
/// Where the parts begin whose size the rules decide.
pub(crate) const TABLE_PARTS: usize = TABLE_SYMBOLS + SYMBOL_WORDS;
/// Words of a set of bytes.
pub(crate) const SET_WORDS: usize = 8;
/// Words of a byte's symbol for every byte.
pub(crate) const SYMBOL_WORDS: usize = 64;
pub(crate) const SYMBOL_OUTPUT: u32 = 0;
pub(crate) const SYMBOL_FAIL: u32 = 1;
pub(crate) const STATE_WORD: u32 = 0;
pub(crate) const STATE_BOUNDARY: u32 = 1;
pub(crate) const BASE_OUTPUT: u32 = 1 << 31;
pub(crate) const BASE_FAIL: u32 = 1 << 30;
pub(crate) const BASE_OFFSET: u32 = BASE_FAIL - 1;
pub(crate) const OUTPUT_GROUP_SHIFT: u32 = 24;
pub(crate) const OUTPUT_RULE: u32 = 0xff_ffff;
pub(crate) const GROUP_WORDS: usize = 4;
pub(crate) const GROUP_ENFORCE: u32 = 1;
pub(crate) const GROUP_MILDER: u32 = 2;
pub(crate) const DFA_CLASSES: usize = 0;
pub(crate) const DFA_TRANSITIONS: usize = 1;
pub(crate) const DFA_ACCEPT: usize = 2;
pub(crate) const DFA_STRIDE_SHIFT: usize = 3;
pub(crate) const DFA_START: usize = 4;
pub(crate) const DFA_WORDS: usize = 5;
/// Selectors and overrides that a scope can hold.
pub const MAX_SCOPE_ENTRIES: usize = 4096;
/// Longer cgroup paths fall under their parent's policy.
pub const SCOPE_PATH: usize = 1022;
pub(crate) const SCOPE_COUNT: usize = 0;
pub(crate) const SCOPE_ENTRIES: usize = 1;
pub(crate) const SCOPE_POLICY: usize = 0;
pub(crate) const SCOPE_DFA: usize = 1;
pub(crate) const SCOPE_ENTRY_WORDS: usize = 2;
pub(crate) const FILTER_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
pub(crate) const FILTER_FOLD: u64 = 0x2020_2020_2020_2020;

/// Whether a banned string may start after, and end before, this byte: it is no word character.
pub(crate) const fn is_boundary(byte: u8) -> bool {
    !(byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Where a filter of 2^(64 - `shift`) bits keeps these folded bytes.
pub(crate) fn filter_bit(folded: u64, shift: u32) -> usize {
    usize::try_from(folded.wrapping_mul(FILTER_FACTOR) >> shift).unwrap_or(usize::MAX)
}

/// The symbol of a byte, as the table has it.
pub(crate) fn symbol(words: &[u32], byte: u8) -> u32 {
    let byte = usize::from(byte);
    (words[TABLE_SYMBOLS + byte / 4] >> (byte % 4 * 8)) & 0xff
}
