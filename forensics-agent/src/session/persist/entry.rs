//! What stands in the log of records, and how it is framed.

use forensics_common::{Header, Kind};
use forensics_incident::model::{Process, ProcessKey};
use serde::{Deserialize, Serialize};

use crate::session::members::Standing;

/// Bytes before each entry: its length and its kind.
const FRAME: usize = 5;
/// Longer than any entry: what says so is torn.
const MAX_ENTRY: usize = 1 << 20;

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::session) enum Entry {
    /// A record of the kernel programs, as it stood in the ring.
    Record(Vec<u8>),
    /// What the agent made of records.
    Note(Note),
}

/// What the agent noted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::session) enum Note {
    /// What the log is about; the first entry.
    Begin(Begin),
    /// A target came, as it was known then.
    Target {
        /// The target.
        process: Box<Process>,
        /// What it is to the unit or cgroup that is selected.
        standing: Option<Standing>,
        /// `INVOCATION_ID` of its environment, which cannot be read any more when it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invocation_id: Option<String>,
    },
    /// An incident closes under this id.
    Closing {
        /// Of which target.
        key: ProcessKey,
        /// The id.
        id: String,
        /// The target lives on.
        survived: bool,
        /// When, nanoseconds of `CLOCK_BOOTTIME`.
        boot_ns: u64,
    },
    /// An incident was told, at a moment of `CLOCK_BOOTTIME` in nanoseconds; or was found to concern nobody.
    Told {
        /// Its id.
        id: String,
        /// When.
        boot_ns: u64,
        /// It was not to be told, and is not in the store.
        dropped: bool,
    },
    /// So many records are lost by now, and that was told.
    Lost(u64),
}

/// What a log is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::session) struct Begin {
    /// Version of the records.
    pub(in crate::session) abi: u32,
    /// The kernel's boot id.
    pub(in crate::session) boot_id: String,
    /// The kernel's number of the ring.
    pub(in crate::session) ring: u32,
    /// CPU, stream and number of the last record of each sequence.
    pub(in crate::session) sequences: Vec<(u32, u32, u64)>,
    /// Losses that were told.
    pub(in crate::session) lost: u64,
}

impl Entry {
    /// Appends it to a buffer, framed.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        match self {
            Self::Record(bytes) => frame(0, bytes, into),
            // What is no JSON cannot be noted; there is nothing of that kind in these types.
            Self::Note(note) => frame(1, &serde_json::to_vec(note).unwrap_or_default(), into),
        }
    }

    /// The first entry, and what comes behind it. None where there is none, or its end is missing.
    fn read(bytes: &[u8]) -> Option<(Option<Self>, &[u8])> {
        let (head, rest) = bytes.split_first_chunk::<FRAME>()?;
        let [a, b, c, d, kind] = *head;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        if len > MAX_ENTRY {
            return None;
        }
        let (body, rest) = rest.split_at_checked(len)?;
        let entry = match kind {
            0 => Some(Self::Record(body.to_vec())),
            // One of another version is one less.
            _ => serde_json::from_slice(body).ok().map(Self::Note),
        };
        Some((entry, rest))
    }

    /// All that are whole, and how many bytes they take.
    pub(super) fn read_all(bytes: &[u8]) -> (Vec<Self>, usize) {
        let (mut entries, mut rest) = (Vec::new(), bytes);
        while let Some((entry, behind)) = Self::read(rest) {
            entries.extend(entry);
            rest = behind;
        }
        (entries, bytes.len() - rest.len())
    }
}

/// Appends the frame of a record and the record.
pub(super) fn frame(kind: u8, body: &[u8], into: &mut Vec<u8>) {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    into.extend_from_slice(&len.to_le_bytes());
    into.push(kind);
    into.extend_from_slice(body);
}

/// What must be known of a record to tell whether it is still of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gist {
    pub(super) kind: Kind,
    pub(super) boot_ns: u64,
    /// The target of a signal, or who ended.
    pub(super) key: Option<ProcessKey>,
}

impl Gist {
    /// Of a record; None when it is none.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        use forensics_common::{ExitRecord, SignalRecord, TaskInfo};
        let u32_at = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let kind = Kind::try_from(u32_at(core::mem::offset_of!(Header, kind))?).ok()?;
        let task = match kind {
            Kind::Signal => Some(core::mem::offset_of!(SignalRecord, target)),
            Kind::Exit => Some(core::mem::offset_of!(ExitRecord, task)),
            _ => None,
        };
        let key = task.and_then(|at| {
            Some(ProcessKey {
                pid: u32_at(at + core::mem::offset_of!(TaskInfo, tgid))?,
                start_boot_ns: u64_at(at + core::mem::offset_of!(TaskInfo, start_boot_ns))?,
            })
        });
        Some(Self { kind, boot_ns: u64_at(core::mem::offset_of!(Header, boot_ns))?, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let key = ProcessKey { pid: 7, start_boot_ns: 9 };
        vec![
            Entry::Note(Note::Begin(Begin { sequences: vec![(0, 1, 2)], ..Begin::default() })),
            Entry::Record(vec![1, 2, 3]),
            Entry::Record(Vec::new()),
            Entry::Note(Note::Closing { key, id: "x".to_owned(), survived: false, boot_ns: 8 }),
        ]
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        entries().iter().for_each(|entry| entry.write(&mut bytes));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = bytes();
        assert_eq!(Entry::read_all(&bytes), (entries(), bytes.len()));
        assert_eq!(Entry::read_all(&[]), (Vec::new(), 0));
    }

    #[test]
    fn a_torn_end_is_left_out_wherever_it_is_torn() {
        let whole = bytes();
        for len in 0..whole.len() {
            let (read, used) = Entry::read_all(&whole[..len]);
            assert!(used <= len && read.len() < entries().len());
            assert_eq!(read, entries()[..read.len()], "after {len} bytes");
            assert_eq!(Entry::read_all(&whole[..used]).1, used, "the rest is whole");
        }
    }

    #[test]
    fn foreign_bytes_are_no_entries() {
        assert_eq!(Entry::read_all(&[0xff; 64]), (Vec::new(), 0));
        let mut foreign = Vec::new();
        frame(1, b"{\"Unheard\":1}", &mut foreign);
        assert_eq!(Entry::read_all(&foreign), (Vec::new(), foreign.len()), "a note of another version");
        assert_eq!(Gist::of(&[1, 0, 0, 0]), None);
    }
}
