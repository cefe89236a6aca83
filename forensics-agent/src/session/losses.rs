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
    /// An earlier agent has told of these, of the same programs, of which the kernel has skipped so many runs by now.
    pub(super) fn go_on(&mut self, reported: u64, skipped: u64) {
        *self = Self { skipped, reported };
    }

    /// How many there are to tell of, when `in_ring` records were lost on the way: what was told once is not told again.
    fn news(&mut self, in_ring: u64) -> Option<u64> {
        let total = in_ring + self.skipped;
        let records = total.checked_sub(self.reported).filter(|records| *records > 0)?;
        self.reported = total;
        Some(records)
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
        let Some(records) = self.losses.news(self.ring.lost()) else { return Ok(()) };
        let total = self.losses.told();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_agent_told_is_not_told_again() {
        let mut losses = Losses { skipped: 2, ..Losses::default() };
        assert_eq!(losses.news(3), Some(5));
        assert_eq!((losses.news(3), losses.news(4)), (None, Some(1)));
        let mut next = Losses::default();
        next.go_on(losses.told(), 2);
        assert_eq!(next.news(4), None, "these are the same");
        assert_eq!((next.news(0), next.told()), (None, 6), "gaps in the sequences are counted anew");
        assert_eq!(next.news(5), Some(1));
    }
}
