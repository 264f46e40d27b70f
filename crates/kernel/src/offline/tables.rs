//! The kernel's tables, as far as the programs need them: each of the size and the kind that its declaration says.

use std::{cell::Cell, collections::HashMap};

/// Memory of a value. Programs write to it, and go on knowing where it lies: it is never moved, nor given back while its
/// table lives.
pub(super) type Words = Box<[Cell<u64>]>;

/// Zeroed words that hold so many bytes.
pub(super) fn words(bytes: usize) -> Words {
    (0..bytes.div_ceil(8)).map(|_| Cell::new(0)).collect()
}

/// Where a value lies.
pub(super) fn place(words: &[Cell<u64>]) -> *mut u8 {
    words.as_ptr().cast_mut().cast()
}

/// Kinds of tables: `enum bpf_map_type` of `bpf/kernel_types.h`.
pub(super) const ARRAY: u32 = 2;
pub(super) const PERCPU_ARRAY: u32 = 6;
const LRU_HASH: u32 = 9;
const LPM_TRIE: u32 = 11;

/// Flags and errors of the kernel.
const NOEXIST: u64 = 1;
const EXISTS: i64 = -17;
const TOO_BIG: i64 = -7;

/// What a table's declaration says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub kind: u32,
    pub entries: usize,
    pub key_bytes: usize,
    pub value_bytes: usize,
}

/// A value's key, and whether it was asked for since the table was last looked over for one that was not.
#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    used: Cell<bool>,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    shape: Shape,
    index: HashMap<Box<[u8]>, usize>,
    slots: Vec<Slot>,
    values: Vec<Words>,
    hand: usize,
    /// Entries that had to go, for others to have room.
    pub evicted: u64,
}

impl Table {
    pub(super) fn new(shape: Shape) -> Self {
        let mut table = Self {
            shape,
            index: HashMap::new(),
            slots: Vec::new(),
            values: Vec::new(),
            hand: 0,
            evicted: 0,
        };
        if table.is_array() {
            let values = (0..shape.entries).map(|_| words(shape.value_bytes));
            table.values = values.collect();
        }
        table
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    fn is_array(&self) -> bool {
        [ARRAY, PERCPU_ARRAY].contains(&self.shape.kind)
    }

    /// The value of a key, if there is one.
    pub(super) fn lookup(&self, key: &[u8]) -> Option<&[Cell<u64>]> {
        let at = if self.is_array() {
            usize::try_from(u32::from_ne_bytes(key.try_into().ok()?)).ok()?
        } else if self.shape.kind == LPM_TRIE {
            self.longest(key)?
        } else {
            let at = *self.index.get(key)?;
            self.slots[at].used.set(true);
            at
        };
        self.values.get(at).map(|value| &**value)
    }

    /// Gives a key a value, of whose bytes there are as many as the table has. Returns 0, or what the kernel would.
    pub(super) fn update(&mut self, key: &[u8], value: &[u8], flags: u64) -> i64 {
        let known = if self.is_array() {
            let at = key.try_into().map(u32::from_ne_bytes).unwrap_or(u32::MAX);
            usize::try_from(at)
                .ok()
                .filter(|at| *at < self.values.len())
        } else {
            self.index.get(key).copied()
        };
        let at = match known {
            Some(_) if flags & NOEXIST != 0 => return EXISTS,
            Some(at) => at,
            None if self.is_array() => return TOO_BIG,
            None => match self.make(key) {
                Some(at) => at,
                None => return TOO_BIG,
            },
        };
        for (word, bytes) in self.values[at].iter().zip(value.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.set(u64::from_ne_bytes(whole));
        }
        0
    }

    /// All entries of a table that is no array.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &[Cell<u64>])> {
        self.slots
            .iter()
            .zip(&self.values)
            .map(|(slot, value)| (&*slot.key, &**value))
    }

    /// Room for a key; of a table that forgets, that of one who was not asked for lately.
    fn make(&mut self, key: &[u8]) -> Option<usize> {
        let slot = Slot {
            key: key.into(),
            used: Cell::new(false),
        };
        let at = if self.slots.len() < self.shape.entries {
            self.slots.push(slot);
            self.values.push(words(self.shape.value_bytes));
            self.slots.len() - 1
        } else if self.shape.kind == LRU_HASH {
            let at = self.unused();
            let old = std::mem::replace(&mut self.slots[at], slot);
            self.index.remove(&old.key);
            self.evicted += 1;
            at
        } else {
            return None;
        };
        self.index.insert(key.into(), at);
        Some(at)
    }

    /// A second chance for each that was asked for.
    fn unused(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len();
            if !self.slots[at].used.replace(false) {
                return at;
            }
        }
    }

    /// The longest prefix that holds what a key names. There are few.
    fn longest(&self, key: &[u8]) -> Option<usize> {
        let wanted = key.get(4..)?;
        let holding = self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let length = prefix_length(&slot.key)?;
            let begins_alike = same_bits(slot.key.get(4..)?, wanted, length);
            begins_alike.then_some((length, at))
        });
        holding.max().map(|(_, at)| at)
    }
}

fn prefix_length(key: &[u8]) -> Option<usize> {
    let length = u32::from_ne_bytes(key.get(..4)?.try_into().ok()?);
    usize::try_from(length).ok()
}

fn same_bits(one: &[u8], other: &[u8], bits: usize) -> bool {
    let differing = one.iter().zip(other).position(|(one, other)| one != other);
    differing.is_none_or(|at| {
        let same = at * 8 + (one[at] ^ other[at]).leading_zeros() as usize;
        same >= bits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(kind: u32, entries: usize) -> Table {
        Table::new(Shape {
            kind,
            entries,
            key_bytes: 8,
            value_bytes: 4,
        })
    }

    fn value(table: &Table, key: u64) -> Option<u64> {
        let found = table.lookup(&key.to_ne_bytes());
        found.map(|value| value[0].get())
    }

    fn put(table: &mut Table, key: u64, value: u32, flags: u64) -> i64 {
        table.update(&key.to_ne_bytes(), &value.to_ne_bytes(), flags)
    }

    #[test]
    fn what_is_full_takes_no_more_or_forgets_what_was_not_asked_for() {
        let mut hash = table(1, 2);
        assert_eq!(put(&mut hash, 1, 10, NOEXIST), 0);
        assert_eq!(put(&mut hash, 1, 11, NOEXIST), EXISTS);
        assert_eq!(put(&mut hash, 2, 20, 0), 0);
        assert_eq!(put(&mut hash, 3, 30, 0), TOO_BIG);
        assert_eq!((value(&hash, 1), value(&hash, 3)), (Some(10), None));

        let mut recent = table(LRU_HASH, 2);
        for key in [1, 2] {
            assert_eq!(put(&mut recent, key, 7, 0), 0);
        }
        assert_eq!(value(&recent, 1), Some(7));
        assert_eq!(put(&mut recent, 3, 30, 0), 0);
        assert_eq!((value(&recent, 1), value(&recent, 2)), (Some(7), None));
        assert_eq!((value(&recent, 3), recent.evicted), (Some(30), 1));
        assert_eq!(recent.entries().count(), 2);
    }

    #[test]
    fn an_array_has_all_its_values_from_the_beginning() {
        let mut array = Table::new(Shape {
            kind: ARRAY,
            entries: 2,
            key_bytes: 4,
            value_bytes: 12,
        });
        let key = |at: u32| at.to_ne_bytes();
        assert!(array.lookup(&key(1)).is_some_and(|value| value.len() == 2));
        assert!(array.lookup(&key(2)).is_none());
        assert_eq!(array.update(&key(1), &[1; 12], 0), 0);
        assert_eq!(array.update(&key(2), &[1; 12], 0), TOO_BIG);
        let last = array.lookup(&key(1)).expect("a value")[1].get();
        assert_eq!(last.to_ne_bytes(), [1, 1, 1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn the_longest_prefix_decides() {
        let key = |bits: u32, bytes: [u8; 4]| [bits.to_ne_bytes(), bytes].concat();
        let mut trie = table(LPM_TRIE, 4);
        for (bits, bytes, value) in [(8, [10, 0, 0, 0], 2u32), (15, [10, 2, 0, 0], 1)] {
            assert_eq!(trie.update(&key(bits, bytes), &value.to_ne_bytes(), 0), 0);
        }
        for (bytes, expected) in [
            ([10, 1, 0, 0], Some(2)),
            ([10, 3, 9, 9], Some(1)),
            ([10, 4, 0, 0], Some(2)),
            ([11, 2, 0, 0], None),
        ] {
            let found = trie.lookup(&key(32, bytes)).map(|value| value[0].get());
            assert_eq!(found, expected, "{bytes:?}");
        }
    }
}
