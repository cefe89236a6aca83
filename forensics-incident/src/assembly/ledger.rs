//! The signals of one target: identical ones folded, every one accounted for, memory bounded.

use crate::model::{Missing, Signal};
use crate::signals::requests_termination;

use super::{Fold, SignalRecord};

/// Distinct signals that are kept per target.
pub(super) const MAX_SIGNALS: usize = 256;
/// The first so many of them are never given up for later ones.
const KEEP_FIRST: usize = MAX_SIGNALS / 2;

/// A signal that stands in the ledger.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    fold_id: u64,
    pub(super) signal: Signal,
    /// Field names relative to the signal.
    pub(super) missing: Vec<Missing>,
    /// The group of the act that it belongs to.
    pub(super) group_id: Option<String>,
}

/// The signals of one target, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
    given_up: u64,
}

impl Ledger {
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn signals(&self) -> impl Iterator<Item = &Signal> {
        self.entries.iter().map(|entry| &entry.signal)
    }

    /// Enters a record; an identical signal that stands here already takes it in.
    pub(super) fn record(&mut self, record: SignalRecord) {
        let SignalRecord { target: _, fold_id, folded_before, signal, missing } = record;
        let known = self.entries.iter_mut().find(|entry| entry.fold_id == fold_id);
        if let Some(Entry { signal: first, .. }) = known {
            repeat(first, folded_before.saturating_add(1), signal.boot_ns);
            return;
        }
        if self.entries.len() >= MAX_SIGNALS {
            self.give_up_one();
        }
        let signal = Signal { repeated: folded_before, ..signal };
        self.entries.push(Entry { fold_id, signal, missing, group_id: None });
    }

    /// Enters the kernel's final counts. A count whose first record never arrived stays unaccounted for:
    /// nobody knows what those signals were.
    pub(super) fn fold(&mut self, folds: &[Fold]) {
        for fold in folds.iter().filter(|fold| fold.count > 0) {
            if let Some(entry) = self.entries.iter_mut().find(|entry| entry.fold_id == fold.fold_id) {
                repeat(&mut entry.signal, fold.count, fold.last_boot_ns);
            }
        }
    }

    /// Names the group of the act that `fold_id` belongs to, unless it has one.
    pub(super) fn group(&mut self, fold_id: u64, group_id: &str) {
        let entry = self.entries.iter_mut().find(|entry| entry.fold_id == fold_id);
        if let Some(Entry { group_id: none @ None, .. }) = entry {
            *none = Some(group_id.to_owned());
        }
    }

    /// Signals that are missing here, of `seen` that the kernel counted.
    pub(super) fn lost(&self, seen: Option<u64>) -> u64 {
        let standing = self.signals().map(|signal| signal.repeated.saturating_add(1));
        let standing = standing.fold(0u64, u64::saturating_add);
        seen.map_or(0, |seen| seen.saturating_sub(standing)).max(self.given_up)
    }

    /// Gives up the oldest of the later signals, a request to end last of all.
    fn give_up_one(&mut self) {
        let later = self.entries.iter().enumerate().skip(KEEP_FIRST);
        let plain = later.clone().find(|(_, entry)| !requests_termination(entry.signal.signal_num));
        if let Some(index) = plain.or_else(|| later.clone().next()).map(|(index, _)| index) {
            let given_up = self.entries.remove(index).signal.repeated.saturating_add(1);
            self.given_up = self.given_up.saturating_add(given_up);
        }
    }
}

/// Takes `count` identical signals into `signal`, the last of them at `last_boot_ns`.
fn repeat(signal: &mut Signal, count: u64, last_boot_ns: u64) {
    signal.repeated = signal.repeated.saturating_add(count);
    signal.last_boot_ns = Some(signal.last_ns().max(last_boot_ns));
}
