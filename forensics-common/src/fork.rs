use crate::{COMM_LEN, Header};

/// What identifies a process across pid reuse.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskKey {
    /// Start of the process, `CLOCK_BOOTTIME` nanoseconds.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// Always 0, so that the key has no padding.
    pub reserved: u32,
}

const _: () = assert!(size_of::<TaskKey>() == 16);

/// A watched process whose children are followed made a child.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ForkRecord {
    /// Kind [`Kind::Fork`](crate::Kind::Fork).
    pub header: Header,
    /// Who forked.
    pub parent: TaskKey,
    /// The child.
    pub child: TaskKey,
    /// Id of the child's cgroup in the unified hierarchy; 0 when it was not looked at.
    pub cgroup_id: u64,
    /// Name of the child.
    pub comm: [u8; COMM_LEN],
    /// Flags that the child inherited: [`target_flags`](crate::target_flags) bits.
    pub flags: u32,
    /// Unused.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ForkRecord>() == 96);
