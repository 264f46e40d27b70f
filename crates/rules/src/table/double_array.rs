//! Laying a trie out as a double array: the child of state `s` by symbol `c` is the cell `base[s] ^ c`, and it is one
//! only if that cell's check is `s`. Cells come in blocks that hold every symbol, so an exclusive or never leaves one.

use super::{
    automaton::{Failure, Node},
    layout::{BASE_FAIL, BASE_OUTPUT, STATE_BOUNDARY, SYMBOL_FAIL, SYMBOL_OUTPUT},
};

const BLOCK: u32 = 256;
/// Cells tried for a node before a new block is opened. A larger number packs tighter and builds slower.
const TRIES: usize = 64;
const FREE: u32 = u32::MAX;
const NO_CELL: u32 = u32::MAX;

/// The cells.
#[derive(Debug)]
pub(crate) struct DoubleArray {
    /// Base and flags, then check, of each cell.
    pub(crate) cells: Vec<u32>,
    /// Indices into `cells` of words that hold an output offset.
    pub(crate) output_cells: Vec<usize>,
    /// Free cells as a doubly linked list, newest blocks first tried.
    next_free: Vec<u32>,
    previous_free: Vec<u32>,
    first_free: u32,
}

impl DoubleArray {
    /// Lays out the nodes; node 0 is the root, which becomes the state at a word border.
    pub(crate) fn build(nodes: &[Node], symbols: &[u8; 256]) -> Self {
        let mut array = Self {
            cells: Vec::new(),
            output_cells: Vec::new(),
            next_free: Vec::new(),
            previous_free: Vec::new(),
            first_free: NO_CELL,
        };
        array.open_block();
        array.take(0, 0);
        array.take(STATE_BOUNDARY, STATE_BOUNDARY);
        // The two root states are nobody's children.
        array.cells[1] = FREE - 1;
        array.cells[2 * STATE_BOUNDARY as usize + 1] = FREE - 1;
        let symbol = |node: &Node| u32::from(symbols[usize::from(node.byte)]);
        let mut states = vec![0u32; nodes.len()];
        states[0] = STATE_BOUNDARY;
        let mut wanted = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            wanted.clear();
            if node.output != 0 {
                wanted.push(SYMBOL_OUTPUT);
            }
            if matches!(node.failure, Failure::Node(_)) {
                wanted.push(SYMBOL_FAIL);
            }
            let first = node.first_child as usize;
            let children = first..first + node.children as usize;
            wanted.extend(nodes[children.clone()].iter().map(symbol));
            if wanted.is_empty() {
                continue;
            }
            let state = states[index];
            let base = array.find_base(&wanted);
            for symbol in &wanted {
                array.take(base ^ symbol, state);
            }
            for child in children {
                states[child] = base ^ symbol(&nodes[child]);
            }
            array.finish(state, base, node);
        }
        // Failures lead to nodes nearer the root, but in no order of states: they are filled in last.
        for (index, node) in nodes.iter().enumerate() {
            if let Failure::Node(target) = node.failure {
                let base = array.cells[2 * states[index] as usize] & super::layout::BASE_OFFSET;
                array.cells[2 * (base ^ SYMBOL_FAIL) as usize] = states[target as usize];
            }
        }
        array
    }

    fn finish(&mut self, state: u32, base: u32, node: &Node) {
        let mut word = base;
        if node.output != 0 {
            word |= BASE_OUTPUT;
            let cell = 2 * (base ^ SYMBOL_OUTPUT) as usize;
            self.cells[cell] = node.output;
            self.output_cells.push(cell);
        }
        if matches!(node.failure, Failure::Node(_)) {
            word |= BASE_FAIL;
        }
        self.cells[2 * state as usize] = word;
    }

    /// A base whose cells for all wanted symbols are free.
    fn find_base(&mut self, wanted: &[u32]) -> u32 {
        let mut cell = self.first_free;
        for _ in 0..TRIES {
            if cell == NO_CELL {
                break;
            }
            let base = cell ^ wanted[0];
            if wanted.iter().all(|symbol| self.is_free(base ^ symbol)) {
                return base;
            }
            cell = self.next_free[cell as usize];
        }
        let block = self.open_block();
        block ^ wanted[0]
    }

    fn is_free(&self, cell: u32) -> bool {
        self.cells[2 * cell as usize + 1] == FREE
    }

    fn take(&mut self, cell: u32, check: u32) {
        self.cells[2 * cell as usize + 1] = check;
        let (next, previous) = (
            self.next_free[cell as usize],
            self.previous_free[cell as usize],
        );
        if previous == NO_CELL {
            self.first_free = next;
        } else {
            self.next_free[previous as usize] = next;
        }
        if next != NO_CELL {
            self.previous_free[next as usize] = previous;
        }
    }

    /// Adds a block to the front of the free list and returns its first cell.
    fn open_block(&mut self) -> u32 {
        let first = u32::try_from(self.cells.len() / 2).unwrap_or(u32::MAX);
        for i in 0..BLOCK {
            let cell = first + i;
            self.cells.extend([0, FREE]);
            let last = i == BLOCK - 1;
            self.next_free
                .push(if last { self.first_free } else { cell + 1 });
            self.previous_free
                .push(if i == 0 { NO_CELL } else { cell - 1 });
            if last && self.first_free != NO_CELL {
                self.previous_free[self.first_free as usize] = cell;
            }
        }
        self.first_free = first;
        first
    }
}
