//! How short of processor time, memory and I/O the host and a cgroup are, at the moment of asking: pressure stall
//! information, limits and counters of cgroups of both versions. A reading opens a dozen files of the kernel's own and
//! takes some 100 µs; nothing here waits for a process.

mod cgroup;
mod place;
mod psi;

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    path::Path,
};

use forensics_incident::model::{CgroupReading, Reading, Stalls};

use super::clock;
pub use place::{Hierarchies, Place};

/// More than any of these files holds; `/proc/vmstat` has some 6 KiB.
const CAP: u64 = 64 << 10;

/// What a reading is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// To be compared with a later one: only what is counted.
    Counters,
    /// To be shown: all there is.
    Whole,
}

/// Reads the host and, when it is known, the cgroup of a process.
pub fn read(hierarchies: &Hierarchies, place: Option<&Place>, extent: Extent) -> Reading {
    Reading {
        ts: clock::unix_s(),
        host: if extent == Extent::Whole { host() } else { Stalls::default() },
        oom_kills: text(Path::new("/proc/vmstat")).and_then(|text| counter(&text, "oom_kill")),
        cgroup: place.and_then(|place| cgroup::read(hierarchies, place, extent)),
    }
}

/// The host's own stalls; nothing where the kernel does not keep them (`CONFIG_PSI`, `psi=0`).
fn host() -> Stalls {
    let stall = |resource: &str| psi::read(&Path::new("/proc/pressure").join(resource));
    Stalls { cpu: stall("cpu"), memory: stall("memory"), io: stall("io") }
}

/// A small file of the kernel's.
fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(CAP).read_to_string(&mut text));
    match read {
        Ok(_) => Some(text),
        Err(error) => {
            // Not every kernel, controller and moment has every file.
            if error.kind() != ErrorKind::NotFound {
                log::debug!("cannot read {}: {error}", path.display());
            }
            None
        }
    }
}

/// The number behind `key` in lines of `KEY VALUE`.
fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Nothing that is worth a record was read.
fn is_empty(reading: &CgroupReading) -> bool {
    let CgroupReading { path: _, stalls, memory_current, memory_limits, memory_events, throttling } = reading;
    stalls.is_empty()
        && memory_current.is_none()
        && memory_limits.is_empty()
        && memory_events.is_none()
        && throttling.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(counter(text, "oom_kill"), Some(3));
        assert_eq!(counter(text, "oom"), None);
        assert_eq!(counter("oom_kill x\n", "oom_kill"), None);
    }

    /// `oom_kill` stands in `/proc/vmstat` since 4.13.
    #[test]
    fn this_host_counts_its_kills() {
        let hierarchies = Hierarchies::find();
        let reading = read(&hierarchies, None, Extent::Counters);
        assert!(reading.oom_kills.is_some());
        assert!(reading.host.is_empty(), "only what is counted was asked for");
        let whole = read(&hierarchies, hierarchies.place_of(std::process::id()).as_ref(), Extent::Whole);
        assert_eq!(whole.host.is_empty(), !Path::new("/proc/pressure/cpu").exists());
    }
}
