//! Lines about processor exceptions that nobody handled: `show_signal_msg()` in `arch/x86/mm/fault.c`, `show_signal()`
//! in `arch/x86/kernel/traps.c`, with `print_vma_addr()` of `mm/memory.c`. They stand in the log before the signal is
//! raised, at most ten in five seconds, and not at all where `debug.exception-trace` is 0.

use std::collections::VecDeque;

use forensics_incident::model::CodeLocation;

use super::keep;

/// The lines that nobody has asked for yet, by thread.
#[derive(Debug, Default)]
pub(super) struct FaultReports(VecDeque<(u32, CodeLocation)>);

impl FaultReports {
    /// Where the last exception of a thread was.
    pub(super) fn take(&mut self, tid: u32) -> Option<CodeLocation> {
        let at = self.0.iter().rposition(|(subject, _)| *subject == tid)?;
        self.0.remove(at).map(|(_, location)| location)
    }

    /// Takes in a line of the log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((tid, location)) = segfault(line).or_else(|| trap(line)) {
            keep(&mut self.0, (tid, location));
        }
    }
}

/// `nginx[812]: segfault at 8 ip 00007f1c2e83 sp 00007ffd7 error 6 in libc.so.6[28e83,7f1c0000+195000] likely on CPU 0`
fn segfault(line: &str) -> Option<(u32, CodeLocation)> {
    let (who, rest) = line.split_once("]: segfault at ")?;
    let (_, place) = rest.split_once(" in ")?;
    Some((thread(who)?, location(place)?))
}

/// `traps: nginx[812] trap divide error ip:55d0c1 sp:7ffd7 error:0 in nginx[1139,55d0c0+1000]`
fn trap(line: &str) -> Option<(u32, CodeLocation)> {
    let (who, rest) = line.strip_prefix("traps: ")?.split_once("] ")?;
    let (what, place) = rest.split_once(" in ")?;
    what.contains(" ip:").then_some(())?;
    Some((thread(who)?, location(place)?))
}

/// The digits behind the last bracket: the name before may hold brackets too.
fn thread(who: &str) -> Option<u32> {
    who.rsplit_once('[')?.1.parse().ok()
}

/// `libc.so.6[28e83,7f1c0000+195000]`; before 6.11 without the offset in the file.
fn location(place: &str) -> Option<CodeLocation> {
    let (file, range) = place.rsplit_once('[')?;
    let (range, _) = range.split_once(']')?;
    let offset = range.split_once(',').and_then(|(offset, _)| u64::from_str_radix(offset, 16).ok());
    Some(CodeLocation { file: Some(file.to_owned()), offset, memory: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str, tid: u32) -> Option<(String, Option<u64>)> {
        let mut reports = FaultReports::default();
        reports.line(line);
        reports.take(tid).map(|location| (location.file.unwrap_or_default(), location.offset))
    }

    #[test]
    fn lines_of_several_kernels() {
        for (line, file, offset) in [
            (
                "a[1] b[812]: segfault at 8 ip 00007f1c2e83 sp 00007ffd7 error 6 in libc.so.6[28e83,7f1c0000+195000] likely on CPU 0 (core 0, socket 0)",
                "libc.so.6",
                Some(0x28e83),
            ),
            (
                "nginx[812]: segfault at 0 ip 0000000 sp 00007ffd7 error 14 in nginx[55d0c0000000+1000]",
                "nginx",
                None,
            ),
            (
                "traps: python3[812] trap divide error ip:7f11 sp:7ffd7 error:0 in a [b][139,55d0c0+1000]",
                "a [b]",
                Some(0x139),
            ),
            (
                "traps: x[812] general protection fault ip:7f11 sp:7ffd7 error:0 in x[139,55d0c0+1000]",
                "x",
                Some(0x139),
            ),
        ] {
            assert_eq!(read(line, 812), Some((file.to_owned(), offset)), "{line}");
            assert_eq!(read(line, 1), None, "{line}");
        }
    }

    #[test]
    fn what_is_no_such_line() {
        for line in [
            "nginx[812]: segfault at 8 ip 00007f1c2e83 sp 00007ffd7 error 6 likely on CPU 0",
            "nginx[x]: segfault at 8 in y[1]",
            "]: segfault at [812]: segfault at 8 in y[1,2+3]",
            "traps: x[812] something in y[1,2+3]",
            "segfault",
        ] {
            assert_eq!(read(line, 812), None, "{line}");
        }
    }
}
