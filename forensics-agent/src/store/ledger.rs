//! The ledger: who is being watched, by which run of the agent, so that the next one knows what was alive when this one ended.

use std::collections::HashMap;

use forensics_incident::model::{Incident, Process, ProcessKey};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{State, Store, StoreError};

/// Targets that one run notes.
pub const MAX_TARGETS: usize = 4096;

/// A run of the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// UUID of version 7.
    pub id: String,
    /// The kernel's boot id, 32 hexadecimal digits.
    pub boot_id: String,
    /// Pid 1 of that boot, whose start changes when a container is started anew.
    pub init: ProcessKey,
    /// The agent itself.
    pub agent: ProcessKey,
    /// Unix time of its last note, seconds.
    pub seen: f64,
    /// It was stopped in an orderly way.
    pub stopped: bool,
}

/// What has changed since the last note.
#[derive(Debug, Clone)]
pub struct Note {
    /// The run, with the time of the note.
    pub run: Run,
    /// Targets that have come or changed, and those that have gone.
    pub changes: Vec<(ProcessKey, Option<Process>)>,
}

/// What the disk must hold, so that a database that was begun anew, or missed a note, gets all of it.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    targets: HashMap<ProcessKey, String>,
    /// The database has what stands here.
    is_written: bool,
}

impl Ledger {
    /// The next note is written whole.
    pub(super) fn distrust(&mut self) {
        self.is_written = false;
    }

    /// Takes in a note, and writes what the database lacks.
    pub(super) fn write(&mut self, note: &Note, connection: &Connection) -> Result<(), rusqlite::Error> {
        let mut changed = Vec::new();
        for (key, process) in &note.changes {
            match process.as_ref().and_then(|process| serde_json::to_string(process).ok()) {
                Some(json) if self.targets.len() < MAX_TARGETS || self.targets.contains_key(key) => {
                    self.targets.insert(*key, json);
                }
                Some(_) => {}
                None => drop(self.targets.remove(key)),
            }
            changed.push(*key);
        }
        let Run { id, boot_id, init, agent, seen, stopped } = &note.run;
        let sql =
            "INSERT OR REPLACE INTO runs (id, boot_id, init_start, agent_pid, agent_start, seen, stopped)
                   VALUES (?, ?, ?, ?, ?, ?, ?)";
        let start = init.start_boot_ns;
        connection
            .execute(sql, params![id, boot_id, start, agent.pid, agent.start_boot_ns, seen, stopped])?;
        if !self.is_written {
            connection.execute("DELETE FROM targets WHERE run = ?", [id])?;
            changed = self.targets.keys().copied().collect();
        }
        let mut put = connection
            .prepare_cached("INSERT OR REPLACE INTO targets (run, pid, start, json) VALUES (?, ?, ?, ?)")?;
        let mut remove =
            connection.prepare_cached("DELETE FROM targets WHERE run = ? AND pid = ? AND start = ?")?;
        for key in changed {
            match self.targets.get(&key) {
                Some(json) => put.execute(params![id, key.pid, key.start_boot_ns, json])?,
                None => remove.execute(params![id, key.pid, key.start_boot_ns])?,
            };
        }
        self.is_written = true;
        Ok(())
    }
}

/// Forgets runs and their targets.
pub(super) fn forget(runs: &[String], connection: &Connection) -> Result<(), rusqlite::Error> {
    for id in runs {
        connection.execute("DELETE FROM targets WHERE run = ?", [id])?;
        connection.execute("DELETE FROM runs WHERE id = ?", [id])?;
    }
    Ok(())
}

impl Store {
    /// The runs that are noted, oldest first, each with the targets that were alive at its last note.
    ///
    /// # Errors
    /// As SQLite.
    pub fn runs(&self) -> Result<Vec<(Run, Vec<Process>)>, StoreError> {
        let runs: Vec<Run> = self.sql(|connection| {
            let sql =
                "SELECT id, boot_id, init_start, agent_pid, agent_start, seen, stopped FROM runs ORDER BY id";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(Run {
                    id: row.get(0)?,
                    boot_id: row.get(1)?,
                    init: ProcessKey { pid: 1, start_boot_ns: row.get(2)? },
                    agent: ProcessKey { pid: row.get(3)?, start_boot_ns: row.get(4)? },
                    seen: row.get(5)?,
                    stopped: row.get(6)?,
                })
            })?;
            rows.collect()
        })?;
        let targets = |run: &Run| {
            self.sql(|connection| {
                let mut statement =
                    connection.prepare("SELECT json FROM targets WHERE run = ? ORDER BY pid")?;
                let rows = statement.query_map([&run.id], |row| row.get::<_, String>(0))?;
                rows.collect::<Result<Vec<_>, _>>()
            })
        };
        let with_targets = |run: Run| {
            let lines = targets(&run)?;
            // One that is not readable is one less to tell of.
            let read = lines.iter().filter_map(|json| serde_json::from_str(json).ok()).collect();
            Ok((run, read))
        };
        runs.into_iter().map(with_targets).collect()
    }

    /// The last incident of a process in a boot, with its state: what was told of it already.
    ///
    /// # Errors
    /// As SQLite.
    pub fn last_of(
        &self,
        boot_id: &str,
        process: ProcessKey,
    ) -> Result<Option<(State, Incident)>, StoreError> {
        let found: Option<(String, String)> = self.sql(|connection| {
            let sql = "SELECT state, json FROM incidents WHERE boot_id = ? AND target_pid = ?
                       AND (state = 'open' OR outcome <> 'survived') ORDER BY ts DESC LIMIT 1";
            connection
                .query_row(sql, params![boot_id, process.pid], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })?;
        let read = found.and_then(|(state, json)| {
            let incident: Incident = serde_json::from_str(&json).ok()?;
            let state = if state == State::Open.name() { State::Open } else { State::Closed };
            Some((state, incident))
        });
        Ok(read.filter(|(_, incident)| incident.facts.target.key().is(process)))
    }
}
