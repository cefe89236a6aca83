//! Reading: one incident, or many.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, params, params_from_iter};

use forensics_incident::history::PastEnd;
use forensics_incident::model::Incident;

use super::row::{COLUMNS, Summary};
use super::{Filter, State, Store, StoreError};

/// What an id may mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// One incident, as the line that was printed.
    One {
        /// Its id.
        id: String,
        /// The line.
        json: String,
    },
    /// None.
    None,
    /// The given part belongs to several; so many.
    Several(u64),
}

impl Store {
    /// Incidents, the newest first, at most so many.
    ///
    /// # Errors
    /// As SQLite.
    pub fn list(&self, filter: &Filter, limit: u32) -> Result<Vec<Summary>, StoreError> {
        let (condition, mut values) = filter.sql();
        values.push(i64::from(limit).into());
        // What is looked for may be in none of them, so that all are searched: that must not lead through the lines.
        let sql = format!(
            "SELECT {COLUMNS} FROM incidents WHERE id IN
             (SELECT id FROM incidents WHERE {condition} ORDER BY ts DESC LIMIT ?) ORDER BY ts DESC"
        );
        self.sql(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(values), Summary::from_row)?;
            rows.collect()
        })
    }

    /// The lines of incidents as they were printed, the oldest first.
    ///
    /// # Errors
    /// As SQLite.
    pub fn lines(&self, filter: &Filter, limit: u32) -> Result<Vec<String>, StoreError> {
        let (condition, mut values) = filter.sql();
        values.push(i64::from(limit).into());
        let sql = format!("SELECT json FROM incidents WHERE {condition} ORDER BY ts DESC LIMIT ?");
        let mut lines: Vec<String> = self.sql(|connection| {
            let mut statement = connection.prepare(&sql)?;
            let rows = statement.query_map(params_from_iter(values), |row| row.get(0))?;
            rows.collect()
        })?;
        lines.reverse();
        Ok(lines)
    }

    /// The incident of an id, of a beginning or an end of one, or the `last` one.
    ///
    /// # Errors
    /// As SQLite.
    pub fn find(&self, id: &str) -> Result<Found, StoreError> {
        let one = |(id, json)| Found::One { id, json };
        if id == "last" {
            let sql = "SELECT id, json FROM incidents ORDER BY ts DESC LIMIT 1";
            let last = self.sql(|connection| {
                connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
            })?;
            return Ok(last.map_or(Found::None, one));
        }
        // Ids are hexadecimal digits and hyphens; anything else is none, and must not be a pattern.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Ok(Found::None);
        }
        let id = id.to_ascii_lowercase();
        let found: Vec<(String, String)> = self.sql(|connection| {
            let sql = "SELECT id, json FROM incidents WHERE id GLOB ? OR id GLOB ? LIMIT 100";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map(params![format!("{id}*"), format!("*{id}")], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        })?;
        let several = Found::Several(found.len() as u64);
        let mut found = found.into_iter();
        Ok(match (found.next(), found.next()) {
            (None, _) => Found::None,
            (Some(only), None) => one(only),
            (Some(_), Some(_)) => several,
        })
    }

    /// The incidents that were open when their agent ended, the oldest first.
    ///
    /// # Errors
    /// As SQLite, or one of them is not readable.
    pub fn open_incidents(&self) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<(String, String)> = self.sql(|connection| {
            let sql = "SELECT id, json FROM incidents WHERE state = ? ORDER BY ts";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([State::Open.name()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        })?;
        let read = |(id, json): (String, String)| {
            serde_json::from_str(&json).map_err(|why| StoreError::Damaged {
                path: self.path.clone(),
                id,
                why,
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Those of these ids whose incidents are stored and closed.
    ///
    /// # Errors
    /// As SQLite.
    pub fn closed_among(&self, ids: impl Iterator<Item = String>) -> Result<HashSet<String>, StoreError> {
        self.sql(|connection| {
            let mut statement =
                connection.prepare("SELECT 1 FROM incidents WHERE id = ? AND state = 'closed'")?;
            let mut closed = HashSet::new();
            for id in ids {
                if statement.exists([&id])? {
                    closed.insert(id);
                }
            }
            Ok(closed)
        })
    }

    /// The ends since a Unix time, oldest first, at most so many of the newest: time, who (unit or program), cause and
    /// group of each.
    ///
    /// # Errors
    /// As SQLite.
    pub fn ends_since(&self, since: f64, limit: u32) -> Result<Vec<PastEnd>, StoreError> {
        let sql = "SELECT id, ts, who, group_id FROM incidents
                   WHERE ts >= ? AND state = 'closed' AND cause <> 'survived' ORDER BY ts DESC LIMIT ?";
        let mut ends: Vec<PastEnd> = self.sql(|connection| {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map(params![since, limit], |row| {
                Ok(PastEnd { id: row.get(0)?, ts: row.get(1)?, who: row.get(2)?, group_id: row.get(3)? })
            })?;
            rows.collect()
        })?;
        ends.reverse();
        Ok(ends)
    }
}
