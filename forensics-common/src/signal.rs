use crate::{COMM_LEN, Header, TaskInfo};

/// Levels of ancestry in a record.
pub const MAX_ANCESTORS: usize = 16;
/// Kernel stack frames in a record.
pub const MAX_FRAMES: usize = 48;
/// Bytes of a cgroup path in a record.
pub const MAX_CGROUP_PATH: usize = 384;
/// Bytes of the sender's command line in a record.
pub const MAX_CMDLINE: usize = 4096;
/// Eight-byte words of `struct kernel_siginfo` (`include/linux/signal_types.h`: 48 bytes).
pub const SIGINFO_WORDS: usize = 6;

/// A signal was generated for a target. Sent up to the end of the command line.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SignalRecord {
    /// Kind [`Kind::Signal`](crate::Kind::Signal).
    pub header: Header,
    /// Hash-free identity under which identical signals are counted.
    pub fold: crate::FoldKey,
    /// Identical signals that were counted and not reported, up to now.
    pub folded: u64,
    /// `struct kernel_siginfo` as the kernel holds it; zero when the kernel was given none.
    pub siginfo: [u64; SIGINFO_WORDS],
    /// Number of the system call that `current` is in, or was in when it was interrupted; -1 when unknown.
    pub syscall_nr: i64,
    /// Its first four arguments.
    pub syscall_args: [u64; 4],
    /// User-space instruction pointer of `current`.
    pub user_ip: u64,
    /// User-space stack pointer of `current`.
    pub user_sp: u64,
    /// The last processor exception of the target thread, for signals that the kernel raised.
    pub trap: u64,
    /// What the processor said of it.
    pub trap_error: u64,
    /// What the call wrote to, for `SIGPIPE`.
    pub outlet: crate::Outlet,
    /// The process that the signal is for; `tid` is the thread that the kernel names.
    pub target: TaskInfo,
    /// The process that was running: the sender, when a system call sent the signal.
    pub current: TaskInfo,
    /// Signal number, 1 to 64.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// Not 0: aimed at the process, not at one thread.
    pub group: u32,
    /// `TRACE_SIGNAL_*` (`include/trace/events/signal.h`).
    pub result: u32,
    /// [`signal_flags`] bits.
    pub flags: u32,
    /// Entries of `ancestors` in use.
    pub ancestor_count: u32,
    /// Bytes of `cgroup_path` in use.
    pub cgroup_path_len: u32,
    /// Entries of `stack` in use.
    pub frame_count: u32,
    /// Bytes of the command line in the record.
    pub cmdline_len: u32,
    /// Bytes of the command line in the sender's memory.
    pub cmdline_full_len: u32,
    /// Ancestors of `current`, nearest first.
    pub ancestors: [Ancestor; MAX_ANCESTORS],
    /// Return addresses in the kernel, innermost first.
    pub stack: [u64; MAX_FRAMES],
    /// Names of the cgroup of `current` and its parents, innermost first, each NUL-terminated.
    pub cgroup_path: [u8; MAX_CGROUP_PATH],
    /// The arguments of `current`, each NUL-terminated.
    pub cmdline: [u8; MAX_CMDLINE],
}

/// A level of ancestry.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Ancestor {
    /// Start of the process, `CLOCK_BOOTTIME` nanoseconds.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// Unused.
    pub reserved: u32,
    /// Name of the process.
    pub comm: [u8; COMM_LEN],
}

const _: () = assert!(size_of::<Ancestor>() == 32);
const _: () = assert!(core::mem::offset_of!(SignalRecord, cmdline).is_multiple_of(8));

/// Bits of [`SignalRecord::flags`].
pub mod signal_flags {
    /// `siginfo` is filled in.
    pub const HAVE_SIGINFO: u32 = 1 << 0;
    /// The registers of `current` were read.
    pub const HAVE_REGS: u32 = 1 << 1;
    /// The command line could not be read.
    pub const CMDLINE_FAULT: u32 = 1 << 2;
    /// The kernel stack could not be read.
    pub const STACK_FAULT: u32 = 1 << 3;
    /// The ancestry is complete: the last entry has no parent.
    pub const ANCESTRY_COMPLETE: u32 = 1 << 4;
    /// The cgroup path is complete up to the root.
    pub const CGROUP_COMPLETE: u32 = 1 << 5;
    /// The sender has no memory of its own: a kernel thread.
    pub const NO_MEMORY: u32 = 1 << 6;
    /// The signal could not be entered in the fold table, so identical ones are not folded.
    pub const NOT_FOLDED: u32 = 1 << 7;
    /// `trap` and `trap_error` were read.
    pub const HAVE_TRAP: u32 = 1 << 8;
}
