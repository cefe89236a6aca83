//! Keeping the resident memory of a program that works hard once and then waits for months.
//!
//! glibc gives each thread an arena of its own and keeps what was freed; musl does neither, and has no such calls.

/// Makes all threads share one heap. To be called before the first thread starts.
pub(crate) fn share() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives what was freed back to the kernel.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers; it only returns free pages.
    unsafe {
        libc::malloc_trim(0);
    }
}
