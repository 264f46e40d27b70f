//! Settings.
#![no_main]

use hayward_policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Err(error) = Policy::parse("hayward.yaml", text) {
        assert!(!error.to_string().is_empty());
    }
});
