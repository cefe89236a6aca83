//! Signals, sent in batches.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal `count` times by kill(2) and yields the nanoseconds of one call.
pub(super) fn timed(pid: Pid, signal: Signal, count: u32) -> Result<f64> {
    let started = Instant::now();
    for _ in 0..count {
        kill_process(pid, signal).with_context(|| format!("cannot signal {pid:?}"))?;
    }
    Ok(started.elapsed().as_nanos() as f64 / f64::from(count))
}

/// `siginfo_t` of a queued signal, 128 bytes, see `include/uapi/asm-generic/siginfo.h`.
#[repr(C)]
struct QueuedInfo {
    signo: i32,
    errno: i32,
    code: i32,
    pad: i32,
    rest: [u64; 14],
}
const _: () = assert!(size_of::<QueuedInfo>() == 128);

/// Queues a signal with an `si_code` of one's own choice. A process can claim any negative one but that of tkill(2)
/// towards another (`do_rt_sigqueueinfo`, kernel/signal.c).
pub(super) fn queue(pid: Pid, signal: Signal, code: i32) -> Result<()> {
    let info = QueuedInfo { signo: signal.as_raw(), errno: 0, code, pad: 0, rest: [0; 14] };
    let pid = pid.as_raw_nonzero().get();
    // SAFETY: the kernel reads the 128 bytes of `info`, which lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigqueueinfo, pid, signal.as_raw(), &raw const info) };
    if result < 0 {
        return Err(std::io::Error::last_os_error())
            .with_context(|| format!("cannot queue a signal to {pid}"));
    }
    Ok(())
}
