//! Records that were taken off the ring, kept until nothing depends on them any more.
//!
//! A record is written here before it is taken off the ring. So whatever the agent was at when it was killed, the next one finds
//! each record here, in the ring, or in both. The file is in `/run`: it is of no use after the ring is gone. Nothing is
//! synchronised to a disk, since what a process has written outlives the process.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use forensics_common::Kind;
use forensics_incident::model::{Process, ProcessKey};

use super::entry::{Begin, Entry, Gist, Note, frame};
use crate::host::clock;
use crate::session::members::Standing;

/// Bytes from which on what is of no use any more is looked for.
const COMPACT_AT: u64 = 1 << 20;
/// Bytes that are kept at most; the oldest go first.
const MAX_KEPT: usize = 8 << 20;
/// Every record is kept so long, nanoseconds: longer than anything waits for another record or a manager, and than the store
/// takes to write.
const KEEP_NS: u64 = 10_000_000_000;
/// A request that was made to a manager is kept so long: stop jobs wait for each other.
const KEEP_REQUEST_NS: u64 = 130_000_000_000;
/// Signals that are kept of one target that is alive: as many as an incident holds.
const MAX_SIGNALS: usize = 256;

/// The log.
#[derive(Debug)]
pub(in crate::session) struct Log {
    path: PathBuf,
    /// None once it could not be written.
    file: Option<File>,
    size: u64,
    compact_at: u64,
}

impl Log {
    /// Opens the log of a place with what is in it, which begins with what it is about. What an agent left half written when it
    /// was killed is cut off: it is still in the ring.
    ///
    /// # Errors
    /// The file cannot be read or made.
    pub(in crate::session) fn open(path: &Path) -> io::Result<(Self, Vec<Entry>)> {
        let mut file = File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (entries, used) = Entry::read_all(&bytes);
        if used < bytes.len() {
            file.set_len(used as u64)?;
        }
        let log = Self { path: path.to_owned(), file: Some(file), size: used as u64, compact_at: COMPACT_AT };
        Ok((log, entries))
    }

    /// Begins anew: nothing of what is in it is of use.
    pub(in crate::session) fn begin(&mut self, begin: Begin) {
        if let Some(Err(why)) = self.file.as_ref().map(|file| file.set_len(0)) {
            log::warn!("{}: {why}", self.path.display());
        }
        self.size = 0;
        self.note(Note::Begin(begin));
    }

    /// Writes a record, which may be taken off the ring then.
    pub(in crate::session) fn record(&mut self, bytes: &[u8]) {
        let mut framed = Vec::with_capacity(bytes.len() + 8);
        frame(0, bytes, &mut framed);
        self.append(&framed);
    }

    /// Writes a note.
    pub(in crate::session) fn note(&mut self, note: Note) {
        let mut framed = Vec::new();
        Entry::Note(note).write(&mut framed);
        self.append(&framed);
    }

    fn append(&mut self, framed: &[u8]) {
        let Some(file) = &mut self.file else { return };
        match file.write_all(framed) {
            Ok(()) => self.size += framed.len() as u64,
            Err(why) => {
                log::warn!(
                    "{}: {why}; what the agent knows when it is killed may be lost from now on",
                    self.path.display()
                );
                self.file = None;
            }
        }
    }

    /// True when it has grown so much that what is of no use should go, or could not be written.
    pub(in crate::session) fn is_large(&self) -> bool {
        self.file.is_some() && self.size >= self.compact_at
    }

    /// Writes it anew, with what is still of use beside these targets, which are there now.
    pub(in crate::session) fn compact<'a>(
        &mut self,
        begin: Begin,
        targets: impl Iterator<Item = (&'a Process, Option<Standing>)>,
    ) {
        if let Err(why) = self.rewrite(begin, targets) {
            log::warn!("{}: {why}", self.path.display());
            // Not before it has grown as much again.
            self.compact_at = self.size + COMPACT_AT;
        }
    }

    fn rewrite<'a>(
        &mut self,
        begin: Begin,
        targets: impl Iterator<Item = (&'a Process, Option<Standing>)>,
    ) -> io::Result<()> {
        let (entries, _) = Entry::read_all(&std::fs::read(&self.path)?);
        let targets: Vec<(&Process, Option<Standing>)> = targets.collect();
        let alive: HashMap<u32, ProcessKey> =
            targets.iter().map(|(target, _)| (target.pid, target.key())).collect();
        let mut bytes = Vec::new();
        Entry::Note(Note::Begin(begin)).write(&mut bytes);
        for (process, standing) in targets {
            let process = Box::new(process.clone());
            Entry::Note(Note::Target { process, standing }).write(&mut bytes);
        }
        let kept = still_of_use(entries, &alive, clock::boot_ns());
        let framed: Vec<Vec<u8>> = kept
            .iter()
            .map(|entry| {
                let mut bytes = Vec::new();
                entry.write(&mut bytes);
                bytes
            })
            .collect();
        let mut excess = framed.iter().map(Vec::len).sum::<usize>().saturating_sub(MAX_KEPT);
        for entry in framed {
            if excess > 0 {
                excess = excess.saturating_sub(entry.len());
            } else {
                bytes.extend(entry);
            }
        }
        let new = self.path.with_extension("records-new");
        let mut file = File::options().append(true).create(true).truncate(false).mode(0o600).open(&new)?;
        file.set_len(0)?;
        file.write_all(&bytes)?;
        std::fs::rename(&new, &self.path)?;
        self.size = bytes.len() as u64;
        self.compact_at = COMPACT_AT.max(2 * self.size);
        self.file = Some(file);
        Ok(())
    }
}

/// The entries that a later agent may need: the last seconds, what incidents that are not told and targets that are alive have
/// received, and requests that managers may still be at.
fn still_of_use(entries: Vec<Entry>, alive: &HashMap<u32, ProcessKey>, now: u64) -> Vec<Entry> {
    let is_alive = |key: ProcessKey| alive.get(&key.pid).is_some_and(|alive| alive.is(key));
    let is_recent = |boot_ns: u64, within: u64| now.saturating_sub(boot_ns) <= within;
    let done: HashSet<String> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Note(Note::Told { id, boot_ns, .. }) if !is_recent(*boot_ns, KEEP_NS) => Some(id.clone()),
            _ => None,
        })
        .collect();
    let unfinished: Vec<ProcessKey> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Note(Note::Closing { key, id, .. }) if !done.contains(id) => Some(*key),
            _ => None,
        })
        .collect();
    let is_unfinished = |key: ProcessKey| unfinished.iter().any(|unfinished| unfinished.is(key));
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
        Entry::Note(Note::Target { process, standing: None })
    }

    fn closing(pid: u32, id: &str) -> Entry {
        Entry::Note(Note::Closing { key: key(pid), id: id.to_owned(), survived: false })
    }

    fn told(id: &str, boot_ns: u64) -> Entry {
        Entry::Note(Note::Told { id: id.to_owned(), boot_ns, dropped: false })
    }

    fn kept(entries: &[Entry], alive: &[u32]) -> Vec<Entry> {
        let alive = alive.iter().map(|&pid| (pid, key(pid))).collect();
        still_of_use(entries.to_vec(), &alive, NOW)
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

    #[test]
    fn a_log_goes_on_where_the_last_agent_left_it() {
        let path = std::env::temp_dir().join(format!("forensics-log-{}.records", std::process::id()));
        let (mut log, entries) = Log::open(&path).unwrap();
        assert_eq!(entries, []);
        let begin = Begin { ring: 5, ..Begin::default() };
        log.begin(begin.clone());
        log.record(&[1, 2, 3]);
        // As a process that is killed while it writes.
        File::options().append(true).open(&path).unwrap().write_all(&[9, 0, 0]).unwrap();
        let (mut log, entries) = Log::open(&path).unwrap();
        assert_eq!(entries, [Entry::Note(Note::Begin(begin)), Entry::Record(vec![1, 2, 3])]);
        log.record(&[4]);
        let Entry::Note(Note::Target { process, .. }) = target(7) else { panic!("no target") };
        log.compact(Begin { ring: 6, ..Begin::default() }, std::iter::once((&*process, None)));
        log.record(&[5]);
        let (_, entries) = Log::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let begin = Entry::Note(Note::Begin(Begin { ring: 6, ..Begin::default() }));
        assert_eq!(entries, [begin, target(7), Entry::Record(vec![5])], "what is no record is of no use");
    }
}
