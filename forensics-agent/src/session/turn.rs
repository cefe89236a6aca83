//! The turns of the event loop: what is waited for, and in which order it is taken in.

use std::io::{self, Write};
use std::time::Duration;

use super::ring::Batch;
use super::{Progress, Session};
use crate::host::clock;

impl<W: Write> Session<W> {
    /// Waits for records or a deadline and takes in what there is, up to a batch.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub async fn step(&mut self) -> io::Result<Progress> {
        let deadline = self.assembler.next_deadline();
        let now = clock::boot_ns();
        let deadline = [deadline, self.answers.deadline(), self.storage.deadline(), self.losses.deadline()];
        let patience = deadline
            .into_iter()
            .flatten()
            .min()
            .map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
        let mut batch = Batch::default();
        tokio::select! {
            records = self.ring.next() => batch = records?,
            ready = self.markers.readable() => ready?,
            () = self.timings.answer() => {}
            failure = self.storage.failure() => self.reporter.not_stored(&failure)?,
            () = self.managers.answer() => {}
            passed = self.diagnostics.pass_on() => passed?,
            () = self.answers.asked() => batch = self.ring.take(),
            () = self.aftermath.learnt() => {}
            () = async { tokio::time::sleep(patience.unwrap_or_default()).await }, if patience.is_some() => {
                // A death that was recorded in time must not be taken for survival.
                batch = self.ring.take();
            }
        }
        self.take_in(batch)
    }

    /// True while an incident waits for its manager, as it does for some seconds at most.
    pub fn is_waiting(&self) -> bool {
        !self.untimed.is_empty()
    }

    /// Reports what still waits for a manager, without its answer. To be called when the run ends.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub fn finish(&mut self) -> io::Result<Progress> {
        let mut progress = Progress::default();
        for facts in std::mem::take(&mut self.untimed) {
            self.report(facts, &mut progress)?;
        }
        for failure in self.storage.finish() {
            self.reporter.not_stored(&failure)?;
        }
        Ok(progress)
    }

    /// The agent is awake for another reason, and may note that it is at work.
    pub fn beat(&mut self) {
        self.storage.beat();
    }

    /// Takes in all records that are there, without waiting.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub fn drain(&mut self) -> io::Result<Progress> {
        let batch = self.ring.take();
        self.take_in(batch)
    }

    fn take_in(&mut self, batch: Batch) -> io::Result<Progress> {
        let mut progress = Progress { closed: Vec::new(), more: !batch.drained };
        // What was announced before a signal must be known when that signal is judged.
        let news = self.markers.take();
        self.handle_news(news, &mut progress)?;
        self.report_timed(&mut progress)?;
        self.report_settled()?;
        self.report_aftermath(&mut progress)?;
        self.take_records(batch.records, &mut progress)?;
        if batch.drained {
            self.notice_losses(&mut progress)?;
            let outputs = self.assembler.tick(clock::boot_ns());
            self.handle(outputs, &mut progress)?;
            self.store_what_grew();
        }
        self.answer(batch.drained);
        self.storage.note();
        self.compact_if_large();
        Ok(progress)
    }
}
