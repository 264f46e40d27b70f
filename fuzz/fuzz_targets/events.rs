//! What the kernel's programs hand to the agent.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = hayward_kernel::wire::decode(input);
});
