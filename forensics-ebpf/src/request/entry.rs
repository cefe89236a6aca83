//! `unix_stream_sendmsg()`: the one function through which everything is sent over stream sockets of AF_UNIX, by whatever
//! system call, `io_uring` included. The cheapest hook, for nothing else runs it; before anything is sent.

use aya_ebpf::{macros::fentry, programs::FEntryContext};

use super::{observe, segments::Segments};
use crate::{globals::socket_offset, read::pointer};

/// Something is about to be sent.
///
/// match-proto: `int unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`
#[fentry(function = "unix_stream_sendmsg")]
fn request_entry(ctx: FEntryContext) -> i32 {
    let (socket, message) = (ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64);
    if let Ok(sock) = pointer(socket, socket_offset!(socket_sk)) {
        observe(&ctx, sock, 0, || Segments::of_kernel_message(message));
    }
    0
}
