//! Giving memory back that was needed once, such as that for reading and compiling rules.

/// Returns to the system what the allocator keeps for later.
#[expect(unsafe_code, reason = "the standard library cannot ask its allocator")]
pub fn release_unused_memory() {
    // SAFETY: the call takes a number, may be made at any time from any thread, and touches no memory in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
