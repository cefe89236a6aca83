//! The pages that say of each process id whether it may be watched, shared with the kernel programs.

use std::{
    io,
    os::fd::AsFd as _,
    ptr::NonNull,
    sync::atomic::{AtomicU8, Ordering},
};

use aya::maps::Map;
use forensics_common::{WATCH_PAGE, watch_place};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Where the kernel publishes the largest process id that it gives out.
const PID_MAX: &str = "/proc/sys/kernel/pid_max";
/// `PID_MAX_LIMIT` of `include/linux/threads.h` on 64 bits.
const PID_MAX_LIMIT: u32 = 4 << 20;

/// Pages that this host needs, for all process ids up to `kernel.pid_max`.
pub fn needed() -> u32 {
    let text = std::fs::read_to_string(PID_MAX).unwrap_or_default();
    let pids = text.trim().parse::<u32>().unwrap_or(PID_MAX_LIMIT);
    pids.min(PID_MAX_LIMIT).div_ceil(WATCH_PAGE as u32)
}

/// The pages as this process sees them.
#[derive(Debug)]
pub struct WatchPages {
    at: NonNull<AtomicU8>,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and is only accessed atomically.
unsafe impl Send for WatchPages {}

impl WatchPages {
    /// Maps them.
    ///
    /// # Errors
    ///
    /// It is another kind of map, or the kernel does not share it (Linux 5.5).
    pub fn open(map: &Map) -> io::Result<Self> {
        let Map::Array(data) = map else {
            return Err(io::Error::other("it is not an array"));
        };
        let pages = data.info().map_err(io::Error::other)?.max_entries();
        let len = pages as usize * WATCH_PAGE;
        // SAFETY: a new mapping, which nothing else refers to.
        let at = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                data.fd().as_fd(),
                0,
            )
        }?;
        let at = NonNull::new(at.cast()).ok_or_else(|| io::Error::other("it was mapped at address 0"))?;
        Ok(Self { at, len })
    }

    /// Says whether a process may be watched. One beyond the pages always may.
    pub(super) fn mark(&mut self, pid: u32, watched: bool) {
        let (page, at) = watch_place(pid);
        let at = page as usize * WATCH_PAGE + at;
        if at < self.len {
            // SAFETY: within the mapping, which lives as long as this does.
            unsafe { self.at.add(at).as_ref() }.store(u8::from(watched), Ordering::Release);
        }
    }
}

impl Drop for WatchPages {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` made; nobody keeps a reference into it.
        let _ = unsafe { munmap(self.at.as_ptr().cast(), self.len) };
    }
}
