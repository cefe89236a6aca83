//! Writing, by a thread of its own: the line of an incident goes out at once, and the disk follows.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forensics_incident::history::History;
use forensics_incident::model::Incident;
use rusqlite::{Connection, params};
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::ledger::{self, Ledger, Note};
use super::row::{State, Summary};
use super::{Retention, Store, StoreError};
use crate::host::clock;
use crate::memory;

/// Incidents that wait for the disk at most; what comes beyond is told as not stored.
const QUEUE: usize = 1024;
/// Incidents of one transaction at most.
const BATCH: usize = 256;
/// How often memory is given back at most.
const REST_EVERY: Duration = Duration::from_secs(1);
/// How often what is too old is looked for, while there is something to write.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// An incident that could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotStored {
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// The thread that writes. Dropping it writes what is left.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Work>>,
    failures: UnboundedReceiver<NotStored>,
    failed: UnboundedSender<NotStored>,
    thread: Option<JoinHandle<()>>,
}

/// What is to be written, in the order in which it was asked for.
enum Work {
    Incident(Box<Entry>),
    Note(Note),
    Forget(Vec<String>),
}

/// What is written of an incident.
struct Entry {
    summary: Summary,
    who: String,
    boot_id: String,
    group_id: Option<String>,
    json: String,
}

impl Writer {
    /// Starts to write to a store, which is opened by the thread: a slow disk does not delay the start.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(path: PathBuf, retention: Retention) -> std::io::Result<Self> {
        let (queue, work) = sync_channel(QUEUE);
        let (failed, failures) = unbounded_channel();
        let tell = failed.clone();
        let ledger = Ledger::default();
        let mut disk = Disk { path, retention, store: None, pruned: None, rested: None, ledger };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || disk.write_all(&work, &tell))?;
        Ok(Self { queue: Some(queue), failures, failed, thread: Some(thread) })
    }

    /// Stores an incident, or what is known of an open one; a later call with the same id replaces it.
    pub fn put(&self, incident: &Incident, state: State) {
        let id = || incident.facts.id.clone();
        let refuse = |why: &str| {
            // Nobody listens only when the run is over.
            let _ = self.failed.send(NotStored { id: id(), why: why.to_owned() });
        };
        let Ok(json) = serde_json::to_string(incident) else { return refuse("it is no JSON") };
        let entry = Entry {
            summary: Summary::of(incident, state),
            who: History::who(&incident.facts.target),
            boot_id: incident.facts.boot_id.clone(),
            group_id: incident.facts.group_id.clone(),
            json,
        };
        let Some(queue) = &self.queue else { return };
        match queue.try_send(Work::Incident(Box::new(entry))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => refuse("the disk is slower than incidents come"),
            Err(TrySendError::Disconnected(_)) => refuse("the thread that writes has ended"),
        }
    }

    /// Notes who is being watched. Gives the note back when it must be tried again later.
    ///
    /// # Errors
    /// The disk is slower than notes come.
    pub fn note(&self, note: Note) -> Result<(), Note> {
        let Some(queue) = &self.queue else { return Ok(()) };
        match queue.try_send(Work::Note(note)) {
            Err(TrySendError::Full(Work::Note(note))) => Err(note),
            _ => Ok(()),
        }
    }

    /// Forgets earlier runs, once what was put before is stored.
    pub fn forget(&self, runs: Vec<String>) {
        if let Some(queue) = &self.queue {
            // What is not forgotten is looked at again by the next run.
            let _ = queue.try_send(Work::Forget(runs));
        }
    }

    /// Waits for an incident that could not be stored.
    pub async fn failure(&mut self) -> NotStored {
        match self.failures.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Writes what is left, and returns what could not be stored.
    pub fn finish(mut self) -> Vec<NotStored> {
        self.join();
        std::iter::from_fn(|| self.failures.try_recv().ok()).collect()
    }

    fn join(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It ends when the queue is empty; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.join();
    }
}

/// The store as the thread sees it.
struct Disk {
    path: PathBuf,
    retention: Retention,
    /// None until it is needed, and after a failure.
    store: Option<Store>,
    pruned: Option<Instant>,
    /// When the memory of code was last given back.
    rested: Option<Instant>,
    ledger: Ledger,
}

impl Disk {
    fn write_all(&mut self, work: &Receiver<Work>, failed: &UnboundedSender<NotStored>) {
        // It is made before the first incident, so that what is wrong with it is told at the start.
        if let Err(why) = self.open() {
            log::warn!("incidents are not stored: {why}");
        }
        while let Ok(first) = work.recv() {
            let batch: Vec<Work> = std::iter::once(first).chain(work.try_iter().take(BATCH - 1)).collect();
            let written = self.write(&batch);
            if batch.len() < BATCH {
                self.rest();
            }
            let Err(why) = written else { continue };
            self.ledger.distrust();
            for work in batch {
                match work {
                    Work::Incident(entry) => {
                        let _ = failed.send(NotStored { id: entry.summary.id, why: why.to_string() });
                    }
                    Work::Note(_) | Work::Forget(_) => log::debug!("who is watched is not noted: {why}"),
                }
            }
        }
    }

    /// Nothing waits for the disk: the code of the database is not needed for a while.
    fn rest(&mut self) {
        if self.rested.is_none_or(|at| at.elapsed() >= REST_EVERY) {
            self.rested = Some(Instant::now());
            memory::release_code();
        }
    }

    /// The store, opened when it is not. One that is damaged is put aside: what is in it may still be rescued.
    fn open(&mut self) -> Result<&Store, StoreError> {
        if self.store.is_none() {
            let opened = match Store::open(&self.path) {
                Err(why) if why.is_damage() => {
                    self.put_aside(&why);
                    Store::open(&self.path)
                }
                opened => opened,
            };
            self.store = Some(opened?);
            self.ledger.distrust();
        }
        // It has just been set.
        self.store.as_ref().ok_or_else(|| StoreError::Missing { path: self.path.clone() })
    }

    fn put_aside(&self, why: &StoreError) {
        let aside = self.path.with_extension(format!("damaged-{}", clock::unix_s() as u64));
        match std::fs::rename(&self.path, &aside) {
            Ok(()) => log::warn!("{why}; it is kept as {}, and a new one is begun", aside.display()),
            Err(error) => log::warn!("{why}; it cannot be put aside: {error}"),
        }
        for suffix in ["-wal", "-shm"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            // What is not there is not in the way.
            let _ = std::fs::remove_file(name);
        }
    }

    fn write(&mut self, batch: &[Work]) -> Result<(), StoreError> {
        let retention = self.retention;
        let prune = self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY);
        let written = self.write_once(batch);
        let written = match written {
            Ok(()) if prune => {
                self.open().and_then(|store| store.prune(clock::unix_s(), retention)).map(|_| ())
            }
            written => written,
        };
        match &written {
            Ok(()) if prune => self.pruned = Some(Instant::now()),
            Ok(()) => {}
            Err(why) => {
                // The next incident begins anew: the disk may have room again, the file be another one.
                self.store = None;
                if why.is_damage() {
                    self.put_aside(why);
                    return self.write_once(batch);
                }
            }
        }
        written
    }

    /// Writes everything in one transaction, which is durable when this returns.
    fn write_once(&mut self, batch: &[Work]) -> Result<(), StoreError> {
        self.open()?;
        let (Some(store), ledger) = (&self.store, &mut self.ledger) else { return Ok(()) };
        store.sql(|connection| {
            let transaction = connection.unchecked_transaction()?;
            for work in batch {
                match work {
                    Work::Incident(entry) => insert(entry, &transaction)?,
                    Work::Note(note) => ledger.write(note, &transaction)?,
                    Work::Forget(runs) => ledger::forget(runs, &transaction)?,
                }
            }
            transaction.commit()
        })
    }
}

/// Writes an incident, in place of what was known of it before.
fn insert(entry: &Entry, connection: &Connection) -> Result<(), rusqlite::Error> {
    let Entry { summary, who, boot_id, group_id, json } = entry;
    let sql =
        "INSERT OR REPLACE INTO incidents (id, ts, state, boot_id, group_id, target, target_pid, unit, who,
               cause, intent, culprit, instigator, outcome, summary, json)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![
        summary.id,
        summary.ts,
        summary.state.name(),
        boot_id,
        group_id,
        summary.target,
        summary.target_pid,
        summary.unit,
        who,
        summary.cause,
        summary.intent,
        summary.culprit,
        summary.instigator,
        summary.outcome,
        summary.summary,
        json,
    ])?;
    Ok(())
}
