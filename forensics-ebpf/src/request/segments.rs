//! What a send consists of: one piece of memory, or several.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user as read_user};
use forensics_common::MAX_MESSAGE;

use crate::{
    globals::socket_offset,
    read::{field, pointer},
};

/// Pieces that are read: libraries send the header and the body of a message as one each.
const MAX_SEGMENTS: u64 = 4;

/// `struct iovec` of `include/uapi/linux/uio.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Iovec {
    base: u64,
    len: u64,
}

/// Where the pieces are described.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// There is one, at this place in the memory of the sender.
    Single,
    /// `struct iovec` in the memory of the sender.
    User,
    /// `struct iovec` in that of the kernel.
    Kernel,
}

/// A system call, its second and its third argument.
pub(super) struct Sending {
    pub(super) number: u32,
    pub(super) second: u64,
    pub(super) third: u64,
}

/// The pieces of a send, all in the memory of the sender.
pub(super) struct Segments {
    place: Where,
    at: u64,
    /// How many pieces, or bytes of the single one.
    count: u64,
}

impl Segments {
    /// Those of a system call that sends; none when it is another one.
    #[inline(always)]
    pub(super) fn of_call(call: &Sending) -> Option<Self> {
        /// `msg_iov` and `msg_iovlen` of `struct user_msghdr` (`include/linux/socket.h`).
        const IOV: u64 = 16;
        if call.number == socket_offset!(nr_sendmsg) {
            // SAFETY: the helper checks the address.
            let iov = unsafe { read_user((call.second + IOV) as *const Iovec) }.ok()?;
            return Some(Self { place: Where::User, at: iov.base, count: iov.len });
        }
        let place = if call.number == socket_offset!(nr_writev) {
            Where::User
        } else if call.number == socket_offset!(nr_sendto) || call.number == socket_offset!(nr_write) {
            Where::Single
        } else {
            return None;
        };
        Some(Self { place, at: call.second, count: call.third })
    }

    /// Those of a `struct msghdr` of the kernel; none when they are not in the memory of the sender.
    #[inline(always)]
    pub(super) fn of_kernel_message(message: u64) -> Option<Self> {
        let iter = message + u64::from(socket_offset!(msghdr_iter));
        // One byte, or the lowest of four.
        let kind: u8 = field(iter, socket_offset!(iter_type)).ok()?;
        let kind = u32::from(kind) & socket_offset!(iter_mask);
        if kind == socket_offset!(iter_is_ubuf) {
            let at = pointer(iter, socket_offset!(iter_ubuf)).ok()?;
            return Some(Self {
                place: Where::Single,
                at,
                count: field(iter, socket_offset!(iter_count)).ok()?,
            });
        }
        if kind != socket_offset!(iter_iovec) {
            return None;
        }
        let at = pointer(iter, socket_offset!(iter_iov)).ok()?;
        Some(Self { place: Where::Kernel, at, count: field(iter, socket_offset!(iter_segments)).ok()? })
    }

    #[inline(always)]
    fn segment(&self, index: u64) -> Option<Iovec> {
        let at = self.at + index * size_of::<Iovec>() as u64;
        match self.place {
            Where::Single => (index == 0).then_some(Iovec { base: self.at, len: self.count }),
            // SAFETY: the helper checks the address.
            Where::User if index < self.count => unsafe { read_user(at as *const Iovec) }.ok(),
            // SAFETY: as above.
            Where::Kernel if index < self.count => unsafe { bpf_probe_read_kernel(at as *const Iovec) }.ok(),
            _ => None,
        }
    }

    /// The first bytes; none when the first piece is shorter than any request.
    #[inline(always)]
    pub(super) fn first_bytes(&self) -> Option<[u64; 2]> {
        let first = self.segment(0)?;
        if first.len < 16 {
            return None;
        }
        // SAFETY: the helper checks the address.
        unsafe { read_user(first.base as *const [u64; 2]) }.ok()
    }

    /// Copies the beginning of all pieces, one behind the other, and no byte that is not sent. Returns how many bytes that is;
    /// a piece that cannot be read ends it.
    ///
    /// # Safety
    ///
    /// `into` is writable memory of twice its size: the verifier bounds place and length of each piece, but not their sum.
    #[inline(always)]
    pub(super) unsafe fn copy(&self, into: *mut [u8; MAX_MESSAGE]) -> u32 {
        let mut at = 0u64;
        for index in 0..MAX_SEGMENTS {
            let Some(segment) = self.segment(index) else { break };
            let room = MAX_MESSAGE as u64 - at;
            let len = if segment.len < room { segment.len } else { room };
            let place = core::hint::black_box(at) & (MAX_MESSAGE as u64 - 1);
            let len = core::hint::black_box(len) & (2 * MAX_MESSAGE as u64 - 1);
            let len = if len > MAX_MESSAGE as u64 { MAX_MESSAGE as u64 } else { len };
            // SAFETY: `place + len` is at most `MAX_MESSAGE`, and less than twice that to the verifier.
            let failed = unsafe {
                bpf_probe_read_user(
                    into.cast::<u8>().add(place as usize).cast(),
                    len as u32,
                    segment.base as *const _,
                )
            };
            if failed != 0 {
                break;
            }
            at += len;
            if at >= MAX_MESSAGE as u64 {
                break;
            }
        }
        at as u32
    }
}
