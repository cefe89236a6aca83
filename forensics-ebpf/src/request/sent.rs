//! `sock:sock_send_length`: something was sent through a socket, of any family. For kernels that have it and refuse functions as
//! hooks. It tells neither the memory that was sent nor the system call: those are in the registers of the sender.

use aya_ebpf::{
    helpers::generated::bpf_get_current_task, macros::raw_tracepoint, programs::RawTracePointContext,
};
use forensics_common::request_flags;

use super::{
    observe,
    segments::{Segments, Sending},
};
use crate::{globals::offset, read::field, registers};

/// Something was sent.
///
/// match-proto: `trace_sock_send_length(struct sock *sk, int ret, int flags)`
#[raw_tracepoint(tracepoint = "sock_send_length")]
fn request_sent(ctx: RawTracePointContext) -> i32 {
    let (sock, sent): (u64, i32) = (ctx.arg(0), ctx.arg(1));
    if sent > 0 {
        observe(&ctx, sock, request_flags::AFTERWARDS, of_registers);
    }
    0
}

/// What the system call that is running sends.
#[inline(always)]
fn of_registers() -> Option<Segments> {
    // SAFETY: the helper takes nothing.
    let regs = registers::of_user(unsafe { bpf_get_current_task() });
    Segments::of_call(&Sending {
        number: field(regs, offset!(regs_syscall)).ok()?,
        second: field(regs, offset!(regs_arg1)).ok()?,
        third: field(regs, offset!(regs_arg2)).ok()?,
    })
}
