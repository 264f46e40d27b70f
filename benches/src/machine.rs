//! What the machine itself takes: by these, absolute times on one machine compare to those on another.

use std::{hint::black_box, os::unix::process::parent_id, time::Instant};

use crate::{figure::Figure, sample::Samples};

const ROUNDS: usize = 15;
/// More than any cache holds.
const LINES: u32 = 4 << 20;
const READS: u32 = 1_000_000;
const CALLS: u32 = 1_000_000;
const PRODUCTS: u32 = 10_000_000;
/// Of Knuth's generator MMIX.
const FACTOR: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;

/// A cache line of 64 bytes; the first word names the next to be read.
type Line = [u32; 16];

/// Measures arithmetic, memory and system calls.
pub(crate) fn measure() -> Vec<Figure> {
    eprintln!("machine: {ROUNDS} rounds");
    let lines = chain(LINES);
    let mut at = 0;
    let figure = |key, what: &str, samples: Samples| Figure {
        key,
        what: format!("this machine: {what}"),
        value: samples.median(),
        unit: "ns",
        spread: samples.spread(2),
        floor: None,
        aim: None,
    };
    let product = each(PRODUCTS, || {
        let mut product = black_box(1_u64);
        for _ in 0..PRODUCTS {
            product = product.wrapping_mul(FACTOR).wrapping_add(INCREMENT);
        }
        black_box(product);
    });
    let read = each(READS, || {
        for _ in 0..READS {
            at = lines[at as usize][0];
        }
        black_box(at);
    });
    let call = each(CALLS, || {
        for _ in 0..CALLS {
            black_box(parent_id());
        }
    });
    vec![
        figure(
            "machine.product_ns",
            "a product and a sum, each of the last one's",
            product,
        ),
        figure(
            "machine.read_ns",
            "a read from memory that no cache has",
            read,
        ),
        figure(
            "machine.call_ns",
            "a system call that does next to nothing (`getppid`)",
            call,
        ),
    ]
}

/// Ns for each of so many, round by round.
fn each(times: u32, mut round: impl FnMut()) -> Samples {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        round();
        begun.elapsed().as_secs_f64() * 1e9 / f64::from(times)
    });
    Samples::new(rounds.collect())
}

/// Lines that name each other in one circle through all of them (Sattolo), so that no processor reads ahead.
fn chain(count: u32) -> Vec<Line> {
    let mut lines: Vec<Line> = (0..count).map(|at| [at; 16]).collect();
    let mut random = 1_u64;
    for at in (1..lines.len()).rev() {
        random = random.wrapping_mul(FACTOR).wrapping_add(INCREMENT);
        let other = usize::try_from(random >> 33).unwrap_or(0) % at;
        lines.swap(at, other);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_circle_goes_through_all_lines() {
        let lines = chain(1_000);
        let mut at = 0;
        for step in 1..=1_000 {
            at = lines[at as usize][0];
            assert_eq!(at == 0, step == 1_000, "after {step}");
        }
    }
}
