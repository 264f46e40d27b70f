//! Running a property over generated input, by number or by time.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestCaseResult, TestRng, TestRunner},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For how many seconds each property is tried; `make fuzz` sets it.
const SECONDS: &str = "HAYWARD_FUZZ_SECONDS";
/// Longest that one input may take. Far more than any needs, so that a busy machine fails nothing.
const PATIENCE: Duration = Duration::from_secs(20);
/// Address space of a process that is thrown input: whoever needs more of it for an input of some kilobytes is wrong.
const MOST_MEMORY: u64 = 4 << 30;
/// Inputs between two looks at the clock.
const BATCH: u32 = 256;

/// Tries `property` on input of `strategy`: `cases` times, or for `$HAYWARD_FUZZ_SECONDS`.
///
/// # Panics
/// With the smallest input found that breaks the property, panics, or takes too long.
pub fn throw<S: Strategy>(cases: u32, strategy: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    let seconds = std::env::var(SECONDS).ok();
    let seconds: Option<u64> = seconds.and_then(|text| text.parse().ok());
    let timed = |input| {
        let begin = Instant::now();
        let result = property(input);
        let took = begin.elapsed();
        if took > PATIENCE {
            return Err(TestCaseError::fail(format!("took {took:?}")));
        }
        result
    };
    let Some(seconds) = seconds else {
        let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        batch(
            &mut TestRunner::new_with_rng(config(cases), random),
            strategy,
            &timed,
        );
        return;
    };
    let memory = getrlimit(Resource::As);
    let bounded = Rlimit {
        current: Some(MOST_MEMORY),
        ..memory
    };
    if let Err(error) = setrlimit(Resource::As, bounded) {
        eprintln!("memory is not bounded: {error}");
    }
    let tried = Cell::new(0u64);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        batch(&mut TestRunner::new(config(BATCH)), strategy, &|input| {
            tried.set(tried.get() + 1);
            timed(input)
        });
    }
    println!("{} inputs", tried.get());
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

fn batch<S: Strategy>(
    runner: &mut TestRunner,
    strategy: &S,
    property: &impl Fn(S::Value) -> TestCaseResult,
) {
    if let Err(error) = runner.run(strategy, property) {
        panic!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_property_is_told_with_its_smallest_input() {
        let found = std::panic::catch_unwind(|| {
            throw(1000, &(0u32..10_000), |number| {
                if number < 100 {
                    Ok(())
                } else {
                    Err(TestCaseError::fail("too large"))
                }
            });
        });
        let message = found.expect_err("found").downcast::<String>();
        let message = message.expect("a message");
        assert!(message.contains("minimal failing input: 100"), "{message}");
    }
}
