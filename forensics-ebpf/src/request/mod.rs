//! Requests to managers and container engines, where they are made: what the asker sends through a socket.
//!
//! Kernels offer different hooks for that, see [`entry`], [`sent`] and [`calls`]. Whichever it is runs for each send on the host,
//! so the ways out come in the order of what they cost: who is at the other end, the first bytes, what a call is about. Of what
//! passes, the agent reads the rest.

mod calls;
mod dbus;
mod entry;
mod segments;
mod sent;
mod socket;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_task, bpf_ktime_get_boot_ns},
};
use forensics_common::{
    Counter, Kind, MAX_CMDLINE, MAX_RATE, RATE_WINDOW_NS, RequestRate, RequestRecord, Stream, request_flags,
};

use crate::{
    atomic, caller, emit,
    maps::{REQUEST_RATES, REQUEST_SCRATCH, count},
    path, task,
};
use segments::Segments;
use socket::{Peer, Protocol};

/// Filters, and records. `segments` is asked for what is sent once it is known to be for a manager or an engine; `flags` are
/// [`request_flags`] that the hook knows.
#[inline(always)]
fn observe(ctx: &impl EbpfContext, sock: u64, flags: u32, segments: impl Fn() -> Option<Segments>) {
    let Some(peer) = Peer::of(sock) else { return };
    let Some(segments) = segments() else { return };
    let Some(first) = segments.first_bytes() else { return };
    let plausible = match peer.protocol {
        Protocol::Dbus => dbus::is_call(first),
        Protocol::Http => is_post_or_delete(first),
    };
    if !plausible {
        return;
    }
    let Some(scratch) = REQUEST_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the scratch record of this CPU.
    let record = unsafe { &mut (*scratch).record };
    // SAFETY: the destination is a field of the record, and the command line behind it is larger.
    record.message_len = unsafe { segments.copy(&raw mut record.message) };
    // SAFETY: the message is a field of the record.
    if matches!(peer.protocol, Protocol::Dbus) && !unsafe { dbus::is_of_interest(&raw const record.message) }
    {
        return;
    }
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: the helper takes nothing and returns the address of the running task.
    let current = unsafe { bpf_get_current_task() };
    if is_beyond_rate(current, now) {
        count(Counter::RequestsBeyondRate);
        return;
    }
    record.flags = flags;
    record.listener = socket::listener(sock);
    // SAFETY: the destination is a field of the record.
    record.socket_path_len = unsafe { peer.path(&raw mut record.socket_path) };
    describe_sender(current, record);
    // SAFETY: the record begins with a header; the length ends within it.
    unsafe {
        emit::begin(&raw mut record.header, Kind::Request, Stream::Request, now);
        let len = core::mem::offset_of!(RequestRecord, cmdline) as u32
            + (record.cmdline_len & (2 * MAX_CMDLINE as u32 - 1)).min(MAX_CMDLINE as u32);
        emit::send(ctx, (&raw mut *record).cast(), len);
    }
}

/// What HTTP requests that change something begin with.
#[inline(always)]
fn is_post_or_delete(first: [u64; 2]) -> bool {
    let word = first[0] as u32;
    word == u32::from_ne_bytes(*b"POST") || word == u32::from_ne_bytes(*b"DELE")
}

/// True for a process that made so many requests that it may not have them recorded any more: a flood of its own must not
/// crowd out those of others.
#[inline(always)]
fn is_beyond_rate(current: u64, now: u64) -> bool {
    let Ok(key) = task::key_of(current) else { return false };
    let Some(rate) = REQUEST_RATES.get_ptr_mut(key) else {
        let _ = REQUEST_RATES.insert(key, RequestRate { since_ns: now, count: 1 }, 0);
        return false;
    };
    // SAFETY: a value of a preallocated map. Threads that race may record a few more.
    let rate = unsafe { &mut *rate };
    if now.wrapping_sub(rate.since_ns) > RATE_WINDOW_NS {
        rate.since_ns = now;
        rate.count = 1;
        return false;
    }
    // SAFETY: as above.
    unsafe { atomic::add(&raw mut rate.count, 1) };
    rate.count > MAX_RATE
}

/// Who sent it.
#[inline(always)]
fn describe_sender(current: u64, record: &mut RequestRecord) {
    // SAFETY: the destination is a field of the record.
    unsafe { task::describe(current, &raw mut record.sender) };
    // SAFETY: as above.
    let (ancestors, complete) = unsafe { caller::ancestry(current, &raw mut record.ancestors) };
    record.ancestor_count = ancestors;
    if complete {
        record.flags |= request_flags::ANCESTRY_COMPLETE;
    }
    record.cgroup_path_len = 0;
    if let Ok(node) = task::cgroup_of(current) {
        // SAFETY: as above.
        let walk = unsafe { path::of_kernfs(node, &raw mut record.cgroup_path) };
        record.cgroup_path_len = walk.len;
        if walk.complete {
            record.flags |= request_flags::CGROUP_COMPLETE;
        }
    }
    // SAFETY: as above, with the room of `RequestScratch` behind it.
    let cmdline = unsafe { caller::command_line(current, &raw mut record.cmdline) };
    record.cmdline_len = cmdline.len;
    record.cmdline_full_len = cmdline.full_len;
    if cmdline.fault.is_some() {
        record.flags |= request_flags::CMDLINE_FAULT;
    }
}
