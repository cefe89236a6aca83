//! Incidents as structured records of the journal, so that `journalctl FORENSICS_CAUSE=oom` finds them.

mod entry;
mod fields;
mod socket;

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use forensics_incident::model::{Facts, Incident};

use super::Loss;
use crate::host::proc;
use socket::Socket;

/// Where journald listens, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.
const JOURNALD: &str = "/run/systemd/journal/socket";

/// Writes incidents to the journal. A journal that is full, slow or absent never makes the caller wait.
#[derive(Debug)]
pub struct JournalReporter {
    socket: Socket,
    /// What is printed ends in the journal too, so that an incident must not be printed as well.
    instead: bool,
    /// The last attempt failed, and that was said.
    is_failing: bool,
}

impl JournalReporter {
    /// Writes to the journal of this host, instead of to `out` when that leads there as well.
    ///
    /// # Errors
    /// As `socket(2)`.
    pub fn new(out: impl AsFd) -> io::Result<Self> {
        Self::to(Path::new(JOURNALD), leads_to_journal(out))
    }

    fn to(path: &Path, instead: bool) -> io::Result<Self> {
        Ok(Self { socket: Socket::new(path)?, instead, is_failing: false })
    }

    /// Writes an incident; true when it need not be printed.
    pub fn incident(&mut self, incident: &Incident) -> bool {
        self.write(fields::incident(incident, names_target(&incident.facts)))
    }

    /// Writes that records were lost; true when it need not be printed.
    pub fn loss(&mut self, loss: &Loss) -> bool {
        self.write(fields::loss(loss))
    }

    /// Writes an entry; true when it need not be printed. A failure is said once, until one succeeds.
    fn write(&mut self, entry: Vec<u8>) -> bool {
        match self.socket.send(entry) {
            Ok(()) => self.is_failing = false,
            Err(error) if self.is_failing => log::debug!("the journal takes no record: {error}"),
            Err(error) => {
                self.is_failing = true;
                log::warn!("the journal takes no record: {error}; incidents are printed meanwhile");
            }
        }
        self.instead && !self.is_failing
    }
}

/// Whether the pid of the target can mean no other process by now: one that ended unseen may be of an earlier boot.
fn names_target(facts: &Facts) -> bool {
    facts.aftermath.is_none() && proc::is_alone_with_pid(facts.target.key())
}

/// Whether a stream is the one that systemd connected to the journal (`JOURNAL_STREAM` in systemd.exec(5)).
fn leads_to_journal(stream: impl AsFd) -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let Ok(stat) = rustix::fs::fstat(stream) else { return false };
    named.is_some_and(|named| named == format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests;
