/// Bytes of a thread name, the terminating NUL included (`TASK_COMM_LEN`).
pub const COMM_LEN: usize = 16;

/// Bytes kept of a terminal name.
pub const TTY_LEN: usize = 16;

/// A process at the moment of a record.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TaskInfo {
    /// Start of the process (of its group leader), `CLOCK_BOOTTIME` nanoseconds.
    pub start_boot_ns: u64,
    /// Id of its cgroup in the unified hierarchy: the inode number of the directory.
    pub cgroup_id: u64,
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process id of the parent.
    pub ppid: u32,
    /// Process group id.
    pub pgid: u32,
    /// Session id.
    pub sid: u32,
    /// Process id in its own pid namespace.
    pub ns_tgid: u32,
    /// Depth of that namespace; 0 is the initial one.
    pub ns_level: u32,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// Effective user id in the initial user namespace.
    pub euid: u32,
    /// Audit login uid; `u32::MAX` when nobody logged in.
    pub loginuid: u32,
    /// Which of these could not be read: [`task_missing`] bits.
    pub missing: u32,
    /// Process id of the tracer of the thread; 0 when nobody traces it.
    pub tracer: u32,
    /// Name of the thread.
    pub comm: [u8; COMM_LEN],
    /// Name of the group leader.
    pub leader_comm: [u8; COMM_LEN],
    /// Name of the controlling terminal, as `pts0`; empty when there is none.
    pub tty: [u8; TTY_LEN],
}

const _: () = assert!(size_of::<TaskInfo>() == 112);

/// Bits of [`TaskInfo::missing`].
#[expect(missing_docs, reason = "each is the field of the same name")]
pub mod task_missing {
    pub const START: u32 = 1 << 0;
    pub const CGROUP: u32 = 1 << 1;
    pub const PPID: u32 = 1 << 2;
    pub const PGID: u32 = 1 << 3;
    pub const SID: u32 = 1 << 4;
    pub const NS_PID: u32 = 1 << 5;
    pub const UID: u32 = 1 << 6;
    pub const LOGINUID: u32 = 1 << 7;
    pub const COMM: u32 = 1 << 8;
    pub const TTY: u32 = 1 << 9;
}
