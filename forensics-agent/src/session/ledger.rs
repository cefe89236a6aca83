//! Who is watched, noted for the next run of the agent.
//!
//! Notes are written a second after something has changed, and with what wakes the agent up anyway: nothing here makes an idle
//! agent wake up.

use std::collections::HashMap;

use forensics_incident::model::{Process, ProcessKey};

use super::host;
use crate::host::{clock, proc};
use crate::store::{MAX_TARGETS, Note, Run, Writer};

/// How long after a change it is written, nanoseconds: what comes and goes within that is not written at all.
const DELAY_NS: u64 = 1_000_000_000;
/// How often that the agent is at work is noted, while it wakes up anyway, nanoseconds.
const HEARTBEAT_NS: u64 = 60_000_000_000;

/// What is to be noted.
#[derive(Debug)]
pub(super) struct Ledger {
    run: Run,
    changes: HashMap<ProcessKey, Option<Process>>,
    /// When the changes are written, `CLOCK_BOOTTIME` nanoseconds.
    due: Option<u64>,
    /// When the last note was written, the same.
    noted: u64,
}

impl Ledger {
    /// Of a run that begins in this boot. None where `/proc` does not tell who the agent is.
    pub(super) fn new(boot_id: &str) -> Option<Self> {
        let run = Run {
            id: host::new_id(),
            boot_id: boot_id.to_owned(),
            init: proc::read_key(1)?,
            agent: proc::read_key(std::process::id())?,
            seen: clock::unix_s(),
            stopped: false,
        };
        Some(Self { run, changes: HashMap::new(), due: None, noted: 0 })
    }

    /// The run that it is about.
    pub(super) fn run(&self) -> &Run {
        &self.run
    }

    /// A target has come, or become another program.
    pub(super) fn came(&mut self, target: &Process) {
        let alone = Process { ancestors: Vec::new(), ..target.clone() };
        self.change(target.key(), Some(alone));
    }

    /// A target has gone.
    pub(super) fn gone(&mut self, target: ProcessKey) {
        self.change(target, None);
    }

    fn change(&mut self, key: ProcessKey, process: Option<Process>) {
        // What has gone must be noted, whatever else there is.
        if process.is_none() || self.changes.len() < MAX_TARGETS {
            self.changes.insert(key, process);
            self.due.get_or_insert(clock::boot_ns().saturating_add(DELAY_NS));
        }
    }

    /// When there is something to write, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) fn due(&self) -> Option<u64> {
        self.due
    }

    /// The agent is awake, and may note that it is at work.
    pub(super) fn beat(&mut self, now: u64) {
        if now.saturating_sub(self.noted) >= HEARTBEAT_NS {
            self.due = Some(now);
        }
    }

    /// Writes what is due.
    pub(super) fn write(&mut self, now: u64, writer: &Writer) {
        if self.due.is_some_and(|due| due <= now) {
            self.note(now, writer);
        }
    }

    /// Notes that the run ends in an orderly way.
    pub(super) fn stop(&mut self, writer: &Writer) {
        self.run.stopped = true;
        self.note(clock::boot_ns(), writer);
    }

    fn note(&mut self, now: u64, writer: &Writer) {
        self.run.seen = clock::unix_s();
        let changes = std::mem::take(&mut self.changes).into_iter().collect();
        match writer.note(Note { run: self.run.clone(), changes }) {
            Ok(()) => (self.due, self.noted) = (None, now),
            Err(Note { run: _, changes }) => {
                self.changes.extend(changes);
                self.due = Some(now.saturating_add(DELAY_NS));
            }
        }
    }
}
