//! Where the store is, as the command line says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::DEFAULT_PATH;

/// A path, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePath(Option<PathBuf>);

impl StorePath {
    /// No store.
    pub fn none() -> Self {
        Self(None)
    }

    /// The path, when there is to be a store.
    pub fn path(&self) -> Option<PathBuf> {
        self.0.clone()
    }
}

impl Default for StorePath {
    fn default() -> Self {
        Self(Some(DEFAULT_PATH.into()))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => path.display().fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl FromStr for StorePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is neither a path nor none".to_owned()),
            "none" => Ok(Self(None)),
            path => Ok(Self(Some(path.into()))),
        }
    }
}
