//! The system calls that send: for kernels that offer no other hook. As soon as one of them is attached to, every system call of
//! every process takes the slow way into the kernel, so that is done only when asked for.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_current_task, macros::tracepoint,
    programs::TracePointContext,
};

use super::{
    observe,
    segments::{Segments, Sending},
};
use crate::{
    globals::{offset, socket_offset},
    read::{field, pointer},
};

/// Number and arguments of the call in the context of `syscalls:sys_enter_*` (`struct syscall_trace_enter` of
/// kernel/trace/trace.h, with the arguments as `perf_call_bpf_enter()` hands them to programs).
const NUMBER: usize = 8;
const ARGUMENTS: usize = 16;
/// The bits of a mode that are the type of the file, and that of sockets (`include/uapi/linux/stat.h`).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

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
    if let Some(sock) = sock_of(argument(0) as u32) {
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

/// The socket of a descriptor of the running process.
#[inline(always)]
fn sock_of(descriptor: u32) -> Option<u64> {
    // SAFETY: the helper takes nothing.
    let current = unsafe { bpf_get_current_task() };
    let files = pointer(current, socket_offset!(task_files)).ok()?;
    let table = pointer(files, socket_offset!(files_table)).ok()?;
    let len: u32 = field(table, socket_offset!(table_len)).ok()?;
    if descriptor >= len {
        return None;
    }
    let array = pointer(table, socket_offset!(table_files)).ok()?;
    let file = pointer(array + u64::from(descriptor) * size_of::<u64>() as u64, 0).ok()?;
    let inode = pointer(file, offset!(file_inode)).ok()?;
    let mode: u16 = field(inode, socket_offset!(inode_mode)).ok()?;
    if mode & S_IFMT != S_IFSOCK {
        return None;
    }
    let socket = pointer(file, socket_offset!(file_private)).ok()?;
    pointer(socket, socket_offset!(socket_sk)).ok()
}
