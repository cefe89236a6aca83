//! What outlives the incidents: their records in the store, and the ends that later ones are compared with.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;

use forensics_incident::history::{History, PastEnd};
use forensics_incident::model::{Facts, Incident, OutcomeKind, Process, ProcessKey};

use super::host;
use super::ledger::Ledger;
use crate::host::clock;
use crate::store::{NotStored, Retention, Run, State, Store, StoreError, Writer};

/// Ends that are remembered.
const MAX_PAST: usize = 4096;
/// How long ago an end may be to tell something, seconds.
const PAST_S: f64 = 86_400.0;
/// Targets with an open incident that are followed.
const MAX_OPEN: usize = 4096;

/// The store's writer, and what must be known without asking the disk.
#[derive(Debug, Default)]
pub(super) struct Storage {
    writer: Option<Writer>,
    past: VecDeque<PastEnd>,
    /// Ids of incidents that are open.
    open: HashMap<ProcessKey, String>,
    /// Those that have grown since they were last written.
    grown: BTreeSet<ProcessKey>,
    /// Who is watched, when that is noted.
    ledger: Option<Ledger>,
}

impl Storage {
    /// Begins to write to a store, when there is to be one. With a ledger, the targets are noted there.
    pub(super) fn start(path: Option<PathBuf>, ledger: Option<Ledger>) -> Self {
        let started = path.map(|path| Writer::start(path, Retention::default()));
        let writer = started.and_then(|started| {
            started.inspect_err(|error| log::warn!("incidents are not stored: {error}")).ok()
        });
        let ledger = ledger.filter(|_| writer.is_some());
        Self { writer, ledger, ..Self::default() }
    }

    /// The run that is noted.
    pub(super) fn run(&self) -> Option<&Run> {
        self.ledger.as_ref().map(Ledger::run)
    }

    /// A target has come, or become another program.
    pub(super) fn came(&mut self, target: &Process) {
        if let Some(ledger) = &mut self.ledger {
            ledger.came(target);
        }
    }

    /// A target has gone.
    pub(super) fn gone(&mut self, target: ProcessKey) {
        if let Some(ledger) = &mut self.ledger {
            ledger.gone(target);
        }
    }

    /// The agent is awake.
    pub(super) fn beat(&mut self) {
        if let Some(ledger) = &mut self.ledger {
            ledger.beat(clock::boot_ns());
        }
    }

    /// When [`Self::note`] has something to do, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.ledger.as_ref().and_then(Ledger::due)
    }

    /// Notes what is due.
    pub(super) fn note(&mut self) {
        if let (Some(ledger), Some(writer)) = (&mut self.ledger, &self.writer) {
            ledger.write(clock::boot_ns(), writer);
        }
    }

    /// Forgets earlier runs, once what was put before is stored.
    pub(super) fn forget_runs(&self, runs: Vec<String>) {
        if let Some(writer) = &self.writer {
            writer.forget(runs);
        }
    }

    /// Reads the ends of the last day, with which those to come are compared.
    pub(super) fn recall(&mut self, path: &std::path::Path) {
        let since = clock::unix_s() - PAST_S;
        let read = Store::read(path).and_then(|store| store.ends_since(since, MAX_PAST as u32));
        match read {
            Ok(ends) => self.past = ends.into(),
            Err(StoreError::Missing { .. }) => {}
            Err(why) => log::debug!("earlier ends are not known: {why}"),
        }
    }

    /// A target is asked to end, or has received another signal since.
    pub(super) fn grow(&mut self, target: ProcessKey, opens: bool) {
        if self.writer.is_none() {
            return;
        }
        if opens && self.open.len() < MAX_OPEN {
            self.open.entry(target).or_insert_with(host::new_id);
        }
        if self.open.contains_key(&target) {
            self.grown.insert(target);
        }
    }

    /// An incident that an earlier agent stored as open goes on under its id.
    pub(super) fn reopen(&mut self, target: ProcessKey, id: String) {
        self.open.insert(target, id);
    }

    /// The open incidents that have grown since this was last asked, each with its id.
    pub(super) fn take_grown(&mut self) -> Vec<(ProcessKey, String)> {
        let grown = std::mem::take(&mut self.grown);
        grown.into_iter().filter_map(|key| Some((key, self.open.get(&key)?.clone()))).collect()
    }

    /// The id of an incident that closes now.
    pub(super) fn close(&mut self, target: ProcessKey) -> String {
        self.grown.remove(&target);
        self.open.remove(&target).unwrap_or_else(host::new_id)
    }

    /// What earlier ends say of this one.
    pub(super) fn history(&mut self, facts: &Facts) -> Option<History> {
        let past = self.past.make_contiguous();
        let earlier = past.iter().position(|end| end.id == facts.id).unwrap_or(past.len());
        History::of(past.get(..earlier)?, &History::who(&facts.target), facts.ts, facts.group_id.as_deref())
    }

    /// Stores an incident, and remembers its end.
    pub(super) fn put(&mut self, incident: &Incident, state: State) {
        if let Some(writer) = &self.writer {
            writer.put(incident, state);
        }
        let facts = &incident.facts;
        let is_end = state == State::Closed && facts.outcome.kind != OutcomeKind::Survived;
        if !is_end || self.past.iter().rev().any(|end| end.id == facts.id) {
            return;
        }
        if self.past.len() == MAX_PAST {
            self.past.pop_front();
        }
        self.past.push_back(PastEnd {
            id: facts.id.clone(),
            ts: facts.ts,
            who: History::who(&facts.target),
            group_id: facts.group_id.clone(),
        });
    }

    /// Waits for an incident that could not be stored.
    pub(super) async fn failure(&mut self) -> NotStored {
        match &mut self.writer {
            Some(writer) => writer.failure().await,
            None => std::future::pending().await,
        }
    }

    /// Writes what is left, and returns what could not be stored.
    pub(super) fn finish(&mut self) -> Vec<NotStored> {
        if let (Some(ledger), Some(writer)) = (&mut self.ledger, &self.writer) {
            ledger.stop(writer);
        }
        self.writer.take().map(Writer::finish).unwrap_or_default()
    }
}
