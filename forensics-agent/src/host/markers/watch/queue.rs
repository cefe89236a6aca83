use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::inotify::{ReadFlags, Reader};
use rustix::io::Errno;

use super::Drained;

/// Something that inotify says of a watched directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A file or directory got a name in it.
    Appeared {
        /// Number of the inotify watch.
        watch: i32,
        /// The name.
        name: Vec<u8>,
        /// By a rename, so that it is complete; else it was just made.
        is_rename: bool,
    },
    /// The directory is gone, elsewhere, or its file system is.
    Gone {
        /// Number of the inotify watch.
        watch: i32,
    },
}

/// Changes of one `drain`, at most.
const BATCH: usize = 1024;

/// Reads what waits in the queue.
pub(super) fn read_changes(inotify: &OwnedFd, drained: &mut Drained) -> Vec<Change> {
    let mut buffer = [MaybeUninit::uninit(); 16 << 10];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut changes = Vec::new();
    loop {
        if changes.len() >= BATCH {
            drained.more = true;
            return changes;
        }
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::INTR) => continue,
            Err(_) => return changes,
        };
        let (watch, flags) = (event.wd(), event.events());
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            drained.lost = true;
        } else if flags.intersects(ReadFlags::IGNORED | ReadFlags::MOVE_SELF) {
            changes.push(Change::Gone { watch });
        } else if let Some(name) = event.file_name() {
            let is_rename = flags.contains(ReadFlags::MOVED_TO);
            changes.push(Change::Appeared { watch, name: name.to_bytes().to_vec(), is_rename });
        }
    }
}
