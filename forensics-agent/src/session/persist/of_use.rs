//! What is still of use of the log of records.

use std::collections::{HashMap, HashSet};

use forensics_common::Kind;
use forensics_incident::model::ProcessKey;

use super::entry::{Entry, Gist, Note};
use crate::session::processes::in_ticks;

/// Every record is kept so long, nanoseconds: longer than anything waits for another record or a manager, and than the store
/// takes to write.
const KEEP_NS: u64 = 10_000_000_000;
/// A request that was made to a manager is kept so long: stop jobs wait for each other.
const KEEP_REQUEST_NS: u64 = 130_000_000_000;
/// Signals that are kept of one target that is alive: as many as an incident holds.
const MAX_SIGNALS: usize = 256;

/// The entries that a later agent may need: the last seconds, what incidents that are not told and targets that are alive have
/// received, and requests that managers may still be at.
pub(super) fn of_use(entries: Vec<Entry>, alive: &HashMap<u32, ProcessKey>, now: u64) -> Vec<Entry> {
    let is_alive = |key: ProcessKey| alive.get(&key.pid).is_some_and(|alive| alive.is(key));
    let is_recent = |boot_ns: u64, within: u64| now.saturating_sub(boot_ns) <= within;
    let done: HashSet<String> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Note(Note::Told { id, boot_ns, .. }) if !is_recent(*boot_ns, KEEP_NS) => Some(id.clone()),
            _ => None,
        })
        .collect();
    let unfinished: HashSet<ProcessKey> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Note(Note::Closing { key, id, .. }) if !done.contains(id) => Some(in_ticks(*key)),
            _ => None,
        })
        .collect();
    let is_unfinished = |key: ProcessKey| unfinished.contains(&in_ticks(key));
    let mut signals: HashMap<u32, usize> = HashMap::new();
    let mut kept: Vec<Entry> = entries
        .into_iter()
        .rev()
        .filter(|entry| match entry {
            Entry::Record(bytes) => Gist::of(bytes).is_some_and(|gist| {
                let alive = gist.key.filter(|key| gist.kind == Kind::Signal && is_alive(*key));
                let count = alive.map(|key| signals.entry(key.pid).or_default());
                let is_among_last = count.is_some_and(|count| {
                    *count += 1;
                    *count <= MAX_SIGNALS
                });
                let within = if gist.kind == Kind::Request { KEEP_REQUEST_NS } else { KEEP_NS };
                is_among_last || is_recent(gist.boot_ns, within) || gist.key.is_some_and(is_unfinished)
            }),
            Entry::Note(Note::Begin(_) | Note::Lost(_)) => false,
            // Those that are alive are written anew.
            Entry::Note(Note::Target { process, .. }) => {
                !is_alive(process.key()) && is_unfinished(process.key())
            }
            Entry::Note(Note::Closing { key, id, .. }) => is_alive(*key) || !done.contains(id),
            Entry::Note(Note::Told { .. }) => true,
        })
        .collect();
    kept.reverse();
    // What was told of incidents that nothing else speaks of is of no use.
    let closing: HashSet<String> = kept
        .iter()
        .filter_map(|entry| match entry {
            Entry::Note(Note::Closing { id, .. }) => Some(id.clone()),
            _ => None,
        })
        .collect();
    kept.retain(|entry| !matches!(entry, Entry::Note(Note::Told { id, .. }) if !closing.contains(id)));
    kept
}

#[cfg(test)]
mod tests {
    use forensics_common::{ExitRecord, Header, SignalRecord, TaskInfo};
    use forensics_incident::model::Process;

    use super::*;

    const NOW: u64 = 1_000 * KEEP_NS;
    const OLD: u64 = NOW - 20 * KEEP_NS;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start_boot_ns: 1 }
    }

    /// A record of a kind at a moment, about a process.
    fn record(kind: Kind, boot_ns: u64, pid: u32) -> Entry {
        let mut bytes = vec![0; 512];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(core::mem::offset_of!(Header, kind), &(kind as u32).to_ne_bytes());
        put(core::mem::offset_of!(Header, boot_ns), &boot_ns.to_ne_bytes());
        let task = match kind {
            Kind::Signal => core::mem::offset_of!(SignalRecord, target),
            _ => core::mem::offset_of!(ExitRecord, task),
        };
        put(task + core::mem::offset_of!(TaskInfo, tgid), &pid.to_ne_bytes());
        put(task + core::mem::offset_of!(TaskInfo, start_boot_ns), &1u64.to_ne_bytes());
        Entry::Record(bytes)
    }

    fn target(pid: u32) -> Entry {
        let process = Box::new(Process { pid, start_boot_ns: 1, ..Process::default() });
        Entry::Note(Note::Target { process, standing: None, invocation_id: None })
    }

    fn closing(pid: u32, id: &str) -> Entry {
        Entry::Note(Note::Closing { key: key(pid), id: id.to_owned(), survived: false, boot_ns: OLD })
    }

    fn told(id: &str, boot_ns: u64) -> Entry {
        Entry::Note(Note::Told { id: id.to_owned(), boot_ns, dropped: false })
    }

    fn kept(entries: &[Entry], alive: &[u32]) -> Vec<Entry> {
        let alive = alive.iter().map(|&pid| (pid, key(pid))).collect();
        of_use(entries.to_vec(), &alive, NOW)
    }

    #[test]
    fn what_a_target_received_is_kept_as_long_as_it_is_alive() {
        let entries = [target(7), record(Kind::Signal, OLD, 7), record(Kind::Exit, OLD, 8)];
        assert_eq!(kept(&entries, &[7]), entries[1..2], "who it is is written anew");
        assert_eq!(kept(&entries, &[]), []);
        let many = vec![record(Kind::Signal, OLD, 7); MAX_SIGNALS + 5];
        assert_eq!(kept(&many, &[7]).len(), MAX_SIGNALS);
    }

    #[test]
    fn what_is_not_told_and_stored_is_kept_whole() {
        let life = [target(7), record(Kind::Signal, OLD, 7), record(Kind::Exit, OLD, 7), closing(7, "x")];
        assert_eq!(kept(&life, &[]), life);
        let lately = [&life[..], &[told("x", NOW - KEEP_NS / 2)]].concat();
        assert_eq!(kept(&lately, &[]), lately, "the disk may be slow");
        let done = [&life[..], &[told("x", OLD)]].concat();
        assert_eq!(kept(&done, &[]), []);
    }

    #[test]
    fn the_last_seconds_are_kept_and_requests_longer() {
        let recent = [record(Kind::Exec, NOW - 1, 9), record(Kind::Exit, NOW - 1, 9)];
        assert_eq!(kept(&recent, &[]), recent);
        let requests = [record(Kind::Request, NOW - KEEP_REQUEST_NS, 0), record(Kind::Exec, OLD, 0)];
        assert_eq!(kept(&requests, &[]), requests[..1]);
    }
}
