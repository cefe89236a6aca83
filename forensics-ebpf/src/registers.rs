//! The registers with which a task entered the kernel.

use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};
use forensics_common::ABSENT;

use crate::{
    globals::{have_task_pt_regs, offset},
    read::pointer,
};

/// Where those of the running task are, at the far end of its kernel stack.
#[inline(always)]
pub(crate) fn of_user(current: u64) -> u64 {
    if have_task_pt_regs() {
        // SAFETY: the helpers take the running task, typed.
        return unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) } as u64;
    }
    if offset!(thread_size) == ABSENT {
        return 0;
    }
    // task_pt_regs() of kernels before 5.15, which put nothing between the registers and the end.
    match pointer(current, offset!(task_stack)) {
        Ok(stack) => stack + u64::from(offset!(thread_size)) - u64::from(offset!(pt_regs_size)),
        Err(_) => 0,
    }
}
