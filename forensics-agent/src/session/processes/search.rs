//! What only a look through the whole of a map tells, some milliseconds each time.

use forensics_incident::model::{Process, ProcessKey};

use super::{Processes, in_ticks};
use crate::kernel::records;

/// Entries of the lineage that are looked through at most: twice what the map holds.
const MAX_LINEAGE: usize = 32_768;

/// Entries of the ledger.
const MAX_LEDGER: usize = 4_096;

impl Processes {
    /// The last process that was made with this pid since the agent is there. Looks through the whole lineage, some
    /// milliseconds, so it is for those few of whom nothing but the pid is known.
    pub(super) fn made_last(&self, pid: u32) -> Option<ProcessKey> {
        // Bounded, since a map that changes meanwhile may begin anew.
        let keys = self.lineage.keys().take(MAX_LINEAGE).filter_map(Result::ok);
        keys.map(records::process_key).filter(|key| key.pid == pid).max_by_key(|key| key.start_boot_ns)
    }

    /// Those that had the number of a process before it, as far as they are remembered. `deep`: also those that only the
    /// lineage has, with who made them; that looks through the whole of it, as [`Self::made_last`].
    pub(in crate::session) fn earlier_holders(&mut self, now: ProcessKey, deep: bool) -> Vec<Process> {
        let start = in_ticks(now).start_boot_ns;
        let mut keys: Vec<ProcessKey> = self
            .order
            .iter()
            .filter(|key| key.pid == now.pid && key.start_boot_ns < start)
            .copied()
            .collect();
        if deep {
            let made = self.lineage.keys().take(MAX_LINEAGE).filter_map(Result::ok).map(records::process_key);
            let before: Vec<ProcessKey> =
                made.filter(|key| key.pid == now.pid && key.start_boot_ns < now.start_boot_ns).collect();
            keys.retain(|known| !before.iter().any(|key| key.is(*known)));
            keys.extend(before);
        }
        let with_maker = |key| {
            let maker = self.lineage.get(&records::task_key(key), 0).ok().map(records::process_key);
            let ancestors = maker.map(|maker| self.ancestor(maker, String::new())).into_iter().collect();
            Process { ancestors, ..self.ancestor(key, String::new()) }
        };
        // Of one that has become nobody in particular there is nothing to tell.
        keys.into_iter().map(with_maker).filter(|process| !process.name.is_empty()).collect()
    }

    /// The commands that speak with managers and were executed in a span of time (`CLOCK_BOOTTIME` nanoseconds), oldest first.
    /// Looks through the whole ledger, some milliseconds.
    pub(in crate::session) fn executed_between(
        &self,
        from_ns: u64,
        to_ns: u64,
    ) -> Vec<(u64, ProcessKey, Vec<String>)> {
        let entries = self.ledger.iter().take(2 * MAX_LEDGER).filter_map(Result::ok);
        let inside = entries.filter(|(_, entry)| (from_ns..to_ns).contains(&entry.exec_boot_ns));
        let commands = inside.filter_map(|(key, entry)| {
            let program = records::program(&entry).ok()?;
            Some((program.exec_boot_ns, records::process_key(key), program.cmdline?.argv()))
        });
        let mut commands: Vec<_> = commands.collect();
        commands.sort_by_key(|(boot_ns, ..)| *boot_ns);
        commands
    }
}
