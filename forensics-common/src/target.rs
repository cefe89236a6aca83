/// A watched process; the key of the map is its process id.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Start of the process, `CLOCK_BOOTTIME` nanoseconds; 0 until the kernel has seen it.
    pub start_boot_ns: u64,
    /// Recorded signals aimed at it, folded ones included, since it is watched.
    pub signals: u64,
    /// [`target_flags`] bits.
    pub flags: u32,
    /// Unused.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Target>() == 24);

/// Process ids in one page of the watch pages: a byte for each, not 0 while it may be watched.
///
/// They stand before the map of targets, which costs ten times as much to ask. A process id beyond the last page may be
/// watched too: `kernel.pid_max` can be raised while the agent runs.
pub const WATCH_PAGE: usize = 4096;

/// Where the byte of a process id is: the page, and the place in it.
#[inline(always)]
pub const fn watch_place(tgid: u32) -> (u32, usize) {
    (tgid / WATCH_PAGE as u32, tgid as usize % WATCH_PAGE)
}

/// Bits of [`Target::flags`].
pub mod target_flags {
    /// Its children become targets too.
    pub const FOLLOW: u32 = 1 << 0;
    /// The agent has not looked at its name yet.
    pub const PROVISIONAL: u32 = 1 << 1;
    /// The agent asked for it by its pid, whatever cgroup it is in.
    pub const HELD: u32 = 1 << 2;
    /// It is in a cgroup whose processes are targets: a bit for each slot of a hierarchy.
    pub const MEMBER: u32 = 0xf << MEMBER_SHIFT;
    /// Any of these makes it a target.
    pub const HOLDS: u32 = FOLLOW | PROVISIONAL | HELD | MEMBER;

    const MEMBER_SHIFT: u32 = 8;
    const _: () = assert!(crate::MAX_HIERARCHIES == MEMBER.count_ones() as usize);

    /// The bit of a slot.
    #[inline(always)]
    pub const fn member(slot: u32) -> u32 {
        (1 << MEMBER_SHIFT << (slot & 31)) & MEMBER
    }
}
