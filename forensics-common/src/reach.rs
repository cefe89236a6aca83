/// Senders whose signals are counted at a time; a power of two.
pub const REACH_PLACES: u32 = 4096;

/// How many signals of one kind a thread made last, at whomever: the value at [`reach_place`] of its process.
///
/// A thread that another one displaced has none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Start of the thread, `CLOCK_BOOTTIME` nanoseconds.
    pub start_boot_ns: u64,
    /// Its process id.
    pub tgid: u32,
    /// Signal number.
    pub signal: u32,
    /// How many, one after the other; none of another kind between them.
    pub count: u64,
}

const _: () = assert!(size_of::<Reach>() == 24);

/// Where the signals of a process are counted.
#[inline(always)]
pub const fn reach_place(tgid: u32) -> u32 {
    tgid % REACH_PLACES
}
