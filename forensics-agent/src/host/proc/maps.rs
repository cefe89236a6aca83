//! What is mapped at an address of a process: `/proc/PID/maps`, see proc_pid_maps(5).

use std::time::Duration;

use forensics_incident::model::CodeLocation;

use super::{ProcDir, Stat, same_start};
use crate::host::deadline::run_within;

/// More than a process with some ten thousand mappings has.
const CAP: usize = 4 << 20;
/// More than `/proc/PID/stat` ever holds.
const STAT_CAP: usize = 4096;
/// How long a process with a fault may keep us waiting: somebody else of it may hold the lock of its memory.
const DEADLINE: Duration = Duration::from_millis(50);

/// What is mapped at `address` of a process, if that is still the one that started then (`CLOCK_BOOTTIME`
/// nanoseconds). None when it has let go of its memory already, as it does soon after a fault that is not caught, when
/// nothing is mapped there, or when it does not answer in time.
pub fn location(pid: u32, start_boot_ns: u64, address: u64) -> Option<CodeLocation> {
    run_within(DEADLINE, move || {
        let dir = ProcDir::open(pid).ok()?;
        let mut buffer = Vec::new();
        dir.read(c"maps", &mut buffer, CAP).ok()?;
        let found = find(&buffer, address)?;
        // By the same descriptor: a process that took its pid would not answer to it.
        dir.read(c"stat", &mut buffer, STAT_CAP).ok()?;
        Stat::parse(&buffer).is_some_and(|stat| same_start(start_boot_ns, stat.start_ticks)).then_some(found)
    })
    .ok()
    .flatten()
}

/// The line `55d0c0000000-55d0c0001000 r-xp 00001000 fd:00 1234    /usr/bin/x` that holds the address.
fn find(maps: &[u8], address: u64) -> Option<CodeLocation> {
    maps.split(|&byte| byte == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        if !(start..end).contains(&address) {
            return None;
        }
        let mut columns = rest.splitn(5, ' ');
        let from = hex(columns.nth(1)?)?;
        let name = columns.nth(2).unwrap_or_default().trim_start();
        Some(if name.starts_with('/') {
            let offset = (address - start).checked_add(from);
            CodeLocation { file: Some(name.to_owned()), offset, memory: None }
        } else {
            let memory = if name.is_empty() { "memory of no file" } else { name };
            CodeLocation { file: None, offset: None, memory: Some(memory.to_owned()) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0001000 r--p 00000000 fd:00 1234                       /usr/bin/a b (deleted)
55d0c0001000-55d0c0003000 r-xp 00001000 fd:00 1234                       /usr/bin/a b (deleted)
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
";

    #[test]
    fn the_mapping_that_holds_the_address() {
        let at = |address| find(MAPS.as_bytes(), address);
        let file = Some("/usr/bin/a b (deleted)".to_owned());
        let found = CodeLocation { file, offset: Some(0x1234), memory: None };
        assert_eq!(at(0x55d0_c000_1234), Some(found));
        assert_eq!(at(0x55d0_c000_3000), None, "the end is not part of it");
        let memory = |address| at(address).and_then(|location| location.memory);
        assert_eq!(memory(0x7f00_0000_0010).as_deref(), Some("memory of no file"));
        assert_eq!(memory(0x7ffc_0000_0000).as_deref(), Some("[stack]"));
        for junk in ["", "x", "1-2", "0-9 r", "0-9 r zz", "zz-9 r 0"] {
            assert_eq!(find(junk.as_bytes(), 1), None, "{junk}");
        }
    }

    #[test]
    fn of_this_process() {
        let own = std::process::id();
        let address = the_mapping_that_holds_the_address as *const () as u64;
        let start = super::super::read_process_alone(own).unwrap().start_boot_ns;
        let found = location(own, start, address).unwrap();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(found.file.as_deref(), exe.to_str());
        assert_eq!(location(own, start + 2_000_000_000, address), None, "another process with this pid");
    }
}
