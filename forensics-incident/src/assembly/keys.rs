//! Keys of processes that came by different roads.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use crate::model::ProcessKey;

/// All keys of one pid.
fn of_pid(pid: u32) -> RangeInclusive<ProcessKey> {
    ProcessKey { pid, start_boot_ns: 0 }..=ProcessKey { pid, start_boot_ns: u64::MAX }
}

/// The key under which `map` holds the process that `key` names.
pub(super) fn resolve<V>(map: &BTreeMap<ProcessKey, V>, key: ProcessKey) -> Option<ProcessKey> {
    if map.contains_key(&key) {
        return Some(key);
    }
    map.range(of_pid(key.pid)).map(|(&held, _)| held).rev().find(|&held| held.is(key))
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
        self.keys.contains(&key) || self.keys.range(of_pid(key.pid)).any(|&held| held.is(key))
    }

    /// Forgets a process: it is of that kind no more.
    pub(super) fn remove(&mut self, key: ProcessKey) {
        let held = self.keys.range(of_pid(key.pid)).copied().filter(|&held| held.is(key));
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
