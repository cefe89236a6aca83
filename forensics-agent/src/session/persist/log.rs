//! Records that were taken off the ring, kept until nothing depends on them any more.
//!
//! A record is written here before it is taken off the ring. So whatever the agent was at when it was killed, the next one finds
//! each record here, in the ring, or in both. The file is in `/run`: it is of no use after the ring is gone. Nothing is
//! synchronised to a disk, since what a process has written outlives the process.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::entry::{Begin, Entry, Note, frame};
use super::of_use::of_use;
use crate::host::clock;

/// Bytes from which on what is of no use any more is looked for.
const COMPACT_AT: u64 = 1 << 20;
/// Bytes that are kept at most of what happened, where the oldest go first, and as many of the targets.
const MAX_KEPT: usize = 8 << 20;

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
    pub(in crate::session) fn compact(&mut self, begin: Begin, targets: impl Iterator<Item = Note>) {
        if let Err(why) = self.rewrite(begin, targets) {
            log::warn!("{}: {why}", self.path.display());
            // Not before it has grown as much again.
            self.compact_at = self.size + COMPACT_AT;
        }
    }

    fn rewrite(&mut self, begin: Begin, targets: impl Iterator<Item = Note>) -> io::Result<()> {
        let (entries, _) = Entry::read_all(&std::fs::read(&self.path)?);
        let mut alive = HashMap::new();
        let mut bytes = Vec::new();
        Entry::Note(Note::Begin(begin)).write(&mut bytes);
        let mut left_out = 0_u64;
        for target in targets {
            if let Note::Target { process, .. } = &target {
                alive.insert(process.pid, process.key());
            }
            let before = bytes.len();
            Entry::Note(target).write(&mut bytes);
            if bytes.len() > MAX_KEPT {
                bytes.truncate(before);
                left_out += 1;
            }
        }
        if left_out > 0 {
            log::warn!(
                "{}: no room for {left_out} targets, whose end is not told if this agent is killed before",
                self.path.display()
            );
        }
        let kept = of_use(entries, &alive, clock::boot_ns());
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

#[cfg(test)]
mod tests {
    use forensics_incident::model::Process;

    use super::*;

    fn target(pid: u32, name: &str) -> Note {
        let process = Box::new(Process { pid, name: name.to_owned(), ..Process::default() });
        Note::Target { process, standing: None, invocation_id: None }
    }

    #[test]
    fn targets_without_end_are_bounded_as_well() {
        let path = std::env::temp_dir().join(format!("forensics-many-{}.records", std::process::id()));
        let (mut log, _) = Log::open(&path).unwrap();
        let name = "x".repeat(MAX_KEPT / 10);
        log.compact(Begin::default(), (1..20).map(|pid| target(pid, &name)));
        let (_, entries) = Log::open(&path).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        std::fs::remove_file(&path).unwrap();
        assert!(entries.len() == 10 && size <= MAX_KEPT as u64, "{} entries, {size} bytes", entries.len());
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
        log.compact(Begin { ring: 6, ..Begin::default() }, std::iter::once(target(7, "x")));
        log.record(&[5]);
        let (_, entries) = Log::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let begin = Entry::Note(Note::Begin(Begin { ring: 6, ..Begin::default() }));
        assert_eq!(
            entries,
            [begin, Entry::Note(target(7, "x")), Entry::Record(vec![5])],
            "what is no record is of no use"
        );
    }
}
