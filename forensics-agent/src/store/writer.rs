//! Writing, by a thread of its own: the line of an incident goes out at once, and the disk follows.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use forensics_incident::history::History;
use forensics_incident::model::Incident;
use rusqlite::params;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::row::{State, Summary};
use super::{Retention, Store, StoreError};
use crate::host::clock;

/// Incidents that wait for the disk at most; what comes beyond is told as not stored.
const QUEUE: usize = 1024;
/// Incidents of one transaction at most.
const BATCH: usize = 256;
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
    queue: Option<SyncSender<Entry>>,
    failures: UnboundedReceiver<NotStored>,
    failed: UnboundedSender<NotStored>,
    thread: Option<JoinHandle<()>>,
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
        let (queue, entries) = sync_channel(QUEUE);
        let (failed, failures) = unbounded_channel();
        let tell = failed.clone();
        let mut disk = Disk { path, retention, store: None, pruned: None };
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || disk.write_all(&entries, &tell))?;
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
        match queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => refuse("the disk is slower than incidents come"),
            Err(TrySendError::Disconnected(_)) => refuse("the thread that writes has ended"),
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
}

impl Disk {
    fn write_all(&mut self, entries: &Receiver<Entry>, failed: &UnboundedSender<NotStored>) {
        // It is made before the first incident, so that what is wrong with it is told at the start.
        if let Err(why) = self.open() {
            log::warn!("incidents are not stored: {why}");
        }
        while let Ok(first) = entries.recv() {
            let batch: Vec<Entry> =
                std::iter::once(first).chain(entries.try_iter().take(BATCH - 1)).collect();
            let Err(why) = self.write(&batch) else { continue };
            for entry in batch {
                let _ = failed.send(NotStored { id: entry.summary.id, why: why.to_string() });
            }
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

    fn write(&mut self, batch: &[Entry]) -> Result<(), StoreError> {
        let retention = self.retention;
        let prune = self.pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY);
        let written = self.open().and_then(|store| {
            store.insert(batch)?;
            if prune { store.prune(clock::unix_s(), retention).map(|_| ()) } else { Ok(()) }
        });
        match &written {
            Ok(()) if prune => self.pruned = Some(Instant::now()),
            Ok(()) => {}
            Err(why) => {
                // The next incident begins anew: the disk may have room again, the file be another one.
                if why.is_damage() {
                    self.store = None;
                    self.put_aside(why);
                    return self.open().and_then(|store| store.insert(batch));
                }
                self.store = None;
            }
        }
        written
    }
}

impl Store {
    /// Writes incidents in one transaction, which is durable when this returns.
    fn insert(&self, batch: &[Entry]) -> Result<(), StoreError> {
        self.sql(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let sql = "INSERT OR REPLACE INTO incidents (id, ts, state, boot_id, group_id, target, target_pid, unit, who,
                       cause, intent, culprit, instigator, outcome, summary, json)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let mut statement = transaction.prepare_cached(sql)?;
            for Entry { summary, who, boot_id, group_id, json } in batch {
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
            }
            drop(statement);
            transaction.commit()
        })
    }
}
