//! The signals of one target: identical ones folded, every one accounted for, memory bounded.

use crate::model::{Missing, Signal};
use crate::signals::requests_termination;

use super::{Fold, SignalRecord};

/// Distinct signals that are kept per target.
pub(super) const MAX_SIGNALS: usize = 256;
/// The first so many of them are never given up for later ones.
const KEEP_FIRST: usize = MAX_SIGNALS / 2;

/// Identical signals further apart than this belong to different acts: who was behind the first need not be behind the next. The
/// kernel programs report a flood once a second.
const ACT_NS: u64 = 3_000_000_000;

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

    /// Enters a record. An identical signal that stands here already takes it in, when both may be of one act. Of those of
    /// different acts the first and the last stand here, and the first counts what came between.
    pub(super) fn record(&mut self, record: SignalRecord) {
        let SignalRecord { target: _, fold_id, mut folded_before, signal, missing } = record;
        if let Some(entry) = self.last_mut(fold_id) {
            let last = &mut entry.signal;
            if signal.boot_ns.saturating_sub(last.last_ns()) <= ACT_NS {
                repeat(last, folded_before.saturating_add(1), signal.boot_ns);
                return;
            }
            // They were counted within a second after that one.
            repeat(last, std::mem::take(&mut folded_before), 0);
            self.join_earlier(fold_id);
        }
        if self.entries.len() >= MAX_SIGNALS {
            self.give_up_one();
        }
        let signal = Signal { repeated: folded_before, ..signal };
        self.entries.push(Entry { fold_id, signal, missing, group_id: None });
    }

    /// The last act of identical signals.
    fn last_mut(&mut self, fold_id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().rev().find(|entry| entry.fold_id == fold_id)
    }

    /// Leaves one act of identical signals.
    fn join_earlier(&mut self, fold_id: u64) {
        let same = |entry: &Entry| entry.fold_id == fold_id;
        let Some(first) = self.entries.iter().position(same) else { return };
        let Some(last) = self.entries.iter().rposition(same).filter(|last| *last != first) else { return };
        let Entry { signal, .. } = self.entries.remove(last);
        if let Some(entry) = self.entries.get_mut(first) {
            repeat(&mut entry.signal, signal.repeated.saturating_add(1), signal.last_ns());
        }
    }

    /// Enters the kernel's final counts. A count whose first record never arrived stays unaccounted for:
    /// nobody knows what those signals were.
    pub(super) fn fold(&mut self, folds: &[Fold]) {
        for fold in folds.iter().filter(|fold| fold.count > 0) {
            if let Some(entry) = self.last_mut(fold.fold_id) {
                repeat(&mut entry.signal, fold.count, fold.last_boot_ns);
            }
        }
    }

    /// Names the group of the act that `fold_id` belongs to, unless it has one.
    pub(super) fn group(&mut self, fold_id: u64, group_id: &str) {
        if let Some(Entry { group_id: none @ None, .. }) = self.last_mut(fold_id) {
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
