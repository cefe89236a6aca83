//! The atomic addition that every kernel with a ring buffer has.

/// Adds to a counter that other CPUs add to as well.
///
/// `AtomicU64::fetch_add` needs `BPF_FETCH` (Linux 5.12); with its result unused, the intrinsic becomes the
/// plain `BPF_XADD`.
///
/// # Safety
///
/// `counter` points into a map value.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, amount: u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        let _: u64 = core::intrinsics::atomic_xadd::<u64, u64, { core::intrinsics::AtomicOrdering::Relaxed }>(
            counter, amount,
        );
    }
}
