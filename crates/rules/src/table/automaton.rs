//! The automaton over all banned strings: Aho-Corasick whose strings start and end at word borders, as a double array.
//!
//! A failure link leads to the longest suffix that is itself the beginning of some string *and* starts after a byte
//! that is no word character. Strings without such a byte inside have none, and most of the automaton is a plain trie.
//! Source of the method: A. Aho, M. Corasick, "Efficient string matching", CACM 18 (1975); J. Aoe, "An efficient
//! digital search algorithm by using a double-array structure", IEEE TSE 15 (1989).

use super::{
    double_array::DoubleArray,
    layout::{FILTER_FOLD, filter_bit, is_boundary},
};

/// A banned string, its group and its rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The string, ASCII in lower case.
    pub(crate) text: Vec<u8>,
    /// Index of the group.
    pub(crate) group: u32,
    /// Index of the rule.
    pub(crate) rule: u32,
}

/// Everything the matcher reads, before it has a place in a table.
#[derive(Debug)]
pub(crate) struct Automaton {
    /// Symbol of each byte.
    pub(crate) symbols: [u8; 256],
    /// Bytes with which some string of fewer than four bytes begins.
    pub(crate) short_starts: [bool; 256],
    /// Base and check of each cell, as pairs. Output cells hold offsets into `outputs`.
    pub(crate) cells: Vec<u32>,
    /// Cells whose base is such an offset, to be moved to where the outputs will lie.
    pub(crate) output_cells: Vec<usize>,
    /// Output lists.
    pub(crate) outputs: Vec<u32>,
    /// Filters of all strings of four bytes and more, of those of eight and more, and of those of four to seven.
    pub(crate) filters: [Filter; 3],
}

/// Where a failure leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nothing can start before the next word border: the byte is consumed.
    None,
    /// Another node, without consuming the byte; node 0 is the root.
    Node(u32),
}

/// A node of the trie. Children of a node stand side by side.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) byte: u8,
    pub(crate) first_child: u32,
    pub(crate) children: u32,
    pub(crate) failure: Failure,
    /// Offset of the output list, 0 for none.
    pub(crate) output: u32,
}

impl Automaton {
    /// Builds the automaton. `entries` need not be sorted; none is empty.
    pub(crate) fn build(mut entries: Vec<Entry>) -> Self {
        entries.sort();
        entries.dedup();
        let symbols = symbols(&entries);
        let short_starts = short_starts(&entries);
        let filters = filters(&entries);
        let (mut nodes, own) = trie(&entries);
        let outputs = link(&mut nodes, own, &entries);
        let array = DoubleArray::build(&nodes, &symbols);
        Self {
            symbols,
            short_starts,
            cells: array.cells,
            output_cells: array.output_cells,
            outputs,
            filters,
        }
    }
}

/// The byte that the automaton sees: ASCII in lower case, and a space for the NUL between arguments.
fn seen(byte: u8) -> u8 {
    match byte {
        0 => b' ',
        byte => byte.to_ascii_lowercase(),
    }
}

/// Bytes that occur get symbols of their own from 2 on; all others share one that no string has. There are never more
/// than 230, since upper case and NUL have none of their own.
fn symbols(entries: &[Entry]) -> [u8; 256] {
    let mut used = [false; 256];
    for byte in entries.iter().flat_map(|entry| &entry.text) {
        used[usize::from(*byte)] = true;
    }
    let mut own = [0u8; 256];
    let mut next = 2;
    for byte in 0..256 {
        if used[byte] {
            own[byte] = next;
            next += 1;
        }
    }
    let mut symbols = [next; 256];
    for byte in 0..=255u8 {
        let symbol = own[usize::from(seen(byte))];
        if symbol != 0 {
            symbols[usize::from(byte)] = symbol;
        }
    }
    symbols
}

fn short_starts(entries: &[Entry]) -> [bool; 256] {
    let mut starts = [false; 256];
    for first in entries.iter().filter_map(|entry| match *entry.text {
        [first] | [first, _] | [first, _, _] => Some(first),
        _ => None,
    }) {
        for byte in 0..=255u8 {
            starts[usize::from(byte)] |= seen(byte) == first;
        }
    }
    starts
}

/// A bitmap over hashes of the first bytes of strings.
#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) words: Vec<u32>,
    /// 64 less the logarithm of the number of bits.
    pub(crate) shift: u32,
}

impl Filter {
    /// Holds these folded beginnings, with sixteen bits for each.
    fn new(beginnings: impl Iterator<Item = u64>) -> Self {
        let mut beginnings: Vec<u64> = beginnings.collect();
        beginnings.sort_unstable();
        beginnings.dedup();
        let bits = (beginnings.len() * 16)
            .next_power_of_two()
            .clamp(1 << 9, 1 << 23);
        let shift = u64::BITS - bits.trailing_zeros();
        let mut words = vec![0u32; bits / 32];
        for beginning in beginnings {
            let bit = filter_bit(beginning, shift);
            words[bit / 32] |= 1 << (bit % 32);
        }
        Self { words, shift }
    }
}

/// The filters of all strings of four bytes and more, of those of eight and more, and of those of four to seven.
fn filters(entries: &[Entry]) -> [Filter; 3] {
    let four = |entry: &Entry| {
        let [a, b, c, d] = *entry.text.first_chunk()?;
        let folded = u64::from_le_bytes([a, b, c, d, 0, 0, 0, 0]) | FILTER_FOLD;
        Some(folded & u64::from(u32::MAX))
    };
    let eight = |entry: &Entry| Some(u64::from_le_bytes(*entry.text.first_chunk()?) | FILTER_FOLD);
    let short = entries.iter().filter(|entry| entry.text.len() < 8);
    [
        Filter::new(entries.iter().filter_map(four)),
        Filter::new(entries.iter().filter_map(eight)),
        Filter::new(short.filter_map(four)),
    ]
}

/// The trie of sorted entries, breadth first, and for each node the range of entries that end there.
fn trie(entries: &[Entry]) -> (Vec<Node>, Vec<std::ops::Range<u32>>) {
    let node = |byte| Node {
        byte,
        first_child: 0,
        children: 0,
        failure: Failure::None,
        output: 0,
    };
    let mut nodes = vec![node(0)];
    let mut ranges = vec![(0, entries.len(), 0usize)];
    let mut own = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        let (mut low, high, depth) = ranges[at];
        let begin = low;
        while low < high && entries[low].text.len() == depth {
            low += 1;
        }
        own.push(number(begin)..number(low));
        nodes[at].first_child = number(nodes.len());
        while low < high {
            let byte = entries[low].text[depth];
            let length = entries[low..high].partition_point(|entry| entry.text[depth] == byte);
            nodes.push(node(byte));
            ranges.push((low, low + length, depth + 1));
            nodes[at].children += 1;
            low += length;
        }
        at += 1;
    }
    (nodes, own)
}

/// Sets failure links and output lists, parents before children. Returns the lists; offset 0 is no list.
fn link(nodes: &mut [Node], own: Vec<std::ops::Range<u32>>, entries: &[Entry]) -> Vec<u32> {
    let mut outputs = vec![0];
    for parent in 0..nodes.len() {
        let children =
            nodes[parent].first_child..nodes[parent].first_child + nodes[parent].children;
        for child in children {
            let byte = nodes[child as usize].byte;
            let failure = failure(nodes, parent, byte);
            let inherited = match failure {
                Failure::Node(node) => nodes[node as usize].output,
                Failure::None => 0,
            };
            let range = &own[child as usize];
            let output = if range.is_empty() {
                inherited
            } else {
                list(
                    &mut outputs,
                    &entries[range.start as usize..range.end as usize],
                    inherited,
                )
            };
            nodes[child as usize].failure = failure;
            nodes[child as usize].output = output;
        }
    }
    outputs
}

fn failure(nodes: &[Node], parent: usize, byte: u8) -> Failure {
    let mut from = nodes[parent].failure;
    while let Failure::Node(node) = from {
        if let Some(child) = child(nodes, node, byte) {
            return Failure::Node(child);
        }
        from = nodes[node as usize].failure;
    }
    if is_boundary(byte) {
        Failure::Node(0)
    } else {
        Failure::None
    }
}

fn child(nodes: &[Node], node: u32, byte: u8) -> Option<u32> {
    let node = &nodes[node as usize];
    let children = &nodes[node.first_child as usize..(node.first_child + node.children) as usize];
    let index = children
        .binary_search_by_key(&byte, |child| child.byte)
        .ok()?;
    Some(node.first_child + number(index))
}

/// Writes the list of a node: one hit a group, its own strings before those of shorter suffixes.
fn list(outputs: &mut Vec<u32>, own: &[Entry], inherited: u32) -> u32 {
    let at = outputs.len();
    outputs.push(0);
    let own = own.iter().map(|entry| super::hit(entry.group, entry.rule));
    let from = inherited as usize;
    let shorter: Vec<u32> = if from == 0 {
        Vec::new()
    } else {
        outputs[from + 1..=from + outputs[from] as usize].to_vec()
    };
    for hit in own.chain(shorter) {
        if !outputs[at + 1..]
            .iter()
            .any(|seen| super::same_group(*seen, hit))
        {
            outputs.push(hit);
        }
    }
    outputs[at] = number(outputs.len() - at - 1);
    number(at)
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
