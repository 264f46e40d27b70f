//! Emptying caches.

/// More than a last-level cache holds.
const MEBIBYTES: usize = 96;
/// Bytes of a cache line.
const LINE: usize = 64;

/// Memory to write, so that nothing else stays in any cache.
#[derive(Debug)]
pub(crate) struct Thrash(Vec<u8>);

impl Thrash {
    /// Takes the memory.
    pub(crate) fn new() -> Self {
        Self(vec![1; MEBIBYTES << 20])
    }

    /// Writes to each line of it.
    pub(crate) fn run(&mut self) {
        for at in (0..self.0.len()).step_by(LINE) {
            self.0[at] = self.0[at].wrapping_add(1);
        }
        std::hint::black_box(&self.0);
    }
}
