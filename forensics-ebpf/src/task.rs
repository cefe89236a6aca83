//! A process, described from its `task_struct`.

use forensics_common::{TaskInfo, TaskKey, task_missing};

use crate::{
    globals::offset,
    read::{Unreadable, bytes, field, pointer},
};

/// The start of the process that a thread belongs to.
#[inline(always)]
pub(crate) fn start_of(leader: u64) -> Result<u64, Unreadable> {
    field(leader, offset!(task_start))
}

/// The identity of the process that a thread belongs to.
#[inline(always)]
pub(crate) fn key_of(task: u64) -> Result<TaskKey, Unreadable> {
    let leader = pointer(task, offset!(task_group_leader))?;
    Ok(TaskKey { start_boot_ns: start_of(leader)?, tgid: field(leader, offset!(task_tgid))?, reserved: 0 })
}

/// The cgroup of a process in the unified hierarchy, as its kernfs node.
#[inline(always)]
pub(crate) fn cgroup_of(task: u64) -> Result<u64, Unreadable> {
    let css_set = pointer(task, offset!(task_cgroups))?;
    let cgroup = pointer(css_set, offset!(css_set_dfl_cgrp))?;
    pointer(cgroup, offset!(cgroup_kn))
}

/// The number of a `struct pid` in the innermost namespace that sees it, and the depth of that namespace.
#[inline(always)]
fn innermost_number(pid: u64) -> Result<(u32, u32), Unreadable> {
    let level: u32 = field(pid, offset!(pid_level))?;
    // The kernel nests pid namespaces at most 32 deep (MAX_PID_NS_LEVEL, kernel/pid_namespace.c).
    let at = pid + u64::from(level & 63) * u64::from(offset!(upid_size));
    Ok((field(at, offset!(pid_number))?, level))
}

/// The process id of a thread's process in its own pid namespace, and the depth of that namespace.
#[inline(always)]
pub(crate) fn ns_tgid(task: u64) -> Result<(u32, u32), Unreadable> {
    let signal = pointer(task, offset!(task_signal))?;
    pointer(signal, offset!(signal_pid_tgid)).and_then(innermost_number)
}

/// The number of a `struct pid` in the initial namespace.
#[inline(always)]
fn global_number(signal: u64, which: u32) -> Result<u32, Unreadable> {
    field(pointer(signal, which)?, offset!(pid_number))
}

/// Fills in everything that is known of the process of a thread.
///
/// # Safety
///
/// `into` points into a map value.
#[inline(always)]
pub(crate) unsafe fn describe(task: u64, into: *mut TaskInfo) {
    // SAFETY: the caller vouches for the pointer; the record is written through memory rather than built on
    // the stack, which is too small for it.
    let into = unsafe { &mut *into };
    into.missing = 0;
    into.tgid = field(task, offset!(task_tgid)).unwrap_or(0);
    into.tid = field(task, offset!(task_pid)).unwrap_or(0);

    let leader = pointer(task, offset!(task_group_leader)).unwrap_or(task);
    into.start_boot_ns = start_of(leader).unwrap_or_else(|_| {
        into.missing |= task_missing::START;
        0
    });
    // SAFETY: both destinations are fields of the record.
    if unsafe {
        bytes(task, offset!(task_comm), &raw mut into.comm).is_err()
            || bytes(leader, offset!(task_comm), &raw mut into.leader_comm).is_err()
    } {
        into.missing |= task_missing::COMM;
        into.comm[0] = 0;
        into.leader_comm[0] = 0;
    }

    into.ppid = match pointer(leader, offset!(task_real_parent)).and_then(|p| field(p, offset!(task_tgid))) {
        Ok(ppid) => ppid,
        Err(Unreadable) => {
            into.missing |= task_missing::PPID;
            0
        }
    };

    // `ptrace_parent()` of include/linux/ptrace.h: while it is traced, the parent is the tracer.
    into.tracer = match field::<u32>(task, offset!(task_ptrace)) {
        Ok(0) | Err(Unreadable) => 0,
        Ok(_) => pointer(task, offset!(task_parent)).and_then(|p| field(p, offset!(task_tgid))).unwrap_or(0),
    };

    let cred = pointer(task, offset!(task_cred)).unwrap_or(0);
    into.uid = field(cred, offset!(cred_uid)).unwrap_or_else(|_| {
        into.missing |= task_missing::UID;
        0
    });
    into.euid = field(cred, offset!(cred_euid)).unwrap_or(0);
    into.loginuid = field(task, offset!(task_loginuid)).unwrap_or_else(|_| {
        into.missing |= task_missing::LOGINUID;
        u32::MAX
    });

    let signal = pointer(task, offset!(task_signal)).unwrap_or(0);
    into.pgid = global_number(signal, offset!(signal_pid_pgid)).unwrap_or_else(|_| {
        into.missing |= task_missing::PGID;
        0
    });
    into.sid = global_number(signal, offset!(signal_pid_sid)).unwrap_or_else(|_| {
        into.missing |= task_missing::SID;
        0
    });
    (into.ns_tgid, into.ns_level) =
        pointer(signal, offset!(signal_pid_tgid)).and_then(innermost_number).unwrap_or_else(|_| {
            into.missing |= task_missing::NS_PID;
            (0, 0)
        });
    into.tty[0] = 0;
    match field::<u64>(signal, offset!(signal_tty)) {
        Ok(0) => {}
        // SAFETY: the destination is a field of the record.
        Ok(tty) if unsafe { bytes(tty, offset!(tty_name), &raw mut into.tty).is_ok() } => {}
        _ => into.missing |= task_missing::TTY,
    }

    into.cgroup_id = cgroup_of(task).and_then(|node| field(node, offset!(kernfs_id))).unwrap_or_else(|_| {
        into.missing |= task_missing::CGROUP;
        0
    });
}
