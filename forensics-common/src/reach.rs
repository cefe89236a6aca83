/// Senders whose signals are counted at a time; a power of two.
pub const REACH_PLACES: u32 = 4096;

/// Low bits of [`Reach::id`] that hold the signal.
const SIGNAL_BITS: u32 = 6;

/// How many signals of one number a thread made last, at whomever: the value at [`reach_place`].
///
/// This is as small as it can be, since the kernel looks at one for nearly every signal of the host. A thread that another one
/// displaced has none.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Who, and what: see [`reach_id`].
    pub id: u64,
    /// How many, one after the other; none of another number between them.
    pub count: u64,
}

const _: () = assert!(size_of::<Reach>() == 16);

/// A thread by its start (`CLOCK_BOOTTIME` nanoseconds, which no two have in common within 9 years of uptime) and a signal number.
#[inline(always)]
pub const fn reach_id(start_boot_ns: u64, signal: u32) -> u64 {
    start_boot_ns << SIGNAL_BITS | (signal as u64 & ((1 << SIGNAL_BITS) - 1))
}

/// Where the signals of a thread are counted.
#[inline(always)]
pub const fn reach_place(start_boot_ns: u64) -> u32 {
    (start_boot_ns ^ start_boot_ns >> 12) as u32 & (REACH_PLACES - 1)
}
