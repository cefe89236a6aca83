//! Whom else a sender signals: it may kill by a pattern, or by the group, and only one of those that it meets is watched.
//!
//! This runs for each signal by which people end processes, watched or not, so a sender has one place, found by its start, and
//! whoever comes later takes it over. Signals that programs send each other all day do not pay for it.

use core::ptr::null_mut;

use aya_ebpf::{bindings::task_struct, helpers::generated::bpf_get_current_task_btf};
use forensics_common::{Reach, reach_id, reach_place};

use crate::{
    globals::{have_task_pt_regs, offset},
    maps::REACHES,
    read::typed,
};

/// SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL and SIGTERM, a bit for each as in the masks of the configuration.
const COUNTED: u64 = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 8 | 1 << 14;

/// Counts a signal for the running thread, which it yields: to ask for it again takes half as long as everything here. Only where
/// the kernel knows the type of that: calls would cost too much. Null where it did not ask. An `Option` would have a part that is
/// not written, which no verifier before Linux 6.3 lets the compiler move.
#[inline(always)]
pub(crate) fn count(signal: u32, bit: u64) -> *mut task_struct {
    if COUNTED & bit == 0 || !have_task_pt_regs() {
        return null_mut();
    }
    // SAFETY: the helper takes nothing.
    let current = unsafe { bpf_get_current_task_btf() };
    // SAFETY: the helper returns a typed pointer to the running task; the member is a `u64`.
    let start = unsafe { typed::<u64>(current.cast(), offset!(task_start)) };
    if let Ok(start_boot_ns) = start {
        add(start_boot_ns, signal);
    }
    current
}

#[inline(always)]
fn add(start_boot_ns: u64, signal: u32) {
    let Some(reach) = REACHES.get_ptr_mut(reach_place(start_boot_ns)) else { return };
    let id = reach_id(start_boot_ns, signal);
    // SAFETY: a value of an array. A thread runs on one CPU, so that nobody else counts for it; that another one took the place
    // the agent tells by the id.
    unsafe {
        if (*reach).id == id {
            (*reach).count += 1;
        } else {
            *reach = Reach { id, count: 1 };
        }
    }
}
