//! How long incidents are kept.

use super::{Store, StoreError};

/// Days that an incident is kept.
const DAYS: f64 = 90.0;
/// Bytes that the database may take.
const BYTES: u64 = 512 << 20;
/// Seconds of a day.
const DAY_S: f64 = 86_400.0;
/// Of the oldest, so many are given up at a time when the database is too large.
const AT_A_TIME: u32 = 500;
/// Pages that are given back to the file system at a time.
const PAGES: u32 = 4096;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Seconds.
    pub age_s: f64,
    /// Bytes of the database.
    pub bytes: u64,
}

impl Default for Retention {
    /// 90 days, 512 MiB.
    fn default() -> Self {
        Self { age_s: DAYS * DAY_S, bytes: BYTES }
    }
}

impl Store {
    /// Gives up what is too old, and the oldest where the database is too large. `now` is the Unix time, seconds.
    /// Returns how many incidents were given up.
    ///
    /// # Errors
    /// As SQLite.
    pub fn prune(&self, now: f64, retention: Retention) -> Result<u64, StoreError> {
        let Retention { age_s, bytes } = retention;
        let old = "DELETE FROM incidents WHERE ts < ? AND state = 'closed'";
        let mut gone = self.sql(|connection| connection.execute(old, [now - age_s]))? as u64;
        while self.used_bytes()? > bytes {
            let oldest = "DELETE FROM incidents WHERE id IN
                          (SELECT id FROM incidents WHERE state = 'closed' ORDER BY ts LIMIT ?)";
            match self.sql(|connection| connection.execute(oldest, [AT_A_TIME]))? {
                0 => break,
                deleted => gone += deleted as u64,
            }
        }
        if gone > 0 {
            let give_back = format!("PRAGMA incremental_vacuum({PAGES})");
            self.sql(|connection| connection.execute_batch(&give_back))?;
        }
        Ok(gone)
    }

    /// Bytes of the database that hold something.
    fn used_bytes(&self) -> Result<u64, StoreError> {
        let pragma = |name: &str| {
            self.sql(|connection| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0)))
        };
        Ok((pragma("page_count")?.saturating_sub(pragma("freelist_count")?)) * pragma("page_size")?)
    }
}
