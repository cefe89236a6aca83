//! The journal around an incident: what the managers said of the unit, and what the unit said last.
//!
//! It is read through the host's own `journalctl`, which knows every format and compression that its journald writes.
//! Only entries of senders that the journal vouches for count: fields that begin with `_` are journald's own, all others
//! may be anything that a process made up (systemd.journal-fields(7)).

mod boot_end;
mod entry;
mod last_lines;
mod messages;
mod read;

pub use boot_end::boot_end;
pub use entry::Entry;
pub use last_lines::{Ended, last_lines};
pub use messages::messages;
pub use read::{JournalError, Query, read, read_within};
