//! Records into the ring buffer.

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_smp_processor_id, generated::bpf_ringbuf_output},
};
use aya_log_ebpf::{debug, warn};
use forensics_common::{Counter, Header, Kind, Stream};

use crate::maps::{EVENTS, SEQUENCES, count};

/// Begins a record. The sequence number is spent even if the record is lost later: that is how the agent
/// knows of the loss.
///
/// # Safety
///
/// `header` points into a map value.
#[inline(always)]
pub(crate) unsafe fn begin(header: *mut Header, kind: Kind, stream: Stream, now: u64) {
    let seq = match SEQUENCES.get_ptr_mut(stream as u32) {
        Some(last) => {
            // SAFETY: a slot of a per-CPU array that this program alone writes to.
            unsafe {
                *last += 1;
                *last
            }
        }
        None => 0,
    };
    // SAFETY: the caller vouches for the pointer.
    let header = unsafe { &mut *header };
    header.kind = kind as u32;
    header.len = 0;
    // SAFETY: the helper takes nothing.
    header.cpu = unsafe { bpf_get_smp_processor_id() };
    header.stream = stream as u32;
    header.seq = seq;
    header.boot_ns = now;
}

/// Sends the first `len` bytes of a record, and counts it when there is no room.
///
/// The log statements are off unless the agent was started with `--ebpf-log`: the level is read-only data too, so
/// the verifier drops them.
///
/// # Safety
///
/// `record` points to at least `len` bytes that begin with a [`Header`].
#[inline(always)]
pub(crate) unsafe fn send(ctx: &impl EbpfContext, record: *mut u8, len: u32) {
    // SAFETY: the caller vouches for the record, the map is a ring buffer.
    let full = unsafe {
        (*record.cast::<Header>()).len = len;
        bpf_ringbuf_output((&raw const EVENTS).cast_mut().cast(), record.cast(), u64::from(len), 0)
    };
    if full == 0 {
        debug!(ctx, "record of {} bytes sent", len);
    } else {
        count(Counter::RingFull);
        warn!(ctx, "ring buffer full: record of {} bytes lost, error {}", len, full);
    }
}
