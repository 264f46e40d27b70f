//! The fewest states that a DFA can have. A chain of n states must not take n² steps: whoever writes `x{1,9000}` waits.
//!
//! Source of the method: J. Hopcroft, "An n log n algorithm for minimizing states in a finite automaton" (1971).

/// States in blocks; each block is a stretch of `states`.
struct Partition {
    states: Vec<u32>,
    place_of: Vec<usize>,
    block_of: Vec<u32>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy)]
struct Block {
    begin: usize,
    end: usize,
    /// So many states at its beginning are marked.
    marked: usize,
}

/// Joins states that accept alike (`accept`) and lead to joined states by every column of `rows`. Returns the class of
/// each state, numbered by their first states, and the number of classes.
pub(super) fn classes(rows: &[Vec<u32>], accept: &[u32]) -> (Vec<u32>, usize) {
    let columns = rows.first().map_or(0, Vec::len);
    let sources: Vec<Sources> = (0..columns)
        .map(|column| Sources::new(rows, column))
        .collect();
    let mut partition = Partition::by_value(accept);
    let mut splitters: Vec<usize> = (0..partition.blocks.len()).collect();
    let mut touched = Vec::new();
    while let Some(splitter) = splitters.pop() {
        let Block { begin, end, .. } = partition.blocks[splitter];
        let targets = partition.states[begin..end].to_vec();
        for sources in &sources {
            for source in targets.iter().flat_map(|target| sources.of(*target)) {
                partition.mark(*source, &mut touched);
            }
            for block in touched.drain(..) {
                // The smaller half is enough: the whole has split, or will split, the others already.
                splitters.extend(partition.split(block));
            }
        }
    }
    partition.numbered()
}

/// For one column, the states that lead to each state.
struct Sources {
    begins: Vec<usize>,
    states: Vec<u32>,
}

impl Sources {
    fn new(rows: &[Vec<u32>], column: usize) -> Self {
        let mut begins = vec![0; rows.len() + 1];
        for row in rows {
            begins[row[column] as usize + 1] += 1;
        }
        for state in 0..rows.len() {
            begins[state + 1] += begins[state];
        }
        let mut next = begins.clone();
        let mut states = vec![0; rows.len()];
        for (state, row) in rows.iter().enumerate() {
            let place = &mut next[row[column] as usize];
            states[*place] = number(state);
            *place += 1;
        }
        Self { begins, states }
    }

    fn of(&self, target: u32) -> &[u32] {
        let target = target as usize;
        &self.states[self.begins[target]..self.begins[target + 1]]
    }
}

impl Partition {
    fn by_value(values: &[u32]) -> Self {
        let mut states: Vec<u32> = (0..number(values.len())).collect();
        states.sort_by_key(|state| values[*state as usize]);
        let mut blocks: Vec<Block> = Vec::new();
        let mut block_of = vec![0; values.len()];
        let mut place_of = vec![0; values.len()];
        for (place, &state) in states.iter().enumerate() {
            place_of[state as usize] = place;
            let first = place == 0 || values[states[place - 1] as usize] != values[state as usize];
            if first {
                blocks.push(Block {
                    begin: place,
                    end: place,
                    marked: 0,
                });
            }
            if let Some(block) = blocks.last_mut() {
                block.end = place + 1;
            }
            block_of[state as usize] = number(blocks.len() - 1);
        }
        Self {
            states,
            place_of,
            block_of,
            blocks,
        }
    }

    /// Moves a state among the marked ones of its block. Each state is marked once before its block is split.
    fn mark(&mut self, state: u32, touched: &mut Vec<usize>) {
        let index = self.block_of[state as usize] as usize;
        let block = &mut self.blocks[index];
        if block.marked == 0 {
            touched.push(index);
        }
        let (from, to) = (self.place_of[state as usize], block.begin + block.marked);
        block.marked += 1;
        let other = self.states[to];
        self.states.swap(from, to);
        self.place_of[state as usize] = to;
        self.place_of[other as usize] = from;
    }

    /// Splits the marked states of a block from the others. Returns the smaller half, which is the new block.
    fn split(&mut self, index: usize) -> Option<usize> {
        let block = &mut self.blocks[index];
        let middle = block.begin + std::mem::take(&mut block.marked);
        if middle == block.end {
            return None;
        }
        let (begin, end) = if middle - block.begin <= block.end - middle {
            let begin = std::mem::replace(&mut block.begin, middle);
            (begin, middle)
        } else {
            let end = std::mem::replace(&mut block.end, middle);
            (middle, end)
        };
        let new = self.blocks.len();
        for state in &self.states[begin..end] {
            self.block_of[*state as usize] = number(new);
        }
        self.blocks.push(Block {
            begin,
            end,
            marked: 0,
        });
        Some(new)
    }

    fn numbered(&self) -> (Vec<u32>, usize) {
        let mut numbers: Vec<Option<u32>> = vec![None; self.blocks.len()];
        let mut count = 0;
        let classes = self.block_of.iter().map(|block| {
            *numbers[*block as usize].get_or_insert_with(|| {
                count += 1;
                count - 1
            })
        });
        let classes = classes.collect();
        (classes, count as usize)
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Moore's algorithm: slow, and plain to see.
    fn reference(rows: &[Vec<u32>], accept: &[u32]) -> (Vec<u32>, usize) {
        let mut class_of: Vec<u32> = vec![0; rows.len()];
        let mut count = 0;
        loop {
            let mut seen = std::collections::HashMap::new();
            let next = rows.iter().enumerate().map(|(state, row)| {
                let mut key = vec![accept[state], class_of[state]];
                key.extend(row.iter().map(|target| class_of[*target as usize]));
                let number = number(seen.len());
                *seen.entry(key).or_insert(number)
            });
            class_of = next.collect();
            if seen.len() == count {
                return (class_of, count);
            }
            count = seen.len();
        }
    }

    proptest! {
        #[test]
        fn the_classes_are_those_of_the_plain_method(
            seeds in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 3), 1..60),
            accept in prop::collection::vec(0..3u32, 60),
        ) {
            let count = seeds.len();
            let rows: Vec<Vec<u32>> = seeds
                .iter()
                .map(|row| row.iter().map(|target| number(target.index(count))).collect())
                .collect();
            prop_assert_eq!(classes(&rows, &accept[..count]), reference(&rows, &accept[..count]));
        }
    }

    #[test]
    fn a_long_chain_is_quick() {
        let length = 300_000;
        let rows: Vec<Vec<u32>> = (0..length)
            .map(|at| vec![(at + 1).min(length - 1)])
            .collect();
        let accept: Vec<u32> = (0..length).map(|at| u32::from(at == length - 1)).collect();
        let begin = std::time::Instant::now();
        assert_eq!(classes(&rows, &accept).1, length as usize);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    }
}
