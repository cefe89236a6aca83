//! `sched:sched_process_exit`: a thread ends; the last one of a target makes a record.
//!
//! `group_dead` is an argument only of newer kernels, and two threads that end together may both see nobody
//! left. So the count of live threads decides, and deleting the target from the watch map decides between them.
//!
//! Whoever calls `exit_group(2)` goes on to end at once, while the others must first be woken up to die, so the last
//! one is seldom the one that wanted it.
//!
//! From Linux 7.0 on a raw tracepoint can be preempted, and as long as a task stays inside the program, the kernel skips it for
//! every other task on that CPU: of a crowd that dies at once, most would go unseen. A tracepoint of the older kind is not
//! preempted, but skipped while a map is being written to on that CPU. So there both are attached, and whichever comes first
//! takes the target.

use aya_ebpf::{
    EbpfContext,
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_get_current_task, bpf_get_stack, bpf_ktime_get_boot_ns},
    macros::{raw_tracepoint, tracepoint},
    maps::PerCpuArray,
    programs::{RawTracePointContext, TracePointContext},
};
use forensics_common::{ExitCaller, ExitRecord, Kind, MAX_EXIT_FRAMES, SIGNAL_GROUP_EXIT, Stream, Target};

use crate::{
    emit,
    globals::{config, exit_group, offset},
    maps::{EXIT_AGAIN_SCRATCH, EXIT_CALLERS, EXIT_SCRATCH},
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
    ended(&ctx, ctx.arg(0), Stream::Exit, &EXIT_SCRATCH);
    0
}

/// A thread ends, and [`process_exit`] may have been skipped.
#[tracepoint]
fn process_exit_again(ctx: TracePointContext) -> u32 {
    // Only who is watched can be taken by one of the two alone.
    if config!(all) == 0 {
        // SAFETY: the helper takes nothing. Whoever ends is the one that runs.
        ended(&ctx, unsafe { bpf_get_current_task() }, Stream::ExitAgain, &EXIT_AGAIN_SCRATCH);
    }
    0
}

#[inline(always)]
fn ended(ctx: &impl EbpfContext, task: u64, stream: Stream, scratch: &PerCpuArray<ExitRecord>) {
    let Ok(tgid) = field::<u32>(task, offset!(task_tgid)) else { return };
    let watched = targets::find(tgid);
    if watched.is_none() && config!(all) == 0 {
        return;
    }
    let Ok(signal) = pointer(task, offset!(task_signal)) else { return };
    if field::<u32>(signal, offset!(signal_live)).is_ok_and(|live| live != 0) {
        if watched.is_some() {
            note_caller(task, tgid);
        }
        return;
    }
    let status = wait_status(task, signal);
    let (signals, target_flags) = match watched {
        Some(target) => {
            // SAFETY: a value of a preallocated map, copied before it is given back.
            let Target { signals, flags, .. } = unsafe { *target };
            if !targets::remove(tgid) {
                return;
            }
            (signals, flags)
        }
        None if status.as_ref().is_ok_and(|status| status & SIGNAL_BITS != 0) => (u64::MAX, 0),
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
        record.status_missing = u32::from(status.is_err());
        take_caller(task, tgid, &mut record.caller);
        record.wait_status = status.unwrap_or(0);
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
