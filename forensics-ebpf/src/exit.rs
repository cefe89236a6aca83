//! `sched:sched_process_exit`: a thread ends; the last one of a target makes a record.
//!
//! `group_dead` is an argument only of newer kernels, and two threads that end together may both see nobody
//! left. So the count of live threads decides, and deleting the target from the watch map decides between them.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_stack, bpf_ktime_get_boot_ns},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use forensics_common::{ExitRecord, Kind, MAX_EXIT_FRAMES, SIGNAL_GROUP_EXIT, Stream, Target};

use crate::{
    emit,
    globals::{config, offset},
    maps::EXIT_SCRATCH,
    read::{Unreadable, field, pointer},
    targets, task,
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
        return 0;
    }
    let status = wait_status(task, signal);
    let (signals, target_flags) = match watched {
        Some(target) => {
            // SAFETY: a value of a preallocated map, copied before it is given back.
            let Target { signals, flags, .. } = unsafe { *target };
            if !targets::remove(tgid) {
                return 0;
            }
            (signals, flags)
        }
        None if status.as_ref().is_ok_and(|status| status & SIGNAL_BITS != 0) => (u64::MAX, 0),
        None => return 0,
    };
    let Some(record) = EXIT_SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the scratch record of this CPU and program.
    unsafe {
        let record = &mut *record;
        emit::begin(&raw mut record.header, Kind::Exit, Stream::Exit, bpf_ktime_get_boot_ns());
        task::describe(task, &raw mut record.task);
        record.signals = signals;
        record.target_flags = target_flags;
        record.status_missing = u32::from(status.is_err());
        record.wait_status = status.unwrap_or(0);
        let got =
            bpf_get_stack(ctx.as_ptr(), (&raw mut record.stack).cast(), (MAX_EXIT_FRAMES * 8) as u32, 0);
        record.frame_count = if got > 0 { got as u32 / 8 } else { 0 };
        emit::send(&ctx, (&raw mut *record).cast(), size_of::<ExitRecord>() as u32);
    }
    0
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
