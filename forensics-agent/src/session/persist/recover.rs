//! What an earlier agent knew, taken in again: its log, and then what the ring holds.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use forensics_common::ABI_VERSION;
use forensics_incident::{
    assembly::Input,
    model::{Process, ProcessKey},
};

use super::{Begin, Entry, Note};
use crate::host::{clock, proc};
use crate::kernel::pins::Pins;
use crate::kernel::records;
use crate::session::members::Standing;
use crate::session::ring::ring_full;
use crate::session::{Progress, Session};

/// How long a program that is being detached may still be running on another CPU.
const LAST_RUNS: Duration = Duration::from_millis(5);

impl<W: Write> Session<W> {
    /// Takes in what an earlier agent left, so that the end of its targets is told as if it were still there. Everything that is
    /// selected must be watched already.
    ///
    /// # Errors
    /// The report could not be written.
    pub fn recover(&mut self) -> io::Result<Progress> {
        let mut progress = Progress::default();
        if !self.persist.is_on() {
            return Ok(progress);
        }
        // Those who come later have a record in the ring, after which they are known.
        let before: HashSet<u32> =
            if self.kernel.is_adopted() { self.watched.pids() } else { HashSet::new() };
        self.persist.is_recovering = true;
        self.persist.is_replaying = true;
        let entries = std::mem::take(&mut self.persist.entries);
        let went_on = self.go_on(&entries);
        for entry in entries {
            self.take_again(entry, went_on, &mut progress)?;
        }
        self.persist.is_replaying = false;
        self.switch_over(&mut progress)?;
        loop {
            let Progress { closed, more } = self.drain()?;
            progress.closed.extend(closed);
            if !more {
                break;
            }
        }
        self.let_go_of_the_gone(&mut progress)?;
        self.persist.is_recovering = false;
        self.let_go(&mut progress)?;
        if !self.settings.selectors.all {
            for pid in before {
                if !self.targets.contains_key(&pid) && !self.relays.contains(pid) {
                    self.watched.remove(pid);
                }
            }
        }
        self.compact();
        Ok(progress)
    }

    /// Goes on with the sequences and losses of the ring, when it is the one that the log is about.
    fn go_on(&mut self, entries: &[Entry]) -> bool {
        let Some(Entry::Note(Note::Begin(begin))) = entries.first() else { return false };
        if Some(begin.ring) != self.persist.pins.as_ref().map(Pins::ring_id) || !self.kernel.is_adopted() {
            return false;
        }
        let last = entries.iter().rev().find_map(|entry| match entry {
            Entry::Record(bytes) => records::decode(bytes).ok(),
            Entry::Note(_) => None,
        });
        self.ring.go_on(&begin.sequences, last.map(|(position, _)| position));
        let lost = entries.iter().rev().find_map(|entry| match entry {
            Entry::Note(Note::Lost(total)) => Some(*total),
            _ => None,
        });
        self.losses.go_on(lost.unwrap_or(begin.lost), self.kernel.recursion_misses());
        true
    }

    fn take_again(&mut self, entry: Entry, went_on: bool, progress: &mut Progress) -> io::Result<()> {
        match entry {
            Entry::Record(bytes) => match records::decode(&bytes) {
                Ok((position, record)) => {
                    if went_on {
                        self.ring.took(position);
                    }
                    self.take_records(vec![record], progress)
                }
                Err(error) => {
                    log::warn!("{error}");
                    Ok(())
                }
            },
            Entry::Note(Note::Target { process, standing, .. }) => self.restore(*process, standing, progress),
            Entry::Note(Note::Closing { key, id, survived: true, boot_ns }) => {
                // As of then: what the target received since explains what becomes of it.
                let outputs = self.assembler.survive(boot_ns, key);
                self.handle(outputs, progress)?;
                // When what led to it is not known any more, the id is not that of its end.
                self.persist.forget_id(key, &id);
                Ok(())
            }
            Entry::Note(Note::Begin(_) | Note::Closing { .. } | Note::Told { .. } | Note::Lost(_)) => Ok(()),
        }
    }

    /// A target of an earlier agent, which may have ended since.
    fn restore(
        &mut self,
        process: Process,
        standing: Option<Standing>,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let key = process.key();
        let holder = self.targets.get(&process.pid).map(Process::key);
        if holder.is_some_and(|holder| !holder.is(key)) {
            // Another process has its number by now.
            return self.push(Input::Watch { target: process }, progress);
        }
        if let Some(standing) = standing.filter(|_| self.members.get(key).is_none()) {
            self.members.restore(&process, standing);
        }
        if holder.is_none()
            && !self.watched.contains(key.pid)
            && proc::is_alive(key)
            && self.is_wanted(&process)
        {
            // One that ends just now has no end on record: it is looked at afterwards.
            let _ = self.watched.insert(key);
        }
        self.add(process, progress)
    }

    /// The programs of an earlier agent are replaced by those of this one, which are attached already: what was made before this
    /// moment is in the old ring, what comes later in the new one.
    fn switch_over(&mut self, progress: &mut Progress) -> io::Result<()> {
        let (Some(pins), Some(earlier)) = (self.persist.pins.clone(), self.persist.earlier.take()) else {
            return Ok(());
        };
        let mut ring = earlier.ring;
        if let Some((events, _)) = &mut ring {
            let records = self.ring.take_earlier(events, u64::MAX);
            self.take_records(records, progress)?;
        }
        let now = clock::boot_ns();
        self.ring.leave_out(if ring.is_some() { now } else { 0 });
        if let Err(why) = pins.replace() {
            log::warn!("{why}");
        }
        if let Some((mut events, counters)) = ring {
            std::thread::sleep(LAST_RUNS);
            let records = self.ring.take_earlier(&mut events, now);
            self.take_records(records, progress)?;
            let lost = ring_full(&counters);
            if lost > 0 {
                log::warn!("{lost} records did not fit into the ring of the programs that were replaced");
            }
        }
        Ok(())
    }

    /// Those of whose end there is no record: nobody will ever tell. They are told of as targets that no agent saw the end of.
    fn let_go_of_the_gone(&mut self, progress: &mut Progress) -> io::Result<()> {
        let gone: Vec<ProcessKey> = self
            .targets
            .values()
            .map(Process::key)
            .filter(|key| self.persist.accounts_for(*key) && !proc::is_alive(*key))
            .collect();
        for key in gone {
            // Its end may be on record by now.
            let Progress { closed, .. } = self.drain()?;
            progress.closed.extend(closed);
            if self.targets.get(&key.pid).is_some_and(|target| target.key().is(key)) {
                self.persist.identities.remove(&super::in_ticks(key));
                self.unwatch(key, progress)?;
            }
        }
        Ok(())
    }

    /// Watches the agent itself, where its programs outlive it: whoever kills it is told of by the next one.
    pub fn watch_itself(&mut self) {
        if !self.persist.is_on() {
            return;
        }
        // As an ancestor of targets is watched: whom it runs to ask somebody is nobody's concern.
        let own = proc::read_key(std::process::id());
        let watched = own.is_some_and(|own| self.watched.insert_aside(own).is_ok());
        match self.enricher.processes.read(std::process::id()) {
            // Nothing that makes an incident can have happened to it yet.
            Ok(process) if watched => drop(self.add(process, &mut Progress::default())),
            _ => log::warn!("the agent does not watch itself"),
        }
    }

    /// Notes a target, as far as that is of use to a later agent.
    pub(in crate::session) fn note_target(&mut self, process: &Process) {
        let standing = self.members.get(process.key());
        if let Some(log) = self.ring.log().filter(|_| !self.persist.is_recovering) {
            let invocation_id = self.markers.invocation_id(process.pid);
            log.note(Note::Target { process: Box::new(process.clone()), standing, invocation_id });
        }
    }

    /// Notes something else.
    pub(in crate::session) fn note(&mut self, note: Note) {
        if let Some(log) = self.ring.log() {
            log.note(note);
        }
    }

    /// The id of an incident that closes at this moment, `CLOCK_BOOTTIME` nanoseconds; none when an earlier agent has told of it.
    pub(in crate::session) fn closing(
        &mut self,
        key: ProcessKey,
        survived: bool,
        boot_ns: u64,
    ) -> Option<String> {
        let own = self.storage.close(key);
        let id = match self.persist.id(key, survived) {
            Some(id) => id,
            None => {
                self.note(Note::Closing { key, id: own.clone(), survived, boot_ns });
                own
            }
        };
        (!self.persist.has_told(&id)).then_some(id)
    }

    /// An incident was told; or is not to be.
    pub(in crate::session) fn told(&mut self, id: &str, dropped: bool) {
        self.note(Note::Told { id: id.to_owned(), boot_ns: clock::boot_ns(), dropped });
    }

    /// Writes the log anew when it has grown large.
    pub(in crate::session) fn compact_if_large(&mut self) {
        if self.ring.log().is_some_and(|log| log.is_large()) {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let begin = Begin {
            abi: ABI_VERSION,
            boot_id: self.host.boot_id.clone(),
            ring: self.persist.pins.as_ref().map_or(0, Pins::ring_id),
            sequences: self.ring.sequences(),
            lost: self.losses.told(),
        };
        let (members, markers) = (&self.members, &self.markers);
        let targets = self.targets.values().map(|target| Note::Target {
            process: Box::new(target.clone()),
            standing: members.get(target.key()),
            invocation_id: markers.invocation_id(target.pid),
        });
        if let Some(log) = self.ring.log() {
            log.compact(begin, targets);
        }
    }
}
