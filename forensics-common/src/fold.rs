/// Identical signals are reported once in this time and counted in between, nanoseconds; the time of a suspended machine does
/// not count.
pub const FOLD_WINDOW_NS: u64 = 1_000_000_000;

/// What makes two signals identical.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FoldKey {
    /// Start of the sending thread; 0 when the kernel raised the signal on its own.
    pub sender_start_ns: u64,
    /// Process id of the sender in the upper half, thread id in the lower; 0 for the kernel.
    pub sender: u64,
    /// Process id of the target.
    pub target_tgid: u32,
    /// `si_code`.
    pub code: i32,
    /// System call number, truncated.
    pub syscall: u32,
    /// Signal number.
    pub signal: u8,
    /// `TRACE_SIGNAL_*`.
    pub result: u8,
    /// Process or thread.
    pub group: u8,
    /// Always 0.
    pub reserved: u8,
}

const _: () = assert!(size_of::<FoldKey>() == 32);

/// How often identical signals came.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldValue {
    /// When one of them was last reported, `CLOCK_BOOTTIME` nanoseconds.
    pub reported_ns: u64,
    /// The same moment by `CLOCK_MONOTONIC`, which the kernel reads in half the time.
    pub reported_awake_ns: u64,
    /// When the last one came, `CLOCK_BOOTTIME` nanoseconds. It is told by how long after the reported one that was, so a machine
    /// that was suspended between the two makes it too early.
    pub last_ns: u64,
    /// How many came and were not reported, ever.
    pub folded: u64,
}

const _: () = assert!(size_of::<FoldValue>() == 32);
