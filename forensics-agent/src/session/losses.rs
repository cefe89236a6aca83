//! Records that are missing, and the targets whose end may have been among them.

use std::io::{self, Write};

use forensics_incident::{
    assembly::Input,
    model::{Missing, Process, ProcessKey},
};

use super::persist::Note;
use super::{Progress, Session};
use crate::host::{
    clock,
    proc::{self, Remains},
};
use crate::report::Loss;

/// How long after a signal it is looked for the first time whether the kernel has skipped something, nanoseconds; the time
/// doubles with each look.
const FIRST_LOOK_NS: u64 = 250_000_000;

/// The last look comes when so much has passed since the one before, nanoseconds: by then whoever survives has survived.
const LAST_LOOK_NS: u64 = 160_000_000_000;

/// For so long whoever was skipped is looked for, nanoseconds.
const LATELY_NS: u64 = 10_000_000_000;

/// What was lost since the programs run.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Runs of a program that the kernel skipped, and whose records are lost with that.
    skipped: u64,
    /// Ends that the kernel skipped, of whomever.
    skipped_ends: u64,
    /// When that was last seen to have grown, `CLOCK_BOOTTIME` nanoseconds.
    ends_skipped_ns: Option<u64>,
    /// When the last loss was told, `CLOCK_BOOTTIME` nanoseconds.
    lost_ns: Option<u64>,
    /// Targets whose end nothing told.
    unseen_ends: u64,
    /// Losses that were reported.
    reported: u64,
    look: Option<Look>,
}

/// When to look whether the kernel has skipped something: nothing tells of it, least of all the record that was skipped.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// `CLOCK_BOOTTIME` nanoseconds.
    at_ns: u64,
    /// Since the look before, nanoseconds.
    after_ns: u64,
}

impl Losses {
    /// An earlier agent has told of these, of the same programs, of which the kernel has skipped so many runs by now.
    pub(super) fn go_on(&mut self, reported: u64, skipped: u64) {
        *self = Self { skipped, reported, ..Self::default() };
    }

    /// A target was sent a signal, and may end.
    pub(super) fn expect_end(&mut self, boot_ns: u64) {
        let at_ns = boot_ns.saturating_add(FIRST_LOOK_NS);
        if self.look.is_none_or(|look| look.at_ns > at_ns) {
            self.look = Some(Look { at_ns, after_ns: FIRST_LOOK_NS });
        }
    }

    /// When to look, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.look.map(|look| look.at_ns)
    }

    /// True when it is time to look; then the next time is set.
    fn is_due(&mut self, now_ns: u64) -> bool {
        let Some(look) = self.look.filter(|look| look.at_ns <= now_ns) else { return false };
        let after_ns = look.after_ns.saturating_mul(2);
        let next = Look { at_ns: now_ns.saturating_add(after_ns), after_ns };
        self.look = Some(next).filter(|next| next.after_ns <= LAST_LOOK_NS);
        true
    }

    /// The kernel has skipped so many ends by now.
    fn skipped_ends(&mut self, now_ns: u64, skipped: u64) {
        if skipped > self.skipped_ends {
            (self.skipped_ends, self.ends_skipped_ns) = (skipped, Some(now_ns));
            // Whoever it was may not be through with its end yet.
            self.expect_end(now_ns);
        }
    }

    /// So many records were lost in the ring by now; true when there is something to tell, which may have been an end.
    fn lost(&mut self, now_ns: u64, in_ring: u64) -> bool {
        let is_news = self.untold(in_ring) > 0;
        if is_news {
            self.lost_ns = Some(now_ns);
            self.expect_end(now_ns);
        }
        is_news
    }

    /// True while a target may show to be gone whose end was lost.
    fn may_miss_ends(&self, now_ns: u64) -> bool {
        Self::is_recent(self.ends_skipped_ns, now_ns) || Self::is_recent(self.lost_ns, now_ns)
    }

    fn is_recent(moment_ns: Option<u64>, now_ns: u64) -> bool {
        moment_ns.is_some_and(|at| now_ns.saturating_sub(at) <= LATELY_NS)
    }

    /// How many there are to tell of, when `in_ring` records were lost on the way: what was told once is not told again.
    fn news(&mut self, in_ring: u64) -> Option<u64> {
        let records = self.untold(in_ring);
        self.reported += records;
        (records > 0).then_some(records)
    }

    fn untold(&self, in_ring: u64) -> u64 {
        (in_ring + self.skipped + self.unseen_ends).saturating_sub(self.reported)
    }

    /// How many were told of.
    pub(super) fn told(&self) -> u64 {
        self.reported
    }
}

impl<W: Write> Session<W> {
    /// Reports what the ring buffer had no room for and what the kernel skipped. A lost record may have been the end
    /// of a target.
    pub(super) fn notice_losses(&mut self, progress: &mut Progress) -> io::Result<()> {
        let now_ns = clock::boot_ns();
        // Nobody is told to have survived who may be gone.
        let is_due = self.losses.is_due(now_ns)
            || self.assembler.next_deadline().is_some_and(|deadline| deadline <= now_ns);
        let looks = is_due || !progress.closed.is_empty();
        if looks {
            self.losses.skipped = self.kernel.recursion_misses();
            self.losses.skipped_ends(now_ns, self.kernel.skipped_ends());
        }
        let is_news = self.losses.lost(now_ns, self.ring.lost());
        if !(is_news || looks && self.losses.may_miss_ends(now_ns)) {
            return Ok(());
        }
        let targets = self.targets.values().map(Process::key);
        let mut gone: Vec<(ProcessKey, Remains)> =
            targets.filter_map(|key| Some((key, proc::remains(key)?))).collect();
        // Those that have ended just now have a record on its way.
        loop {
            let batch = self.ring.take();
            self.take_records(batch.records, progress)?;
            if batch.drained {
                break;
            }
        }
        gone.retain(|(key, _)| self.targets.get(&key.pid).is_some_and(|held| held.key() == *key));
        if Losses::is_recent(self.losses.ends_skipped_ns, now_ns) {
            self.losses.unseen_ends += gone.len() as u64;
        }
        if let Some(records) = self.losses.news(self.ring.lost()) {
            let total = self.losses.told();
            self.note(Note::Lost(total));
            let skipped = self.losses.skipped + self.losses.unseen_ends;
            self.reporter.loss(&Loss { ts: clock::unix_s(), records, total, skipped })?;
        }
        gone.into_iter().try_for_each(|(target, remains)| self.gone(target, remains, progress))
    }

    /// A target has ended, and there is no record of it.
    fn gone(&mut self, target: ProcessKey, remains: Remains, progress: &mut Progress) -> io::Result<()> {
        let (wait_status, what) = match remains {
            Remains::Zombie(Some(status)) => (Some(status), "when it ended is not known"),
            Remains::Zombie(None) | Remains::Nothing => (None, "how and when it ended is not known"),
        };
        let missing = Missing {
            field: "outcome".to_owned(),
            why: format!("the kernel's record of its end was lost: {what}"),
        };
        self.push(Input::Missing { target, missing }, progress)?;
        // A program that was skipped has left it among those that are watched.
        self.watched.remove(target.pid);
        let boot_ns = clock::boot_ns();
        self.ended(target.pid, boot_ns, Input::Gone { target, boot_ns, wait_status }, progress)
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

    #[test]
    fn looks_become_rarer_and_end() {
        let mut losses = Losses::default();
        assert!(!losses.is_due(u64::MAX) && losses.deadline().is_none());
        losses.expect_end(1_000);
        losses.expect_end(2_000);
        assert_eq!(losses.deadline(), Some(1_000 + FIRST_LOOK_NS), "a storm does not put it off");
        assert!(!losses.is_due(1_000));
        let mut looks = Vec::new();
        while let Some(at) = losses.deadline() {
            assert!(losses.is_due(at));
            looks.push(at / 1_000_000);
        }
        assert_eq!(looks, [250, 750, 1_750, 3_750, 7_750, 15_750, 31_750, 63_750, 127_750, 255_750]);
        losses.expect_end(0);
        assert!(losses.is_due(FIRST_LOOK_NS));
        losses.expect_end(FIRST_LOOK_NS);
        assert_eq!(losses.deadline(), Some(2 * FIRST_LOOK_NS), "the next signal is looked after as soon");
    }

    #[test]
    fn skipped_ends_are_looked_for_more_than_once() {
        let mut losses = Losses::default();
        losses.skipped_ends(1_000, 0);
        assert!(!losses.may_miss_ends(1_000));
        losses.skipped_ends(2_000, 5);
        losses.skipped_ends(3_000, 5);
        assert_eq!(losses.deadline(), Some(2_000 + FIRST_LOOK_NS));
        assert!(losses.may_miss_ends(2_000 + LATELY_NS) && !losses.may_miss_ends(2_001 + LATELY_NS));
        assert_eq!(losses.news(0), None, "whoever it was, a parent was told");
        losses.unseen_ends += 1;
        assert_eq!(losses.news(0), Some(1));
    }
}
