//! `sched:sched_process_exec`: a process runs another program.
//!
//! The ledger keeps what it runs, so that a sender that lived for 40 µs and an ancestor that is long gone still
//! have their command lines. While targets are selected by name, every new program is a provisional target
//! until the agent has looked at it, so that nothing is missed in between.

use aya_ebpf::{
    helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use forensics_common::{ExecEntry, ExecRecord, Kind, MAX_LEDGER_CMDLINE, Stream, Target, exec_flags};

use crate::{
    emit,
    globals::{config, offset},
    maps::{EXEC_SCRATCH, LEDGER},
    path,
    read::{bytes, field, pointer},
    targets, task,
};

/// A process runs another program. Its memory is already the new one.
///
/// match-proto: `trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn process_exec(ctx: RawTracePointContext) -> i32 {
    let task: u64 = ctx.arg(0);
    let Ok(key) = task::key_of(task) else { return 0 };
    let Some(record) = EXEC_SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the scratch record of this CPU and program.
    let record = unsafe { &mut *record };
    record.process = key;
    // SAFETY: as above.
    unsafe { describe(task, &mut record.entry) };
    let _ = LEDGER.insert(key, &record.entry, 0);

    let flags = match targets::find(key.tgid) {
        // SAFETY: a value of a preallocated map.
        Some(target) => unsafe { (*target).flags },
        None if config!(watch_execs) != 0 => {
            let flags = config!(watch_execs) as u32;
            let target = Target { start_boot_ns: key.start_boot_ns, signals: 0, flags, reserved: 0 };
            if !targets::insert(key.tgid, &target) {
                return 0;
            }
            flags
        }
        None => return 0,
    };
    record.target_flags = flags;
    record.reserved = 0;
    let cmdline_len = record.entry.cmdline_len & (2 * MAX_LEDGER_CMDLINE as u32 - 1);
    let cmdline_len = cmdline_len.min(MAX_LEDGER_CMDLINE as u32);
    let head = (core::mem::offset_of!(ExecRecord, entry) + core::mem::offset_of!(ExecEntry, cmdline)) as u32;
    // SAFETY: as above; the length ends within the record.
    unsafe {
        emit::begin(&raw mut record.header, Kind::Exec, Stream::Exec, bpf_ktime_get_boot_ns());
        emit::send(&ctx, (&raw mut *record).cast(), head + cmdline_len);
    }
    0
}

/// What a process runs now.
///
/// # Safety
///
/// `entry` is part of the scratch record.
#[inline(always)]
unsafe fn describe(task: u64, entry: &mut ExecEntry) {
    // SAFETY: the helper takes nothing.
    entry.exec_boot_ns = unsafe { bpf_ktime_get_boot_ns() };
    entry.flags = 0;
    entry.path_len = 0;
    entry.inode = 0;
    entry.dev = 0;
    entry.cgroup_id = task::cgroup_of(task).and_then(|node| field(node, offset!(kernfs_id))).unwrap_or(0);
    entry.parent = pointer(task, offset!(task_group_leader))
        .and_then(|leader| pointer(leader, offset!(task_real_parent)))
        .and_then(task::key_of)
        .unwrap_or(forensics_common::TaskKey { start_boot_ns: 0, tgid: 0, reserved: 0 });
    entry.uid =
        pointer(task, offset!(task_cred)).and_then(|cred| field(cred, offset!(cred_uid))).unwrap_or(u32::MAX);
    // SAFETY: the destination is a field of the entry.
    if unsafe { bytes(task, offset!(task_comm), &raw mut entry.comm) }.is_err() {
        entry.comm[0] = 0;
    }
    (entry.ns_tgid, entry.ns_level) = task::ns_tgid(task).unwrap_or((0, 0));
    entry.cmdline_len = 0;
    entry.cmdline_full_len = 0;
    let Ok(mm) = pointer(task, offset!(task_mm)) else {
        entry.flags |= exec_flags::CMDLINE_FAULT;
        return;
    };
    if let Ok(file) = pointer(mm, offset!(mm_exe_file)) {
        // SAFETY: the destination is a field of the entry.
        let walk = unsafe { path::of_file(file, &raw mut entry.path) };
        entry.path_len = walk.len;
        if walk.complete {
            entry.flags |= exec_flags::PATH_COMPLETE;
        }
        if let Ok(inode) = pointer(file, offset!(file_inode)) {
            entry.inode = field(inode, offset!(inode_ino)).unwrap_or(0);
            entry.dev =
                pointer(inode, offset!(inode_sb)).and_then(|sb| field(sb, offset!(sb_dev))).unwrap_or(0);
        }
    }
    let (Ok(start), Ok(end)) =
        (field::<u64>(mm, offset!(mm_arg_start)), field::<u64>(mm, offset!(mm_arg_end)))
    else {
        entry.flags |= exec_flags::CMDLINE_FAULT;
        return;
    };
    let full = end.wrapping_sub(start);
    entry.cmdline_full_len = if full > u64::from(u32::MAX) { u32::MAX } else { full as u32 };
    let len = if full > MAX_LEDGER_CMDLINE as u64 { MAX_LEDGER_CMDLINE as u32 } else { full as u32 };
    // SAFETY: the destination has room for `len` bytes. The kernel has just written this memory, so it is there.
    let failed = unsafe { bpf_probe_read_user((&raw mut entry.cmdline).cast(), len, start as *const _) };
    if failed == 0 {
        entry.cmdline_len = len;
    } else {
        entry.flags |= exec_flags::CMDLINE_FAULT;
    }
}
