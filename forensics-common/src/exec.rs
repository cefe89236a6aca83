use crate::{COMM_LEN, Header, TaskKey};

/// Bytes of the executable's path in the ledger.
pub const MAX_LEDGER_PATH: usize = 512;
/// Bytes of a command line in the ledger.
pub const MAX_LEDGER_CMDLINE: usize = 2048;

/// What the ledger keeps of a process that executed a program, so that a sender or an ancestor that is gone
/// still has its command line.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExecEntry {
    /// When, `CLOCK_BOOTTIME` nanoseconds.
    pub exec_boot_ns: u64,
    /// Inode number of the executable.
    pub inode: u64,
    /// Id of its cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// Its parent then.
    pub parent: TaskKey,
    /// Device of the executable, as the kernel encodes it: major in bits 20 to 31, minor below.
    pub dev: u32,
    /// Real user id.
    pub uid: u32,
    /// Bytes of `path` in use.
    pub path_len: u32,
    /// Bytes of `cmdline` in use.
    pub cmdline_len: u32,
    /// Bytes of the whole command line.
    pub cmdline_full_len: u32,
    /// [`exec_flags`] bits.
    pub flags: u32,
    /// Process id in its own pid namespace.
    pub ns_tgid: u32,
    /// Depth of that namespace; 0 is the initial one.
    pub ns_level: u32,
    /// Name of the process after the exec.
    pub comm: [u8; COMM_LEN],
    /// Names on the path of the executable, innermost first, each NUL-terminated.
    pub path: [u8; MAX_LEDGER_PATH],
    /// The arguments, each NUL-terminated.
    pub cmdline: [u8; MAX_LEDGER_CMDLINE],
}

const _: () = assert!(size_of::<ExecEntry>() == 88 + MAX_LEDGER_PATH + MAX_LEDGER_CMDLINE);

/// Bits of [`ExecEntry::flags`].
pub mod exec_flags {
    /// The path is complete up to the root of the mount namespace.
    pub const PATH_COMPLETE: u32 = 1 << 0;
    /// The command line could not be read.
    pub const CMDLINE_FAULT: u32 = 1 << 1;
}

/// A watched process, or one that may become one by its name, executed a program. Sent up to the end of the
/// command line.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExecRecord {
    /// Kind [`Kind::Exec`](crate::Kind::Exec).
    pub header: Header,
    /// Who.
    pub process: TaskKey,
    /// Its state as a target: [`target_flags`](crate::target_flags) bits.
    pub target_flags: u32,
    /// Unused.
    pub reserved: u32,
    /// What it runs now.
    pub entry: ExecEntry,
}

const _: () = assert!(size_of::<ExecRecord>() == 56 + size_of::<ExecEntry>());
