use crate::{COMM_LEN, Header, TaskInfo};

/// `SIGNAL_GROUP_EXIT` of `include/linux/sched/signal.h`: `group_exit_code` is what the process ends with.
pub const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// Kernel stack frames in the record of an end.
pub const MAX_EXIT_FRAMES: usize = 32;

/// The thread that ended its process by `exit_group(2)`. It need not be the last one to end.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExitCaller {
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Unused.
    pub reserved: u32,
    /// Name of the thread.
    pub comm: [u8; COMM_LEN],
}

/// The last thread of a target ended. Sent up to the end of the stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExitRecord {
    /// Kind [`Kind::Exit`](crate::Kind::Exit).
    pub header: Header,
    /// The process; `tid` is the last thread.
    pub task: TaskInfo,
    /// Recorded signals aimed at it since it was watched; `u64::MAX` when it was not counted.
    pub signals: u64,
    /// Wait status: exit code in bits 8 to 15, or signal in bits 0 to 6 and 0x80 for a core.
    pub wait_status: u32,
    /// Its state as a target: [`target_flags`](crate::target_flags) bits.
    pub target_flags: u32,
    /// Not 0: the wait status could not be read.
    pub status_missing: u32,
    /// Entries of `stack` in use.
    pub frame_count: u32,
    /// The thread that called `exit_group(2)`, which ends all others; 0 when none was seen doing so.
    pub caller: ExitCaller,
    /// Return addresses in the kernel, innermost first.
    pub stack: [u64; MAX_EXIT_FRAMES],
}

const _: () = assert!(core::mem::offset_of!(ExitRecord, stack) == 192);
