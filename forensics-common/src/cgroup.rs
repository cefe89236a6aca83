use crate::{COMM_LEN, Header, TaskKey};

/// Hierarchies of cgroups that the programs look at, at most; each has a slot.
pub const MAX_HIERARCHIES: usize = 4;
/// The slot of the unified hierarchy (cgroup v2), the only one in which a process can be born elsewhere than its parent.
pub const UNIFIED_SLOT: u32 = 0;
/// A slot without a hierarchy.
pub const NO_HIERARCHY: u64 = u64::MAX;
/// Bytes of the path of a cgroup in a record: what the kernel itself holds ready for its tracepoints
/// (`TRACE_CGROUP_PATH_LEN` in `kernel/cgroup/cgroup.c`).
pub const MAX_CGROUP_PATH_TEXT: usize = 1024;

/// What identifies a cgroup.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CgroupKey {
    /// Its id, which is the inode number of its directory; unique within its hierarchy.
    pub id: u64,
    /// Slot of its hierarchy.
    pub slot: u32,
    /// Always 0, so that the key has no padding.
    pub reserved: u32,
}

const _: () = assert!(size_of::<CgroupKey>() == 16);

/// What happened to a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupEvent {
    /// It was made, and its processes are targets, or provisional ones.
    Made = 1,
    /// It was removed; its processes were targets until then.
    Removed = 2,
    /// A process was moved into it, and is a target for that.
    Entered = 3,
    /// A process was moved out of one whose processes are targets, into this one.
    Left = 4,
}

/// A number that is no [`CgroupEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCgroupEvent(pub u32);

impl TryFrom<u32> for CgroupEvent {
    type Error = UnknownCgroupEvent;

    fn try_from(value: u32) -> Result<Self, UnknownCgroupEvent> {
        match value {
            1 => Ok(Self::Made),
            2 => Ok(Self::Removed),
            3 => Ok(Self::Entered),
            4 => Ok(Self::Left),
            other => Err(UnknownCgroupEvent(other)),
        }
    }
}

/// Something happened to a cgroup. Sent up to the end of the path.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CgroupRecord {
    /// Kind [`Kind::Cgroup`](crate::Kind::Cgroup).
    pub header: Header,
    /// Which.
    pub cgroup: CgroupKey,
    /// Who was moved; zero when nobody was.
    pub process: TaskKey,
    /// A [`CgroupEvent`].
    pub event: u32,
    /// What the process is as a target now: [`target_flags`](crate::target_flags) bits; 0 when it is none any more.
    pub target_flags: u32,
    /// Name of the process.
    pub comm: [u8; COMM_LEN],
    /// Bytes of `path` in use.
    pub path_len: u32,
    /// Unused.
    pub reserved: u32,
    /// From the root of its hierarchy, NUL-terminated when it is whole.
    pub path: [u8; MAX_CGROUP_PATH_TEXT],
}

const _: () = assert!(core::mem::offset_of!(CgroupRecord, path) == 96);
