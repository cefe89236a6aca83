//! Keeping the resident memory small of a program that works hard once and then waits for months.
//!
//! glibc gives each thread an arena of its own and keeps what was freed; musl does neither, and has no such calls.

/// Makes all threads share one heap. To be called before the first thread starts.
pub(crate) fn share() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives what was freed back to the kernel.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointers; it only returns free pages.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives back the pages of code that only the start needed. They are the file's own, so that whatever is called again
/// comes back from the page cache, 64 KiB with each fault.
pub(crate) fn release_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, len) in maps.lines().filter_map(code_of_file) {
        // SAFETY: code is never written to, so that each page is as in the file, also while it is being run.
        let _ = unsafe { rustix::mm::madvise(start as *mut _, len, rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// Start and length of a mapping of `/proc/PID/maps` that is the code of a file.
fn code_of_file(line: &str) -> Option<(usize, usize)> {
    let (range, rest) = line.split_once(' ')?;
    let (flags, rest) = rest.split_once(' ')?;
    if flags != "r-xp" || !rest.contains(" /") {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    Some((start, usize::from_str_radix(end, 16).ok()?.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::code_of_file;

    #[test]
    fn only_code_of_files_is_given_back() {
        let code = "5580a000-5580c000 r-xp 00001000 fe:00 1234                  /usr/bin/forensics-agent";
        assert_eq!(code_of_file(code), Some((0x5580_a000, 0x2000)));
        for line in [
            "5580c000-5580d000 r--p 00003000 fe:00 1234                  /usr/bin/forensics-agent",
            "5580d000-5580e000 rw-p 00004000 fe:00 1234                  /usr/bin/forensics-agent",
            "7ffd0000-7ffd1000 r-xp 00000000 00:00 0                     [vdso]",
            "7ffd0000-7ffd1000 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(code_of_file(line), None, "{line}");
        }
    }

    #[test]
    fn code_that_was_given_back_still_runs() {
        super::release_code();
        let maps = std::fs::read_to_string("/proc/self/maps").expect("it was read a moment ago");
        assert!(maps.lines().filter_map(code_of_file).count() > 1, "the program and its libraries: {maps}");
    }
}
