//! A cgroup's own files: `mm/memcontrol.c`, `mm/memcontrol-v1.c`, `kernel/sched/core.c`.

use std::path::{Path, PathBuf};

use forensics_incident::model::{CgroupReading, MemoryEvents, MemoryLimit, Stalls, Throttling};

use super::{Extent, Hierarchies, Place, counter, is_empty, psi, text};

/// How many cgroups above one are asked for their limits.
const MAX_DEPTH: usize = 32;
/// What version 1 shows as the limit where there is none: `PAGE_COUNTER_MAX` pages, just below 2^63 bytes.
const UNLIMITED: u64 = 1 << 62;

/// Reads what the cgroups of a place say. None when they say nothing, or are gone.
pub(super) fn read(hierarchies: &Hierarchies, place: &Place, extent: Extent) -> Option<CgroupReading> {
    let unified = below(hierarchies.unified.as_deref(), place.unified.as_deref());
    let old_memory = below(hierarchies.memory.as_deref(), place.memory.as_deref());
    let old_cpu = below(hierarchies.cpu.as_deref(), place.cpu.as_deref());
    let mut reading = CgroupReading {
        path: place.memory.as_ref().or(place.unified.as_ref()).or(place.cpu.as_ref())?.clone(),
        ..CgroupReading::default()
    };
    reading.memory_events = match (&old_memory, &unified) {
        (Some(cgroup), _) => old_events(cgroup),
        (None, Some(cgroup)) => events(cgroup),
        (None, None) => None,
    };
    reading.throttling = match (&old_cpu, &unified) {
        (Some(cgroup), _) => throttling(cgroup, "throttled_time", 1000),
        (None, Some(cgroup)) => throttling(cgroup, "throttled_usec", 1),
        (None, None) => None,
    };
    if extent == Extent::Whole {
        reading.stalls = unified.as_deref().map(stalls).unwrap_or_default();
        let memory = match (&hierarchies.memory, &place.memory, &hierarchies.unified, &place.unified) {
            (Some(root), Some(path), ..) => {
                Some((root, path, "memory.usage_in_bytes", "memory.limit_in_bytes"))
            }
            (_, _, Some(root), Some(path)) => Some((root, path, "memory.current", "memory.max")),
            _ => None,
        };
        if let Some((root, path, current, max)) = memory {
            reading.memory_current = number(&root.join(relative(path)).join(current));
            reading.memory_limits = limits(root, path, current, max);
        }
    }
    (!is_empty(&reading)).then_some(reading)
}

/// The directory of a cgroup.
fn below(root: Option<&Path>, path: Option<&str>) -> Option<PathBuf> {
    Some(root?.join(relative(path?)))
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// Since 5.2 the kernel keeps stalls of cgroups, in the unified hierarchy only.
fn stalls(cgroup: &Path) -> Stalls {
    let stall = |file| psi::read(&cgroup.join(file));
    Stalls { cpu: stall("cpu.pressure"), memory: stall("memory.pressure"), io: stall("io.pressure") }
}

/// The limits of a cgroup and of those above it; those that have none are left out.
fn limits(root: &Path, path: &str, current: &str, max: &str) -> Vec<MemoryLimit> {
    let up = std::iter::successors(Some(path), |path| {
        path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty())
    });
    let limit = |path: &str| {
        let directory = root.join(relative(path));
        // `max` is no number.
        let max = number(&directory.join(max)).filter(|&max| max < UNLIMITED)?;
        Some(MemoryLimit { cgroup: path.to_owned(), current: number(&directory.join(current))?, max })
    };
    up.take(MAX_DEPTH).filter_map(limit).collect()
}

fn events(cgroup: &Path) -> Option<MemoryEvents> {
    let text = text(&cgroup.join("memory.events"))?;
    let count = |key| counter(&text, key);
    let (high, max, oom, oom_kill) = (count("high"), count("max"), count("oom"), count("oom_kill"));
    Some(MemoryEvents { high, max, oom, oom_kill })
}

/// Version 1 counts those of the cgroup alone; `oom_kill` stands there since 4.13.
fn old_events(cgroup: &Path) -> Option<MemoryEvents> {
    let max = number(&cgroup.join("memory.failcnt"));
    let oom_kill = text(&cgroup.join("memory.oom_control")).and_then(|text| counter(&text, "oom_kill"));
    (max.is_some() || oom_kill.is_some()).then(|| MemoryEvents { max, oom_kill, ..MemoryEvents::default() })
}

/// Without a quota the kernel counts no periods, in the unified hierarchy not even zero of them without the controller.
fn throttling(cgroup: &Path, time: &str, per_microsecond: u64) -> Option<Throttling> {
    let text = text(&cgroup.join("cpu.stat"))?;
    let count = |key| counter(&text, key);
    Some(Throttling {
        periods: count("nr_periods")?,
        throttled: count("nr_throttled")?,
        throttled_us: count(time)? / per_microsecond,
    })
}

fn number(path: &Path) -> Option<u64> {
    text(path)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A directory that is removed with the value.
    struct Directory(PathBuf);

    impl Directory {
        fn with(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("forensics-pressure-{}-{name}", std::process::id()));
            for (file, text) in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
                fs::write(path, text).expect("a file");
            }
            Self(root)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn unified() {
        let files = [
            ("a/memory.max", "104857600\n"),
            ("a/memory.current", "90000000\n"),
            ("a/b/memory.max", "max\n"),
            ("a/b/memory.current", "50000000\n"),
            ("a/b/memory.events", "low 0\nhigh 1\nmax 22\noom 3\noom_kill 2\noom_group_kill 0\n"),
            ("a/b/cpu.stat", "usage_usec 9\nnr_periods 40\nnr_throttled 30\nthrottled_usec 2500000\n"),
            ("a/b/memory.pressure", "some avg10=12.50 avg60=0.00 avg300=0.00 total=9\n"),
        ];
        let directory = Directory::with("v2", &files);
        let hierarchies = Hierarchies { unified: Some(directory.0.clone()), ..Hierarchies::default() };
        let place = Place { unified: Some("/a/b".to_owned()), ..Place::default() };
        let reading = read(&hierarchies, &place, Extent::Whole).unwrap();
        assert_eq!((reading.path.as_str(), reading.memory_current), ("/a/b", Some(50_000_000)));
        let above = MemoryLimit { cgroup: "/a".to_owned(), current: 90_000_000, max: 104_857_600 };
        assert_eq!(reading.memory_limits, [above], "the one without a limit is left out");
        let events = MemoryEvents { high: Some(1), max: Some(22), oom: Some(3), oom_kill: Some(2) };
        assert_eq!(reading.memory_events, Some(events));
        let throttling = Throttling { periods: 40, throttled: 30, throttled_us: 2_500_000 };
        assert_eq!(reading.throttling, Some(throttling));
        assert_eq!(reading.stalls.memory.map(|stall| stall.some_avg10), Some(12.5));
        let counters = read(&hierarchies, &place, Extent::Counters).unwrap();
        assert_eq!((counters.memory_events, counters.memory_limits.len()), (Some(events), 0));
    }

    #[test]
    fn version_1() {
        let files = [
            ("memory/m/memory.limit_in_bytes", "33554432\n"),
            ("memory/m/memory.usage_in_bytes", "33550000\n"),
            ("memory/m/memory.failcnt", "43\n"),
            ("memory/m/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ("cpu/c/cpu.stat", "nr_periods 4\nnr_throttled 3\nthrottled_time 250000000\n"),
        ];
        let directory = Directory::with("v1", &files);
        let (memory, cpu) = (Some(directory.0.join("memory")), Some(directory.0.join("cpu")));
        let hierarchies = Hierarchies { unified: None, memory, cpu };
        let place = Place { unified: None, memory: Some("/m".to_owned()), cpu: Some("/c".to_owned()) };
        let reading = read(&hierarchies, &place, Extent::Whole).unwrap();
        assert_eq!(reading.memory_limits.len(), 1);
        let events = MemoryEvents { max: Some(43), oom_kill: Some(1), ..MemoryEvents::default() };
        assert_eq!(reading.memory_events, Some(events));
        assert_eq!(reading.throttling.map(|throttling| throttling.throttled_us), Some(250_000));
        fs::write(directory.0.join("memory/m/memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(read(&hierarchies, &place, Extent::Whole).unwrap().memory_limits, []);
    }

    #[test]
    fn a_cgroup_that_is_gone_says_nothing() {
        let hierarchies =
            Hierarchies { unified: Some(PathBuf::from("/nonexistent")), ..Hierarchies::default() };
        let place = Place { unified: Some("/a".to_owned()), ..Place::default() };
        assert_eq!(read(&hierarchies, &place, Extent::Whole), None);
    }
}
