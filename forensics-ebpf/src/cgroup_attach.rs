//! `cgroup:cgroup_attach_task`: a process is moved to another cgroup.
//!
//! A manager forks, moves the child (or has it move itself), and only then executes the service. So who enters a cgroup whose
//! processes are targets is a target from its first instruction there, and needs no exec for it.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use forensics_common::{CgroupEvent, Target, target_flags};

use crate::{
    cgroups::{self, Moved},
    globals::{config, offset},
    read::field,
    targets, task,
};

/// A process, or one thread of it, was moved. A process is where its group leader is.
///
/// match-proto: `trace_cgroup_attach_task(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
fn cgroup_entered(ctx: RawTracePointContext) -> i32 {
    let (cgroup, path, task): (u64, u64, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let Some((key, _)) = cgroups::key_of(cgroup) else { return 0 };
    // One after the other: Linux 5.10 refuses code that reads what a failed one of two left unset, though only to drop it.
    let Ok(process) = task::key_of(task) else { return 0 };
    let Ok(tid) = field::<u32>(task, offset!(task_pid)) else { return 0 };
    if tid != process.tgid {
        return 0;
    }
    let bit = target_flags::member(key.slot);
    let inside = cgroups::are_targets(key);
    let (event, flags) = match (targets::find(process.tgid), inside) {
        (None, false) => return 0,
        (None, true) => {
            let flags = bit | config!(member_flags) as u32;
            let target = Target { start_boot_ns: process.start_boot_ns, signals: 0, flags, reserved: 0 };
            if !targets::insert(process.tgid, &target) {
                return 0;
            }
            (CgroupEvent::Entered, flags)
        }
        (Some(target), true) => {
            // SAFETY: a value of a preallocated map. Moves are made one after the other.
            let flags = unsafe {
                (*target).flags |= bit;
                (*target).flags
            };
            (CgroupEvent::Entered, flags)
        }
        (Some(target), false) => {
            // SAFETY: as above.
            let before = unsafe { (*target).flags };
            if before & bit == 0 {
                return 0;
            }
            let mut flags = before & !bit;
            if flags & target_flags::HOLDS == 0 {
                targets::remove(process.tgid);
                flags = 0;
            } else {
                // SAFETY: as above.
                unsafe { (*target).flags = flags };
            }
            (CgroupEvent::Left, flags)
        }
    };
    cgroups::tell(&ctx, event, key, path, Some(Moved { task, process, flags }));
    0
}
