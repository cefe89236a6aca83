//! The tables, and what the file promises.

use rusqlite::Connection;

/// The format of the database (`PRAGMA user_version`).
pub(super) const VERSION: i64 = 3;

/// The columns are what `list` and `stats` look at; the whole incident stands in `json`, as it was printed.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY,
    ts REAL NOT NULL,
    state TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    group_id TEXT,
    target TEXT NOT NULL,
    target_pid INTEGER NOT NULL,
    unit TEXT,
    who TEXT NOT NULL,
    cause TEXT NOT NULL,
    intent TEXT NOT NULL,
    culprit TEXT,
    instigator TEXT,
    outcome TEXT NOT NULL,
    summary TEXT NOT NULL,
    json TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incidents_by_unit ON incidents (unit, ts);
CREATE INDEX IF NOT EXISTS incidents_by_cause ON incidents (cause, ts);
CREATE INDEX IF NOT EXISTS incidents_that_are_open ON incidents (id) WHERE state = 'open';
";

/// What came with format 2: the ledger of targets, and the way from a process to its incidents.
const LEDGER: &str = "
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    init_start INTEGER NOT NULL,
    agent_pid INTEGER NOT NULL,
    agent_start INTEGER NOT NULL,
    seen REAL NOT NULL,
    stopped INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS targets (
    run TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (run, pid, start)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incidents_by_target ON incidents (target_pid, ts);
";

/// What came with format 3: all that incidents are searched and counted by, side by side. In the table the lines stand between,
/// some kilobytes each.
const SEARCH: &str = "
CREATE INDEX IF NOT EXISTS incidents_for_search ON incidents
    (ts, target, target_pid, unit, cause, culprit, instigator, state, who, group_id);
DROP INDEX IF EXISTS incidents_by_time;
";

/// The format of an open database; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables where there are none, and sets what holds for every connection that writes.
///
/// A write-ahead log with `synchronous=FULL` is durable when a transaction has returned
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>); the page cache is kept small, since the agent is.
pub(super) fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    let found = version(connection)?;
    if found == 0 {
        connection.execute_batch(TABLES)?;
    }
    if found < VERSION {
        connection.execute_batch(LEDGER)?;
        connection.execute_batch(SEARCH)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}
