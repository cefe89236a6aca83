//! `sched:sched_process_fork`: who made whom.
//!
//! The parent of a process changes when that parent ends; its maker does not. And a child of a target whose
//! children are followed is a target before it runs its first instruction.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns, macros::raw_tracepoint, programs::RawTracePointContext,
};
use forensics_common::{ForkRecord, Kind, Stream, Target, target_flags};

use crate::{
    cgroups, emit,
    globals::offset,
    maps::LINEAGE,
    read::{bytes, field},
    targets, task,
};

/// A thread or a process was made.
///
/// match-proto: `trace_sched_process_fork(struct task_struct *parent, struct task_struct *child)`
#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn process_fork(ctx: RawTracePointContext) -> i32 {
    let (parent, child): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let (Ok(tgid), Ok(tid)) =
        (field::<u32>(child, offset!(task_tgid)), field::<u32>(child, offset!(task_pid)))
    else {
        return 0;
    };
    if tgid != tid {
        return 0;
    }
    let (Ok(maker), Ok(made)) = (task::key_of(parent), task::key_of(child)) else { return 0 };
    let _ = LINEAGE.insert(made, maker, 0);

    // SAFETY: a value of a preallocated map.
    let of_maker = targets::find(maker.tgid).map_or(0, |target| unsafe { (*target).flags });
    let inherited = match of_maker & target_flags::FOLLOW {
        0 => of_maker & target_flags::MEMBER,
        _ => of_maker & !target_flags::HELD,
    };
    let (flags, cgroup_id) = cgroups::by_birth(child, inherited);
    if flags & (target_flags::FOLLOW | target_flags::MEMBER) == 0 {
        return 0;
    }
    let target = Target { start_boot_ns: made.start_boot_ns, signals: 0, flags, reserved: 0 };
    targets::insert(made.tgid, &target);
    let mut record = core::mem::MaybeUninit::<ForkRecord>::uninit();
    let record = record.as_mut_ptr();
    // SAFETY: every field is written before the record is sent.
    unsafe {
        emit::begin(&raw mut (*record).header, Kind::Fork, Stream::Fork, bpf_ktime_get_boot_ns());
        (*record).parent = maker;
        (*record).child = made;
        (*record).cgroup_id = cgroup_id;
        (*record).flags = flags;
        (*record).reserved = 0;
        (*record).comm = [0; forensics_common::COMM_LEN];
        let _ = bytes(child, offset!(task_comm), &raw mut (*record).comm);
        emit::send(&ctx, record.cast(), size_of::<ForkRecord>() as u32);
    }
    0
}
