//! Keys of processes that came by different roads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use crate::model::ProcessKey;

/// `/proc/PID/stat` gives start times in `USER_HZ` ticks of 10 ms, rounded down (`fs/proc/array.c`,
/// `nsec_to_clock_t`), while kernel records carry nanoseconds.
const TICK_NS: u64 = 10_000_000;

/// True when both name one process. An unknown start matches on the pid alone, and a start in whole ticks
/// matches any start within its tick.
fn same(a: ProcessKey, b: ProcessKey) -> bool {
    let rounds_to = |tick: u64, exact: u64| tick.is_multiple_of(TICK_NS) && exact / TICK_NS == tick / TICK_NS;
    a.pid == b.pid
        && (a.start_boot_ns == b.start_boot_ns
            || a.start_boot_ns == 0
            || b.start_boot_ns == 0
            || rounds_to(a.start_boot_ns, b.start_boot_ns)
            || rounds_to(b.start_boot_ns, a.start_boot_ns))
}

/// All keys of one pid.
fn of_pid(pid: u32) -> RangeInclusive<ProcessKey> {
    ProcessKey { pid, start_boot_ns: 0 }..=ProcessKey { pid, start_boot_ns: u64::MAX }
}

/// The key under which `map` holds the process that `key` names.
pub(super) fn resolve<V>(map: &BTreeMap<ProcessKey, V>, key: ProcessKey) -> Option<ProcessKey> {
    if map.contains_key(&key) {
        return Some(key);
    }
    map.range(of_pid(key.pid)).map(|(&held, _)| held).rev().find(|&held| same(held, key))
}

/// The latest so many processes of some kind.
#[derive(Debug)]
pub(super) struct Recent {
    capacity: usize,
    order: VecDeque<ProcessKey>,
    keys: BTreeSet<ProcessKey>,
}

impl Recent {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, order: VecDeque::new(), keys: BTreeSet::new() }
    }

    pub(super) fn insert(&mut self, key: ProcessKey) {
        if !self.keys.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    pub(super) fn contains(&self, key: ProcessKey) -> bool {
        self.keys.contains(&key) || self.keys.range(of_pid(key.pid)).any(|&held| same(held, key))
    }

    /// Forgets a process: it is of that kind no more.
    pub(super) fn remove(&mut self, key: ProcessKey) {
        let held = self.keys.range(of_pid(key.pid)).copied().filter(|&held| same(held, key));
        for held in held.collect::<Vec<_>>() {
            self.keys.remove(&held);
            self.order.retain(|&other| other != held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32, start_boot_ns: u64) -> ProcessKey {
        ProcessKey { pid, start_boot_ns }
    }

    #[test]
    fn a_start_in_ticks_is_the_same_process() {
        assert!(same(key(7, 1_230_000_000), key(7, 1_237_654_321)));
        assert!(same(key(7, 0), key(7, 55)));
        assert!(!same(key(7, 1_230_000_000), key(7, 1_240_000_001)), "the next tick");
        assert!(!same(key(7, 1_230_000_001), key(7, 1_237_654_321)), "two exact starts");
        assert!(!same(key(7, 5), key(8, 5)));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut recent = Recent::new(2);
        for pid in 1..=3 {
            recent.insert(key(pid, 5));
        }
        assert!(!recent.contains(key(1, 5)));
        assert!(recent.contains(key(2, 5)) && recent.contains(key(3, 5)));
        recent.remove(key(2, 5));
        assert!(!recent.contains(key(2, 5)));
    }
}
