//! `sched:sched_process_exit`: a thread ends; the last one of a target makes a record.
//!
//! `group_dead` is an argument only of newer kernels, and two threads that end together may both see nobody
//! left. So the count of live threads decides, and deleting the target from the watch map decides between them.
//!
//! Whoever calls `exit_group(2)` goes on to end at once, while the others must first be woken up to die, so the last
//! one is seldom the one that wanted it.
//!
//! The kernel skips a program on a CPU as long as another task is inside it, and from Linux 7.0 on a task can be preempted
//! there: of a crowd that dies at once, most would go unseen. What parents are told cannot be preempted, so an end that was
//! skipped is made up for then ([`stand_in`]).

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_NOEXIST,
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_stack, bpf_ktime_get_boot_ns,
    },
    macros::raw_tracepoint,
    maps::PerCpuArray,
    programs::RawTracePointContext,
};
use forensics_common::{ExitCaller, ExitRecord, Kind, MAX_EXIT_FRAMES, SIGNAL_GROUP_EXIT, Stream, Target};

use crate::{
    emit,
    globals::{config, exit_group, offset},
    maps::{EXIT_CALLERS, EXIT_SCRATCH, STAND_IN_SCRATCH},
    read::{Unreadable, bytes, field, pointer},
    registers, targets, task,
};

/// Bits of a wait status that hold a signal.
const SIGNAL_BITS: u32 = 0x7f;

/// A thread ends.
///
/// match-proto: `trace_sched_process_exit(struct task_struct *p)`, since 6.16 with `bool group_dead`
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn process_exit(ctx: RawTracePointContext) -> i32 {
    let task: u64 = ctx.arg(0);
    let Ok(tgid) = field::<u32>(task, offset!(task_tgid)) else { return 0 };
    let watched = targets::find(tgid);
    if watched.is_none() && config!(all) == 0 {
        return 0;
    }
    let Ok(signal) = pointer(task, offset!(task_signal)) else { return 0 };
    if field::<u32>(signal, offset!(signal_live)).is_ok_and(|live| live != 0) {
        if watched.is_some() {
            note_caller(task, tgid);
        }
        return 0;
    }
    tell(&ctx, task, tgid, signal, watched, Stream::Exit, &EXIT_SCRATCH);
    0
}

/// Somebody is sent SIGCHLD: by the last thread of a target, when its parent is told of its end (`do_notify_parent()` in
/// `kernel/signal.c`). A target that is still there then was skipped by [`process_exit`].
///
/// A function of its own, since it has no part in what the program that calls it does millions of times.
#[inline(never)]
pub(crate) fn stand_in(ctx: *mut c_void) {
    // SAFETY: the helper takes nothing.
    let tgid = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    let watched = targets::find(tgid);
    if watched.is_none() {
        return;
    }
    // SAFETY: as above.
    let task = unsafe { bpf_get_current_task() };
    let Ok(signal) = pointer(task, offset!(task_signal)) else { return };
    // Who is alive sends it of his own will.
    if field::<u32>(signal, offset!(signal_live)).is_ok_and(|live| live == 0) {
        // Its arguments are of no interest here.
        let ctx = RawTracePointContext::new(ctx);
        tell(&ctx, task, tgid, signal, watched, Stream::StandIn, &STAND_IN_SCRATCH);
    }
}

/// Records the end of a process: `task` is its last thread, `signal` its `signal_struct`.
#[inline(always)]
fn tell(
    ctx: &impl EbpfContext,
    task: u64,
    tgid: u32,
    signal: u64,
    watched: Option<*mut Target>,
    stream: Stream,
    scratch: &PerCpuArray<ExitRecord>,
) {
    // Both at once: kernels before 6.3 do not let what one of the two cases alone has written be read in the other.
    let (status, status_missing) = match wait_status(task, signal) {
        Ok(status) => (status, 0),
        Err(_) => (0, 1),
    };
    let (signals, target_flags) = match watched {
        Some(target) => {
            // SAFETY: a value of a preallocated map, copied before it is given back.
            let Target { signals, flags, .. } = unsafe { *target };
            if !targets::remove(tgid) {
                return;
            }
            (signals, flags)
        }
        None if status & SIGNAL_BITS != 0 => (u64::MAX, 0),
        None => return,
    };
    let Some(record) = scratch.get_ptr_mut(0) else { return };
    // SAFETY: the scratch record of this CPU and program.
    unsafe {
        let record = &mut *record;
        emit::begin(&raw mut record.header, Kind::Exit, stream, bpf_ktime_get_boot_ns());
        task::describe(task, &raw mut record.task);
        record.signals = signals;
        record.target_flags = target_flags;
        record.status_missing = status_missing;
        take_caller(task, tgid, &mut record.caller);
        record.wait_status = status;
        let got =
            bpf_get_stack(ctx.as_ptr(), (&raw mut record.stack).cast(), (MAX_EXIT_FRAMES * 8) as u32, 0);
        record.frame_count = if got > 0 { got as u32 / 8 } else { 0 };
        emit::send(ctx, (&raw mut *record).cast(), size_of::<ExitRecord>() as u32);
    }
}

/// Remembers a thread that called `exit_group(2)`, the first one when several did.
#[inline(always)]
fn note_caller(task: u64, tgid: u32) {
    if !calls_exit_group(task) {
        return;
    }
    let mut caller =
        ExitCaller { tid: field(task, offset!(task_pid)).unwrap_or(0), reserved: 0, comm: [0; 16] };
    // SAFETY: the destination is a field of the value.
    if unsafe { bytes(task, offset!(task_comm), &raw mut caller.comm) }.is_err() {
        caller.comm[0] = 0;
    }
    let _ = EXIT_CALLERS.insert(tgid, caller, u64::from(BPF_NOEXIST));
}

/// The thread that called `exit_group(2)`: one that has ended before, or the last one itself.
#[inline(always)]
fn take_caller(task: u64, tgid: u32, into: &mut ExitCaller) {
    into.reserved = 0;
    // SAFETY: nobody else writes to the entry of a process whose last thread this is.
    if let Some(caller) = unsafe { EXIT_CALLERS.get(tgid) } {
        into.tid = caller.tid;
        into.comm = caller.comm;
        let _ = EXIT_CALLERS.remove(tgid);
        return;
    }
    into.tid = 0;
    into.comm[0] = 0;
    if calls_exit_group(task) {
        into.tid = field(task, offset!(task_pid)).unwrap_or(0);
        // SAFETY: the destination is a field of the record.
        if unsafe { bytes(task, offset!(task_comm), &raw mut into.comm) }.is_err() {
            into.comm[0] = 0;
        }
    }
}

/// True when the thread, which is the running one, is in that system call.
#[inline(always)]
fn calls_exit_group(task: u64) -> bool {
    field::<i32>(registers::of_user(task), offset!(regs_syscall))
        .is_ok_and(|number| i64::from(number) == exit_group())
}

/// What `wait(2)` will say of the process: as `wait_task_zombie()` in `kernel/exit.c` reads it.
#[inline(always)]
fn wait_status(task: u64, signal: u64) -> Result<u32, Unreadable> {
    let flags: u32 = field(signal, offset!(signal_flags))?;
    if flags & SIGNAL_GROUP_EXIT != 0 {
        return field(signal, offset!(signal_group_exit_code));
    }
    let leader = pointer(task, offset!(task_group_leader))?;
    field(leader, offset!(task_exit_code))
}
