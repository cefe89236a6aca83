use serde::{Deserialize, Serialize};

/// How short of processor time, memory and I/O the host and the target's cgroup were.
///
/// Nothing is watched for this: it is read when a process becomes a target, when it is first asked to end, and when
/// its incident closes. Counters are the kernel's own, so what happened in between is the difference of two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// Counters from before: when it became a target, or at most 10 s earlier for another target of its cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Reading>,
    /// When it was first asked to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Reading>,
    /// When the incident closed. Its cgroup may be gone by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Reading>,
}

/// What was read at one moment. What the kernel does not offer is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Unix time, seconds.
    pub ts: f64,
    /// Stalls of the whole host (`/proc/pressure`).
    #[serde(default, skip_serializing_if = "Stalls::is_empty")]
    pub host: Stalls,
    /// Processes that the kernel's out-of-memory killer has ended since boot (`oom_kill` of `/proc/vmstat`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// The target's cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupReading>,
}

/// Pressure stall information, see Documentation/accounting/psi.rst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stalls {
    /// Waiting for a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Stall>,
    /// Waiting for memory to be reclaimed or read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Stall>,
    /// Waiting for I/O.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<Stall>,
}

impl Stalls {
    /// True when nothing of it could be read.
    pub fn is_empty(&self) -> bool {
        let Self { cpu, memory, io } = self;
        cpu.is_none() && memory.is_none() && io.is_none()
    }
}

/// How much time was lost for want of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// Share of the last 10 s in which at least one task waited, percent.
    pub some_avg10: f64,
    /// All such time so far, microseconds.
    pub some_total_us: u64,
    /// Share of the last 10 s in which nobody could work, percent. Older kernels do not tell it of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_avg10: Option<f64>,
    /// All such time so far, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_total_us: Option<u64>,
}

/// What the target's cgroup says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CgroupReading {
    /// Its path in the hierarchy of the memory controller.
    pub path: String,
    /// Stalls of its processes.
    #[serde(default, skip_serializing_if = "Stalls::is_empty")]
    pub stalls: Stalls,
    /// Memory that it and the cgroups below it use, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_current: Option<u64>,
    /// The limits on its memory, its own first, then those of the cgroups above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memory_limits: Vec<MemoryLimit>,
    /// How often its memory was short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_events: Option<MemoryEvents>,
    /// How it was held up by its share of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttling: Option<Throttling>,
}

/// A limit on the memory of a cgroup, and of those below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLimit {
    /// Whose limit.
    pub cgroup: String,
    /// What that one uses, bytes.
    pub current: u64,
    /// What it may use, bytes (`memory.max`, `memory.limit_in_bytes`).
    pub max: u64,
}

/// Counts of a cgroup and those below it (`memory.events`; version 1 has `memory.failcnt` and `memory.oom_control`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEvents {
    /// It was held back for going over `memory.high`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<u64>,
    /// It ran into its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Its limit could not be kept by reclaiming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<u64>,
    /// Processes of it that the kernel's out-of-memory killer ended, whatever memory had run out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kill: Option<u64>,
}

/// Counts of `cpu.stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttling {
    /// Periods in which it ran.
    pub periods: u64,
    /// Periods in which it had to stop, its quota being used up.
    pub throttled: u64,
    /// How long its processors stood still for that, microseconds, added up over all of them.
    pub throttled_us: u64,
}

impl Pressure {
    /// The last reading with the target's cgroup in it, else the last of all.
    pub fn last(&self) -> Option<&Reading> {
        let latest_first = || [&self.end, &self.request, &self.before].into_iter().flatten();
        latest_first().find(|reading| reading.cgroup.is_some()).or_else(|| latest_first().next())
    }

    /// How much a counter grew from before to the last reading that has it, and the Unix time of the first of the two.
    /// None when it was not read twice.
    pub fn growth(&self, counter: impl Fn(&Reading) -> Option<u64>) -> Option<(u64, f64)> {
        let before = self.before.as_ref()?;
        let later = [&self.end, &self.request].into_iter().flatten().find_map(&counter)?;
        Some((later.checked_sub(counter(before)?)?, before.ts))
    }

    /// How much a counter grew from the request to the end, when it was read at both.
    pub fn growth_since_request(&self, counter: impl Fn(&Reading) -> Option<u64>) -> Option<u64> {
        counter(self.end.as_ref()?)?.checked_sub(counter(self.request.as_ref()?)?)
    }

    /// Out-of-memory kills on this host since the first reading, and its Unix time.
    pub fn oom_kills(&self) -> Option<(u64, f64)> {
        self.growth(|reading| reading.oom_kills)
    }

    /// Out-of-memory kills in the target's cgroup since the first reading, and its Unix time.
    pub fn oom_kills_in_cgroup(&self) -> Option<(u64, f64)> {
        // It may have been moved in between.
        let path = &self.last()?.cgroup.as_ref()?.path;
        let same =
            |reading: &Reading| reading.cgroup.as_ref().filter(|cgroup| cgroup.path == *path)?.memory_events;
        self.growth(|reading| same(reading)?.oom_kill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(ts: f64, oom_kills: Option<u64>, in_cgroup: Option<u64>) -> Reading {
        let cgroup = in_cgroup.map(|count| CgroupReading {
            memory_events: Some(MemoryEvents { oom_kill: Some(count), ..MemoryEvents::default() }),
            ..CgroupReading::default()
        });
        Reading { ts, oom_kills, cgroup, ..Reading::default() }
    }

    #[test]
    fn growth_is_counted_to_the_last_reading_that_has_it() {
        let gone = Pressure {
            before: Some(reading(1.0, Some(5), Some(1))),
            request: Some(reading(9.0, Some(5), Some(3))),
            end: Some(reading(10.0, Some(7), None)),
        };
        assert_eq!(gone.oom_kills(), Some((2, 1.0)));
        assert_eq!(gone.oom_kills_in_cgroup(), Some((2, 1.0)), "its cgroup was gone at the end");
        assert_eq!(gone.growth_since_request(|reading| reading.oom_kills), Some(2));
        assert_eq!(gone.last().map(|reading| reading.ts), Some(9.0));
    }

    #[test]
    fn what_was_not_read_twice_did_not_grow_nor_stand_still() {
        let end = Some(reading(10.0, Some(7), Some(1)));
        let unknown = Pressure { before: Some(reading(1.0, None, None)), request: None, end: end.clone() };
        assert_eq!((unknown.oom_kills(), unknown.oom_kills_in_cgroup()), (None, None));
        // A cgroup that was made anew counts from zero.
        let anew = Pressure { before: Some(reading(1.0, Some(9), Some(4))), request: None, end };
        assert_eq!((anew.oom_kills(), anew.oom_kills_in_cgroup()), (None, None));
    }
}
