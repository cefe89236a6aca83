//! Who is running, beyond what `task` tells of anyone: its ancestors and its command line.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use forensics_common::{Ancestor, MAX_ANCESTORS, MAX_CMDLINE};

use crate::{
    globals::offset,
    read::{bytes, field, pointer},
    task,
};

/// The smallest page; a read within one page fails as a whole or not at all.
const PAGE: u64 = 4096;

/// The processes that `current` descends from: how many there are, and whether the last one has no parent. Parents are
/// threads, so each is taken to its group leader.
///
/// # Safety
///
/// `into` is writable memory.
#[inline(always)]
pub(crate) unsafe fn ancestry(current: u64, into: *mut [Ancestor; MAX_ANCESTORS]) -> (u32, bool) {
    let mut count = 0;
    let Ok(mut leader) = pointer(current, offset!(task_group_leader)) else { return (0, false) };
    for level in 0..MAX_ANCESTORS {
        let Ok(parent) = pointer(leader, offset!(task_real_parent))
            .and_then(|parent| pointer(parent, offset!(task_group_leader)))
        else {
            break;
        };
        let Ok(tgid) = field::<u32>(parent, offset!(task_tgid)) else { break };
        if tgid == 0 || parent == leader {
            return (count, true);
        }
        // SAFETY: `level` is below the length of the array.
        let ancestor: &mut Ancestor = unsafe { &mut *into.cast::<Ancestor>().add(level) };
        ancestor.tgid = tgid;
        ancestor.reserved = 0;
        ancestor.start_boot_ns = task::start_of(parent).unwrap_or(0);
        // SAFETY: the destination is a field of the record.
        if unsafe { bytes(parent, offset!(task_comm), &raw mut ancestor.comm) }.is_err() {
            ancestor.comm[0] = 0;
        }
        count = level as u32 + 1;
        leader = parent;
    }
    (count, false)
}

/// Why a command line is not there, or not whole.
pub(crate) enum Fault {
    /// It is not resident. Nothing is paged in here: the agent falls back to the ledger and to `/proc`.
    Unreadable,
    /// A kernel thread has none.
    NoMemory,
}

/// What was read of a command line.
pub(crate) struct CommandLine {
    /// Bytes in the record.
    pub(crate) len: u32,
    /// Bytes in memory.
    pub(crate) full_len: u32,
    /// Why the two may differ.
    pub(crate) fault: Option<Fault>,
}

/// The arguments of `current`, from its own memory.
///
/// # Safety
///
/// `into` is writable memory of twice its size: the verifier bounds each of the two parts in which it is read, but not their
/// sum.
#[inline(always)]
pub(crate) unsafe fn command_line(current: u64, into: *mut [u8; MAX_CMDLINE]) -> CommandLine {
    let mut line = CommandLine { len: 0, full_len: 0, fault: None };
    let Ok(mm) = pointer(current, offset!(task_mm)) else {
        line.fault = Some(Fault::NoMemory);
        return line;
    };
    let (Ok(start), Ok(end)) =
        (field::<u64>(mm, offset!(mm_arg_start)), field::<u64>(mm, offset!(mm_arg_end)))
    else {
        line.fault = Some(Fault::Unreadable);
        return line;
    };
    let full = end.wrapping_sub(start);
    line.full_len = if full > u64::from(u32::MAX) { u32::MAX } else { full as u32 };
    let wanted = if full > MAX_CMDLINE as u64 { MAX_CMDLINE as u64 } else { full };
    // Up to the page boundary, then the rest, so that one absent page costs only its part.
    let in_page = PAGE - (start & (PAGE - 1));
    let first = if wanted < in_page { wanted } else { in_page };
    // SAFETY: `first` is at most a page, as is the destination.
    let failed = unsafe { bpf_probe_read_user(into.cast(), first as u32, start as *const _) };
    if failed != 0 {
        line.fault = Some(Fault::Unreadable);
        return line;
    }
    line.len = first as u32;
    let rest = (wanted - first) & (PAGE - 1);
    if rest == 0 {
        return line;
    }
    let at = first & (PAGE - 1);
    // SAFETY: `at + rest` is `wanted`, at most `MAX_CMDLINE`; the verifier sees less than twice that.
    let failed = unsafe {
        bpf_probe_read_user(
            into.cast::<u8>().add(at as usize).cast(),
            rest as u32,
            (start + first) as *const _,
        )
    };
    if failed == 0 {
        line.len = wanted as u32;
    } else {
        line.fault = Some(Fault::Unreadable);
    }
    line
}
