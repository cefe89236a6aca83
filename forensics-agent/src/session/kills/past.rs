//! Targets that are gone: whose numbers may be meant by a signal that hits somebody else.

use std::collections::VecDeque;

use forensics_incident::model::{EarlierHolder, Process, ProcessKey};

/// Targets that are remembered, the last ones.
const MAX_PAST: usize = 256;

/// The targets that ended last.
#[derive(Default)]
pub(super) struct Past {
    /// Oldest first.
    ended: VecDeque<EarlierHolder>,
}

impl Past {
    /// Remembers a target that has ended.
    pub(super) fn add(&mut self, target: &Process, ended_boot_ns: u64) {
        if self.ended.len() == MAX_PAST {
            self.ended.pop_front();
        }
        let maker = target.parent().cloned().into_iter().collect();
        let process = Process { ancestors: maker, ..target.clone() };
        self.ended.push_back(EarlierHolder { process, ended_boot_ns: Some(ended_boot_ns) });
    }

    /// Those that had a number as pid or group before the process that has it now.
    pub(super) fn holders(&self, number: u32, now: ProcessKey) -> Vec<EarlierHolder> {
        let had_it = |process: &Process| process.pid == number || process.pgid == Some(number);
        let before = |ended: &&EarlierHolder| ended.ended_boot_ns.is_some_and(|at| at <= now.start_boot_ns);
        self.ended.iter().rev().filter(before).filter(|ended| had_it(&ended.process)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, pgid: u32, start_boot_ns: u64) -> Process {
        Process { pid, pgid: Some(pgid), start_boot_ns, ..Process::default() }
    }

    fn holders(past: &Past, number: u32, start_boot_ns: u64) -> Vec<u64> {
        let found = past.holders(number, ProcessKey { pid: number, start_boot_ns });
        found.iter().map(|earlier| earlier.process.start_boot_ns).collect()
    }

    #[test]
    fn who_had_a_number_before() {
        let mut past = Past::default();
        past.add(&process(7, 7, 100), 200);
        past.add(&process(8, 7, 110), 210);
        past.add(&process(7, 1, 300), 400);
        past.add(&process(9, 9, 120), 220);
        assert_eq!(holders(&past, 7, 500), [300, 110, 100], "the latest first, members of its group too");
        assert_eq!(holders(&past, 7, 250), [110, 100], "those that had ended by then");
        assert_eq!(holders(&past, 7, 150), [0; 0]);
        assert_eq!(holders(&past, 6, 500), [0; 0]);
    }

    #[test]
    fn only_the_last_ones_are_remembered() {
        let mut past = Past::default();
        for start in 0..=MAX_PAST as u64 {
            past.add(&process(7, 7, start), start);
        }
        let found = holders(&past, 7, u64::MAX);
        assert_eq!((found.len(), found.last()), (MAX_PAST, Some(&1)));
    }
}
