//! What the commands that read the store have in common: where it is, and which incidents are meant.

use std::path::PathBuf;

use crate::moment::Moment;
use crate::store::{DEFAULT_PATH, Filter, Store, StoreError};

use super::failure::Failure;

/// Where the store is.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Database of incidents
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    pub store: PathBuf,
}

impl Place {
    /// Opens it for reading.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(&self) -> Result<Store, Failure> {
        Store::read(&self.store).map_err(failure)
    }
}

/// Which incidents.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// From this moment on: '2026-11-24 03:17', yesterday, -2h, '2h ago', @UNIX
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// Up to this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<Moment>,
    /// A pid, or a part of the program's name
    #[arg(long, value_name = "PID|NAME")]
    pub target: Option<String>,
    /// Unit of the target; globs are allowed
    #[arg(short, long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// Cause, as oom or systemd-stop
    #[arg(long, value_name = "CAUSE")]
    pub cause: Option<String>,
    /// A part of the command line of who asked for it, or of who is to blame
    #[arg(long, value_name = "TEXT")]
    pub instigator: Option<String>,
}

impl Which {
    /// The same as conditions.
    pub fn filter(&self) -> Filter {
        let Self { since, until, target, unit, cause, instigator } = self.clone();
        Filter {
            since: since.map(|moment| moment.0),
            until: until.map(|moment| moment.0),
            target,
            unit,
            cause,
            instigator,
        }
    }
}

/// The store is not there or not readable.
pub fn failure(error: StoreError) -> Failure {
    match error {
        StoreError::Missing { .. } => Failure::usage(error.to_string()),
        StoreError::Inaccessible { .. } => Failure::kernel(error.to_string()),
        StoreError::Newer { .. } | StoreError::Database { .. } | StoreError::Damaged { .. } => {
            Failure::cannot_tell(error.to_string())
        }
    }
}
