//! The incident store: every incident in an embedded SQLite database, so that nothing is forgotten.
//!
//! One thread writes ([`Writer`]); commands read with connections of their own ([`Store`]). A store that cannot be
//! written never stops the watching: what was not stored is told, and the next incident tries again.

mod filter;
mod ledger;
mod query;
mod retention;
mod row;
mod schema;
mod stats;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

pub use filter::Filter;
pub use ledger::{MAX_TARGETS, Note, Run};
pub use query::Found;
pub use retention::Retention;
pub use row::{State, Summary};
pub use stats::{Loop, Stats, Tally};
pub use writer::{NotStored, Writer};

/// Where incidents are kept unless it is said otherwise.
pub const DEFAULT_PATH: &str = "/var/lib/forensics-agent/incidents.db";

/// How long a writer waits for another one.
const BUSY: Duration = Duration::from_secs(2);

/// Why the store cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none yet.
    #[error("{} does not exist: no incident was stored there yet", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Its directory or file cannot be made or opened.
    #[error("{}: {why}", path.display())]
    Inaccessible {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        why: io::Error,
    },
    /// A newer agent made it.
    #[error(
        "{} was made by a newer forensics-agent (its format is {found}, this one knows {known})",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// SQLite refused.
    #[error("{}: {why}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        why: rusqlite::Error,
    },
    /// A stored incident is not readable.
    #[error("the incident {id} in {} is not readable: {why}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The incident.
        id: String,
        /// What is wrong with it.
        why: serde_json::Error,
    },
}

impl StoreError {
    /// True when the file is no database, or a broken one: nothing will ever be read from it again.
    fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Database { why, .. } = self else { return false };
        matches!(why.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store for writing, and makes it when it is not there: the file for its owner alone (0600), in a
    /// directory for its owner alone (0700).
    ///
    /// # Errors
    /// It cannot be made or opened, is damaged, or was made by a newer agent.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let inaccessible = |path: &Path, why| StoreError::Inaccessible { path: path.to_owned(), why };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|why| inaccessible(directory, why))?;
        }
        // SQLite gives its own files the mode of the database.
        let created = File::options().read(true).append(true).create(true).mode(0o600).open(path);
        created.map_err(|why| inaccessible(path, why))?;
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.sql(schema::prepare)?;
        store.known_format()?;
        Ok(store)
    }

    /// Opens the store for reading.
    ///
    /// # Errors
    /// It is not there, cannot be opened, is damaged, or was made by a newer agent.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        if let Err(why) = std::fs::metadata(path) {
            return Err(match why.kind() {
                io::ErrorKind::NotFound => StoreError::Missing { path: path.to_owned() },
                _ => StoreError::Inaccessible { path: path.to_owned(), why },
            });
        }
        // A reader of a WAL needs to write its shared memory; where that is forbidden, it reads all the same.
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .or_else(|_| Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        store.sql(|connection| connection.pragma_update(None, "query_only", true))?;
        store.known_format()?;
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| connection.busy_timeout(BUSY).map(|()| connection))
            .map_err(|why| StoreError::Database { path: path.to_owned(), why })?;
        Ok(Self { connection, path: path.to_owned() })
    }

    fn known_format(&self) -> Result<(), StoreError> {
        let found = self.sql(schema::version)?;
        if found > schema::VERSION {
            return Err(StoreError::Newer { path: self.path.clone(), found, known: schema::VERSION });
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs something on the connection; what SQLite says is told with the path.
    fn sql<T>(&self, run: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        run(&self.connection).map_err(|why| StoreError::Database { path: self.path.clone(), why })
    }
}
