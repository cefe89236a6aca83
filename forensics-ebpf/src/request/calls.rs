//! The system calls that send: for kernels that offer no other hook. As soon as one of them is attached to, every system call of
//! every process takes the slow way into the kernel, so that is done only when asked for.

use aya_ebpf::{EbpfContext as _, macros::tracepoint, programs::TracePointContext};

use super::{
    observe,
    segments::{Segments, Sending},
};
use crate::files::File;

/// Number and arguments of the call in the context of `syscalls:sys_enter_*` (`struct syscall_trace_enter` of
/// kernel/trace/trace.h, with the arguments as `perf_call_bpf_enter()` hands them to programs).
const NUMBER: usize = 8;
const ARGUMENTS: usize = 16;

/// One of these calls begins; it is attached to each of them.
///
/// match-proto: `sys_enter_sendmsg(int fd, struct user_msghdr *msg, unsigned int flags)`
/// match-proto: `sys_enter_sendto(int fd, void *buff, size_t len, unsigned int flags, struct sockaddr *addr, int addr_len)`
/// match-proto: `sys_enter_write(unsigned int fd, const char *buf, size_t count)`
/// match-proto: `sys_enter_writev(unsigned long fd, const struct iovec *vec, unsigned long vlen)`
#[tracepoint]
fn request_call(ctx: TracePointContext) -> u32 {
    let number = word(&ctx, NUMBER) as u32;
    let argument = |index: usize| word(&ctx, ARGUMENTS + index * size_of::<u64>());
    let sending = Sending { number, second: argument(1), third: argument(2) };
    if let Some(sock) = File::of(argument(0) as u32).and_then(|file| file.sock()) {
        observe(&ctx, sock, 0, || Segments::of_call(&sending));
    }
    0
}

/// A word of the context.
#[inline(always)]
fn word(ctx: &TracePointContext, at: usize) -> u64 {
    // SAFETY: it is aligned and part of the context, which the verifier checks.
    unsafe { core::ptr::read_volatile(ctx.as_ptr().cast::<u8>().add(at).cast::<u64>()) }
}
