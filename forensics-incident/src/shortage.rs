//! What of the readings of pressure a person should see: that something was short, and nothing when all was well.

use crate::model::{MemoryLimit, Pressure, Reading, Stall, Stalls, Throttling};
use crate::text::{size, span};

/// A cgroup this near to its limit is told, as a part of it. File caches fill what is left, so less means nothing.
const NEAR_LIMIT: f64 = 0.95;
/// Part of its periods in which a cgroup had to wait for its quota.
const THROTTLED: f64 = 0.25;
/// Percent of the last 10 s in which some task waited for a processor: two thirds and more on every busy host.
const CPU_SOME: f64 = 80.0;
/// The same for memory; systemd-oomd kills at 60 (oomd.conf(5)).
const MEMORY_SOME: f64 = 40.0;
/// Percent of the last 10 s in which nobody could work for want of memory.
const MEMORY_FULL: f64 = 10.0;
/// The same for I/O.
const IO_FULL: f64 = 40.0;
/// An out-of-memory kill so long ago, seconds, is no news.
const RECENT_S: f64 = 3600.0;
/// More than these are not told.
const MOST: usize = 3;

/// What was short around the end, in one line; none when nothing was. Paths in it are foreign, and are not escaped.
pub fn shortage(pressure: &Pressure) -> Option<String> {
    let said = [kills(pressure), near_limit(pressure), throttled(pressure), stalled(pressure)];
    let said = said.into_iter().flatten().take(MOST).collect::<Vec<_>>();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Out-of-memory kills, of its cgroup where that was counted.
fn kills(pressure: &Pressure) -> Option<String> {
    let in_cgroup = pressure.oom_kills_in_cgroup().map(|grown| (grown, "in its cgroup"));
    let ((count, since), place) =
        in_cgroup.or_else(|| pressure.oom_kills().map(|grown| (grown, "on this host")))?;
    let within = pressure.end.as_ref()?.ts - since;
    (count > 0 && within <= RECENT_S).then(|| {
        let kills = if count == 1 {
            "1 out-of-memory kill".to_owned()
        } else {
            format!("{count} out-of-memory kills")
        };
        format!("{kills} {place} in the last {}", span(within))
    })
}

/// The limit that was nearest.
fn near_limit(pressure: &Pressure) -> Option<String> {
    let used = |limit: &MemoryLimit| limit.current as f64 / limit.max.max(1) as f64;
    let limits = &pressure.last()?.cgroup.as_ref()?.memory_limits;
    let nearest = limits.iter().max_by(|a, b| used(a).total_cmp(&used(b)))?;
    (used(nearest) >= NEAR_LIMIT).then(|| {
        let MemoryLimit { cgroup, current, max } = nearest;
        format!("{cgroup} used {} of the {} of memory that it may use", size(*current), size(*max))
    })
}

/// Waits for the quota of the processor: since the request, where there was one, since the first reading otherwise.
fn throttled(pressure: &Pressure) -> Option<String> {
    let of = |reading: &Reading| reading.cgroup.as_ref()?.throttling;
    let Throttling { periods, throttled, throttled_us } = throttling(pressure)?;
    let since = match pressure.request.as_ref().and_then(of).and(pressure.end.as_ref().and_then(of)) {
        Some(_) => "since it was asked to end",
        None => "while it was watched",
    };
    (periods > 0 && throttled as f64 >= THROTTLED * periods as f64).then(|| {
        let time = span(throttled_us as f64 / 1e6);
        format!("its processor quota (CPUQuota=) was used up in {throttled} of {periods} periods {since}, {time} in all")
    })
}

/// Growth of the three counters between the two readings that are nearest to the end.
fn throttling(pressure: &Pressure) -> Option<Throttling> {
    // It may have been moved in between.
    let path = &pressure.last()?.cgroup.as_ref()?.path;
    let of = |reading: &Option<Reading>| {
        reading.as_ref()?.cgroup.as_ref().filter(|cgroup| cgroup.path == *path)?.throttling
    };
    let (before, request, end) = (of(&pressure.before), of(&pressure.request), of(&pressure.end));
    let (from, to) = match (before, request, end) {
        (_, Some(request), Some(end)) => (request, end),
        (Some(before), None, Some(end)) => (before, end),
        (Some(before), Some(request), None) => (before, request),
        _ => return None,
    };
    Some(Throttling {
        periods: to.periods.checked_sub(from.periods)?,
        throttled: to.throttled.checked_sub(from.throttled)?,
        throttled_us: to.throttled_us.checked_sub(from.throttled_us)?,
    })
}

/// The worst of the stalls: of its cgroup, else of the host.
fn stalled(pressure: &Pressure) -> Option<String> {
    let reading = pressure.last()?;
    let cgroup = reading.cgroup.as_ref().and_then(|cgroup| worst(&cgroup.stalls));
    let host = || pressure.end.as_ref().or(Some(reading)).and_then(|reading| worst(&reading.host));
    let whose = |who: &str, (what, percent): (&str, f64)| {
        format!("{who} {what} for {percent:.0} % of the 10 s before")
    };
    cgroup
        .map(|stall| whose("its cgroup", stall))
        .or_else(|| host().map(|stall| whose("the whole host", stall)))
}

fn worst(stalls: &Stalls) -> Option<(&'static str, f64)> {
    let Stalls { cpu, memory, io } = stalls;
    let some = |stall: &Option<Stall>, limit: f64| {
        stall.map(|stall| stall.some_avg10).filter(|&percent| percent >= limit)
    };
    let full = |stall: &Option<Stall>, limit: f64| {
        stall.and_then(|stall| stall.full_avg10).filter(|&percent| percent >= limit)
    };
    let stands_still = full(memory, MEMORY_FULL).map(|percent| ("stood still for want of memory", percent));
    stands_still
        .or_else(|| some(memory, MEMORY_SOME).map(|percent| ("was slowed by want of memory", percent)))
        .or_else(|| full(io, IO_FULL).map(|percent| ("stood still, waiting for I/O,", percent)))
        .or_else(|| some(cpu, CPU_SOME).map(|percent| ("had more work than processors", percent)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CgroupReading, MemoryEvents};

    fn reading(ts: f64, cgroup: CgroupReading) -> Option<Reading> {
        Some(Reading { ts, oom_kills: Some(4), cgroup: Some(cgroup), ..Reading::default() })
    }

    fn kills(oom_kill: u64) -> CgroupReading {
        CgroupReading {
            path: "/web".to_owned(),
            memory_events: Some(MemoryEvents { oom_kill: Some(oom_kill), ..MemoryEvents::default() }),
            ..CgroupReading::default()
        }
    }

    fn throttled(periods: u64, throttled: u64) -> CgroupReading {
        let throttling = Some(Throttling { periods, throttled, throttled_us: throttled * 50_000 });
        CgroupReading { throttling, ..CgroupReading::default() }
    }

    fn limited(current: u64) -> CgroupReading {
        let limit = |cgroup: &str, max| MemoryLimit { cgroup: cgroup.to_owned(), current, max };
        let memory_limits = vec![limit("/web", 1 << 30), limit("/", 1 << 40)];
        CgroupReading { memory_limits, ..CgroupReading::default() }
    }

    fn stalled(cpu: f64, memory: f64) -> CgroupReading {
        let stall = |some_avg10| Some(Stall { some_avg10, ..Stall::default() });
        let stalls = Stalls { cpu: stall(cpu), memory: stall(memory), io: None };
        CgroupReading { stalls, ..CgroupReading::default() }
    }

    #[test]
    fn what_was_short() {
        for (before, end, said) in [
            (kills(1), kills(2), Some("1 out-of-memory kill in its cgroup in the last 9 s")),
            (kills(0), kills(2), Some("2 out-of-memory kills in its cgroup in the last 9 s")),
            (kills(2), kills(2), None),
            (
                limited(0),
                limited(1023 << 20),
                Some("/web used 1023 MiB of the 1 GiB of memory that it may use"),
            ),
            (limited(0), limited(900 << 20), None),
            (
                throttled(10, 10),
                throttled(50, 40),
                Some(
                    "its processor quota (CPUQuota=) was used up in 30 of 40 periods while it was watched, 1.5 s in all",
                ),
            ),
            (throttled(10, 10), throttled(50, 11), None),
            (throttled(10, 10), throttled(10, 10), None),
            (
                stalled(0.0, 0.0),
                stalled(99.0, 45.4),
                Some("its cgroup was slowed by want of memory for 45 % of the 10 s before"),
            ),
            (
                stalled(0.0, 0.0),
                stalled(99.0, 1.0),
                Some("its cgroup had more work than processors for 99 % of the 10 s before"),
            ),
            (stalled(99.0, 99.0), stalled(62.0, 1.0), None),
        ] {
            let pressure = Pressure { before: reading(1.0, before), request: None, end: reading(10.0, end) };
            assert_eq!(shortage(&pressure).as_deref(), said);
        }
    }

    #[test]
    fn since_the_request() {
        let pressure = Pressure {
            before: reading(1.0, throttled(0, 0)),
            request: reading(2.0, throttled(100, 0)),
            end: reading(10.0, throttled(140, 39)),
        };
        let said = shortage(&pressure).unwrap_or_default();
        assert!(said.contains("39 of 40 periods since it was asked to end"), "{said}");
        let gone = Pressure { end: Some(Reading { ts: 10.0, ..Reading::default() }), ..pressure };
        assert_eq!(shortage(&gone), None, "what came before the request was no throttling");
    }

    #[test]
    fn a_host_stands_in_for_a_cgroup_that_is_gone() {
        let full = Stall { full_avg10: Some(30.0), ..Stall::default() };
        let host = Stalls { memory: Some(full), ..Stalls::default() };
        let end = Some(Reading { ts: 10.0, host, oom_kills: Some(6), ..Reading::default() });
        let before = Some(Reading { ts: 1.0, oom_kills: Some(5), ..Reading::default() });
        let said = shortage(&Pressure { before, request: None, end }).unwrap_or_default();
        assert_eq!(
            said,
            "1 out-of-memory kill on this host in the last 9 s; the whole host stood still for want of memory for 30 % of the 10 s before"
        );
    }

    #[test]
    fn nothing_is_said_of_what_was_not_read() {
        assert_eq!(shortage(&Pressure::default()), None);
        // Long ago: the agent has watched for two hours.
        let pressure =
            Pressure { before: reading(1.0, kills(0)), request: None, end: reading(7201.0, kills(1)) };
        assert_eq!(shortage(&pressure), None);
    }
}
