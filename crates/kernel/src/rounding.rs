//! A thread that rounds as RandomX does, for canaries, drills and tests: in all four modes, in an order that only the
//! data know. It computes nothing.

use std::time::{Duration, Instant};

/// Changes of the mode at a time, some milliseconds' worth.
const CHANGES: u64 = 10_000;

/// Does so for about this long.
pub fn round_irregularly(duration: Duration) {
    let began = Instant::now();
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    while began.elapsed() < duration {
        seed = change_modes(seed);
    }
}

/// Changes the mode often and puts it back as it was. Returns where the row of random numbers goes on.
#[cfg(target_arch = "x86_64")]
fn change_modes(seed: u64) -> u64 {
    let mut seed = seed;
    let mut saved = 0u32;
    let mut control = 0u32;
    #[expect(
        unsafe_code,
        reason = "there is no other way to set a thread's rounding mode"
    )]
    // SAFETY: what the block writes are the two words that it is given, whose borrows outlive it, and the registers
    // that it names. It leaves MXCSR as it found it.
    unsafe {
        std::arch::asm!(
            "stmxcsr [{saved}]",
            "2:",
            // Marsaglia's xorshift.
            "mov {scratch}, {seed}",
            "shl {scratch}, 13",
            "xor {seed}, {scratch}",
            "mov {scratch}, {seed}",
            "shr {scratch}, 7",
            "xor {seed}, {scratch}",
            "mov {scratch}, {seed}",
            "shl {scratch}, 17",
            "xor {seed}, {scratch}",
            // The mode from the seed; flushing and no exceptions, as RandomX has it.
            "mov {scratch}, {seed}",
            "and {scratch:e}, 0x6000",
            "or {scratch:e}, 0x9fc0",
            "mov dword ptr [{control}], {scratch:e}",
            "ldmxcsr [{control}]",
            "mov {scratch:e}, 300",
            "3:",
            "dec {scratch:e}",
            "jnz 3b",
            "dec {changes}",
            "jnz 2b",
            "ldmxcsr [{saved}]",
            saved = in(reg) &raw mut saved,
            control = in(reg) &raw mut control,
            seed = inout(reg) seed,
            scratch = out(reg) _,
            changes = inout(reg) CHANGES => _,
            options(nostack),
        );
    }
    seed
}

/// Changes the mode often and puts it back as it was. Returns where the row of random numbers goes on.
#[cfg(target_arch = "aarch64")]
fn change_modes(seed: u64) -> u64 {
    let mut seed = seed;
    #[expect(
        unsafe_code,
        reason = "there is no other way to set a thread's rounding mode"
    )]
    // SAFETY: the block writes the registers that it names and no memory. It leaves FPCR as it found it.
    unsafe {
        std::arch::asm!(
            "mrs {saved}, fpcr",
            "2:",
            // Marsaglia's xorshift.
            "eor {seed}, {seed}, {seed}, lsl 13",
            "eor {seed}, {seed}, {seed}, lsr 7",
            "eor {seed}, {seed}, {seed}, lsl 17",
            // The mode from the seed; flushing, which RandomX leaves alone on this processor: it stands for the code
            // that a miner generates, as second evidence.
            "and {scratch}, {seed}, 0xc00000",
            "orr {scratch}, {scratch}, 0x1000000",
            "msr fpcr, {scratch}",
            "mov {scratch}, 300",
            "3:",
            "subs {scratch}, {scratch}, 1",
            "b.ne 3b",
            "subs {changes}, {changes}, 1",
            "b.ne 2b",
            "msr fpcr, {saved}",
            saved = out(reg) _,
            seed = inout(reg) seed,
            scratch = out(reg) _,
            changes = inout(reg) CHANGES => _,
            options(nomem, nostack),
        );
    }
    seed
}
