//! Who kills what, how often, at what hours; and what dies again and again.

use forensics_incident::history::History;
use rusqlite::{Connection, params_from_iter, types::Value};
use serde::Serialize;

use super::{Filter, Store, StoreError};

/// Rows of a table.
const ROWS: u32 = 10;
/// Ends of one service, each within [`LOOP_GAP_S`] of the one before, that make a loop.
const LOOP_ENDS: usize = 3;
/// Seconds.
const LOOP_GAP_S: f64 = 900.0;
/// Loops that are told.
const LOOPS: usize = 10;

/// How often something stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// Who or what.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// A service that ended again and again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loop {
    /// The unit, with the process of it that ended; or the command line where there is none.
    pub name: String,
    /// Its ends.
    pub count: u64,
    /// Unix time of the first, seconds.
    pub from: f64,
    /// Unix time of the last, seconds.
    pub to: f64,
}

/// What stands in the store, counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// `forensics-agent/stats/1`
    pub schema: &'static str,
    /// Incidents that are meant.
    pub incidents: u64,
    /// By cause.
    pub causes: Vec<Tally>,
    /// By who died: the unit, or the program where there is none.
    pub targets: Vec<Tally>,
    /// By who is to blame or asked for it, and whom it met, as `pkill -f x → nginx.service`.
    pub killers: Vec<Tally>,
    /// By hour of the day, local time, 0 to 23.
    pub hours: [u64; 24],
    /// What ended again and again, the longest first.
    pub loops: Vec<Loop>,
}

impl Store {
    /// Counts what a filter means.
    ///
    /// # Errors
    /// As SQLite.
    pub fn stats(&self, filter: &Filter) -> Result<Stats, StoreError> {
        let (condition, values) = filter.sql();
        self.sql(|connection| {
            let tally =
                |what: &str, also: &str| tally(connection, what, &format!("{condition}{also}"), &values);
            Ok(Stats {
                schema: "forensics-agent/stats/1",
                incidents: count(connection, &condition, &values)?,
                causes: tally("cause", "")?,
                targets: tally("coalesce(unit, target)", "")?,
                killers: tally(
                    "coalesce(instigator, culprit) || ' → ' || coalesce(unit, target)",
                    " AND coalesce(instigator, culprit) IS NOT NULL",
                )?,
                hours: hours(connection, &condition, &values)?,
                loops: loops(connection, &condition, &values)?,
            })
        })
    }
}

fn count(connection: &Connection, condition: &str, values: &[Value]) -> Result<u64, rusqlite::Error> {
    let sql = format!("SELECT count(*) FROM incidents WHERE {condition}");
    connection.query_row(&sql, params_from_iter(values), |row| row.get(0))
}

fn tally(
    connection: &Connection,
    what: &str,
    condition: &str,
    values: &[Value],
) -> Result<Vec<Tally>, rusqlite::Error> {
    let sql = format!(
        "SELECT {what}, count(*) FROM incidents WHERE {condition} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {ROWS}"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement
        .query_map(params_from_iter(values), |row| Ok(Tally { name: row.get(0)?, count: row.get(1)? }))?;
    rows.collect()
}

fn hours(connection: &Connection, condition: &str, values: &[Value]) -> Result<[u64; 24], rusqlite::Error> {
    let sql = format!(
        "SELECT CAST(strftime('%H', ts, 'unixepoch', 'localtime') AS INTEGER), count(*)
         FROM incidents WHERE {condition} GROUP BY 1"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut hours = [0; 24];
    while let Some(row) = rows.next()? {
        let hour: Option<usize> = row.get(0)?;
        if let Some(slot) = hour.and_then(|hour| hours.get_mut(hour)) {
            *slot = row.get(1)?;
        }
    }
    Ok(hours)
}

fn loops(connection: &Connection, condition: &str, values: &[Value]) -> Result<Vec<Loop>, rusqlite::Error> {
    // Those that died by one act died once.
    let sql = format!(
        "SELECT who, min(ts) FROM incidents
         WHERE {condition} AND state = 'closed' AND cause <> 'survived'
         GROUP BY 1, coalesce(group_id, id) ORDER BY 1, 2"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut loops: Vec<Loop> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, ts): (String, f64) = (row.get(0)?, row.get(1)?);
        match loops.last_mut() {
            Some(held) if held.name == name && ts - held.to <= LOOP_GAP_S => {
                held.count += 1;
                held.to = ts;
            }
            _ => loops.push(Loop { name, count: 1, from: ts, to: ts }),
        }
    }
    loops.retain(|found| found.count >= LOOP_ENDS as u64);
    loops.sort_by_key(|found| std::cmp::Reverse(found.count));
    loops.truncate(LOOPS);
    for found in &mut loops {
        found.name = History::name(&found.name);
    }
    Ok(loops)
}
