//! Memory that is needed once, all at the same time: in huge pages, so that the kernel is asked for 2 MiB at a time instead of
//! 512 times for 4 KiB. In a virtual machine, where each first touch may reach the host, that is half of the time to start.
//!
//! It is done by means of glibc's heap; musl has none that can be told.

/// What is allocated while it lives comes in huge pages, where the kernel has them.
#[derive(Debug)]
pub(crate) struct HugePages {
    /// Part of the heap.
    #[cfg(target_env = "gnu")]
    range: std::ops::Range<usize>,
}

#[cfg(not(target_env = "gnu"))]
impl HugePages {
    /// Does nothing.
    pub(crate) fn for_next(_: usize) -> Self {
        Self {}
    }
}

/// Bytes of a huge page.
#[cfg(target_env = "gnu")]
const SIZE: usize = 2 << 20;
/// From which size on an allocation is a mapping of its own, and how much may be free at the end of the heap, until mallopt(3)
/// says otherwise.
#[cfg(target_env = "gnu")]
const DEFAULT_THRESHOLD: i32 = 128 << 10;
/// The largest that glibc takes for the first of them.
#[cfg(target_env = "gnu")]
const LARGEST_THRESHOLD: i32 = 32 << 20;

#[cfg(target_env = "gnu")]
impl HugePages {
    /// For the next so many bytes, less than 32 MiB.
    pub(crate) fn for_next(bytes: usize) -> Self {
        set_thresholds(LARGEST_THRESHOLD);
        // SAFETY: what is allocated is only looked at as an address, and freed: then it is the end of the heap, from where the
        // next allocations come.
        let start = unsafe {
            let start = libc::malloc(bytes);
            libc::free(start);
            start as usize
        };
        let range = match start {
            0 => 0..0,
            _ => start.next_multiple_of(SIZE)..(start + bytes) / SIZE * SIZE,
        };
        let huge_pages = Self { range };
        huge_pages.advise(rustix::mm::Advice::LinuxHugepage);
        huge_pages
    }

    fn advise(&self, advice: rustix::mm::Advice) {
        // Empty where there was no memory.
        if !self.range.is_empty() {
            let at = self.range.start as *mut _;
            // SAFETY: it changes how the kernel backs the heap and not what is in it.
            let _ = unsafe { rustix::mm::madvise(at, self.range.len(), advice) };
        }
    }
}

#[cfg(target_env = "gnu")]
impl Drop for HugePages {
    fn drop(&mut self) {
        // Otherwise the kernel would make huge again what is given back.
        self.advise(rustix::mm::Advice::LinuxNoHugepage);
        set_thresholds(DEFAULT_THRESHOLD);
    }
}

#[cfg(target_env = "gnu")]
fn set_thresholds(bytes: i32) {
    // SAFETY: takes no pointers.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
        libc::mallopt(libc::M_TRIM_THRESHOLD, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::HugePages;

    #[test]
    fn allocations_work_as_before() {
        let huge_pages = HugePages::for_next(8 << 20);
        let during: Vec<Vec<u8>> = (0..64).map(|number| vec![number; 100_000]).collect();
        drop(huge_pages);
        let after = vec![7_u8; 4 << 20];
        assert!(during.iter().zip(0..).all(|(bytes, number)| bytes.iter().all(|&byte| byte == number)));
        assert!(after.iter().all(|&byte| byte == 7));
    }
}
