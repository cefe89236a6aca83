//! Records that are missing, and the targets whose end may have been among them.

use std::io::{self, Write};

use forensics_incident::{
    assembly::Input,
    model::{Process, ProcessKey},
};

use super::persist::Note;
use super::{Progress, Session};
use crate::{host::clock, report::Loss};

/// What was lost since the programs run.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Runs of a program that the kernel skipped.
    skipped: u64,
    /// Losses that were reported.
    reported: u64,
}

impl Losses {
    /// An earlier agent has told of these, of the same programs.
    pub(super) fn go_on(&mut self, reported: u64) {
        self.reported = reported;
    }

    /// How many were told of.
    pub(super) fn told(&self) -> u64 {
        self.reported
    }
}

impl<W: Write> Session<W> {
    /// Reports what the ring buffer had no room for and what the kernel skipped. A lost record may have been the end
    /// of a target: whoever the kernel has let go of is gone.
    pub(super) fn notice_losses(&mut self, progress: &mut Progress) -> io::Result<()> {
        if !progress.closed.is_empty() {
            self.losses.skipped = self.kernel.recursion_misses();
        }
        let total = self.ring.lost() + self.losses.skipped;
        if total == self.losses.reported {
            return Ok(());
        }
        let records = total.saturating_sub(self.losses.reported);
        self.losses.reported = total;
        self.note(Note::Lost(total));
        self.reporter.loss(&Loss { ts: clock::unix_s(), records, total, skipped: self.losses.skipped })?;
        let suspects: Vec<ProcessKey> = self
            .targets
            .values()
            .filter(|target| !self.watched.contains(target.pid))
            .map(Process::key)
            .collect();
        // Those that have ended just now have a record on its way.
        loop {
            let batch = self.ring.take();
            self.take_records(batch.records, progress)?;
            if batch.drained {
                break;
            }
        }
        for target in suspects {
            if self.targets.get(&target.pid).is_some_and(|held| held.key() == target) {
                self.forget(target.pid);
                self.push(Input::Gone { target, boot_ns: clock::boot_ns() }, progress)?;
                self.evidence.forget(target.pid);
            }
        }
        Ok(())
    }
}
