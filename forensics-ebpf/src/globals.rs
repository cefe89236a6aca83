//! What the agent writes into the object before it loads it: read-only data, which is constant to the verifier, and the
//! configuration, which may change.

use aya_ebpf::Global;
use forensics_common::{Config, Offsets, SocketOffsets};

/// Where the running kernel keeps the members of its structures.
#[unsafe(no_mangle)]
static OFFSETS: Global<Offsets> = Global::new(Offsets::UNKNOWN);

/// Where it keeps those of sockets.
#[unsafe(no_mangle)]
static SOCKET_OFFSETS: Global<SocketOffsets> = Global::new(SocketOffsets::UNKNOWN);

/// Not 0: the helper `bpf_task_pt_regs()` exists (5.15). A constant, so that older kernels never see the call.
#[unsafe(no_mangle)]
static HAVE_TASK_PT_REGS: Global<u64> = Global::new(0);

/// Number of `exit_group(2)` in the native system call table.
#[unsafe(no_mangle)]
static EXIT_GROUP: Global<i64> = Global::new(-1);

/// What is to be recorded. In `.data`, which stays writable.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".data")]
static CONFIG: Global<Config> = Global::new(Config::NOTHING);

/// The offset of one structure member.
macro_rules! offset {
    ($field:ident) => {
        $crate::globals::offset_at(const { core::mem::offset_of!(forensics_common::Offsets, $field) })
    };
}

/// The offset of one structure member that has to do with sockets.
macro_rules! socket_offset {
    ($field:ident) => {
        $crate::globals::socket_offset_at(
            const { core::mem::offset_of!(forensics_common::SocketOffsets, $field) },
        )
    };
}

/// One member of the configuration.
macro_rules! config {
    ($field:ident) => {
        $crate::globals::config_at(const { core::mem::offset_of!(forensics_common::Config, $field) })
    };
}

pub(crate) use {config, offset, socket_offset};

/// True where the helper `bpf_task_pt_regs()` may be called.
#[inline(always)]
pub(crate) fn have_task_pt_regs() -> bool {
    HAVE_TASK_PT_REGS.load() != 0
}

/// Number of the system call that ends a process.
#[inline(always)]
pub(crate) fn exit_group() -> i64 {
    EXIT_GROUP.load()
}

/// Reads one entry of the table, `at` bytes into it. Never the whole table: it would fill half of the
/// 512-byte stack.
#[inline(always)]
pub(crate) fn offset_at(at: usize) -> u32 {
    // SAFETY: `Global` is transparent, the table is initialised, and `at` is the offset of a member of this
    // type. Volatile, since the agent overwrites what the compiler sees.
    unsafe { core::ptr::read_volatile((&raw const OFFSETS).byte_add(at).cast()) }
}

/// As [`offset_at`].
#[inline(always)]
pub(crate) fn socket_offset_at(at: usize) -> u32 {
    // SAFETY: as above.
    unsafe { core::ptr::read_volatile((&raw const SOCKET_OFFSETS).byte_add(at).cast()) }
}

/// Reads one member of the configuration, `at` bytes into it; all are 64 bits wide.
#[inline(always)]
pub(crate) fn config_at(at: usize) -> u64 {
    // SAFETY: as above.
    unsafe { core::ptr::read_volatile((&raw const CONFIG).byte_add(at).cast()) }
}
