//! Giving memory back that was needed once, such as that for reading and compiling rules.

/// Returns what the allocator keeps for later to the system.
pub fn release_unused_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(
        unsafe_code,
        reason = "the standard library has no way to the allocator"
    )]
    // SAFETY: the call takes a number, may be made at any time from any thread, and touches no memory in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
