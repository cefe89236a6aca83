//! Whom else a sender signals: it may kill by a pattern, or by the group, and only one of those that it meets is watched.
//!
//! This runs for each signal that may end somebody on the host, watched or not, so a sender has one place, found by its process
//! id, and whoever comes later takes it over. Nothing but the count is wrong when two take turns.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use forensics_common::{Reach, reach_place};

use crate::{
    atomic,
    globals::{have_task_pt_regs, offset},
    maps::REACHES,
    read::typed,
};

/// Counts a signal for the running thread. Only where the kernel knows the type of that: calls would cost too much.
#[inline(always)]
pub(crate) fn count(signal: u32) {
    if !have_task_pt_regs() {
        return;
    }
    // SAFETY: the helper returns a typed pointer to the running task; the members are a `pid_t` and a `u64`.
    let (tgid, start) = unsafe {
        let current: *const u8 = bpf_get_current_task_btf().cast();
        (typed::<u32>(current, offset!(task_tgid)), typed::<u64>(current, offset!(task_start)))
    };
    let (Ok(tgid), Ok(start_boot_ns)) = (tgid, start) else { return };
    let Some(reach) = REACHES.get_ptr_mut(reach_place(tgid)) else { return };
    // SAFETY: a value of an array. What two senders write to it at once is checked by the agent against who is meant.
    unsafe {
        if (*reach).start_boot_ns == start_boot_ns && (*reach).signal == signal {
            atomic::add(&raw mut (*reach).count, 1);
        } else {
            *reach = Reach { start_boot_ns, tgid, signal, count: 1 };
        }
    }
}
