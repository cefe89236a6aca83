//! The configuration file (`--config FILE`), in TOML.
//!
//! It is strict: an unknown key is an error, since a setting that is silently ignored is noticed when it is too late.
//! Each table has a file of its own here.

mod error;
mod marker;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::host::markers::MarkerSpec;
pub use error::ConfigError;
use error::{Fault, Place};
use marker::MarkerTable;

/// Largest configuration that is read, bytes.
const CONFIG_CAP: u64 = 1 << 20;

/// What a configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Markers of other services, beside the built-in ones.
    pub markers: Vec<MarkerSpec>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    marker: Vec<MarkerTable>,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], one sentence that names the file and, when its content is at fault, line and key.
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let unreadable = |why: String| ConfigError::Unreadable { path: path.to_owned(), why };
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut bytes = Vec::new();
        file.take(CONFIG_CAP + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        if bytes.len() as u64 > CONFIG_CAP {
            return Err(unreadable(format!("it is larger than {CONFIG_CAP} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes().iter().take(valid).filter(|&&byte| byte == b'\n').count();
            ConfigError::Content {
                path: path.to_owned(),
                place: Place { line, key: None },
                why: "it is not UTF-8".to_owned(),
            }
        })?;
        Config::parse(&text).map_err(|fault| fault.in_file(path, &text))
    }

    fn parse(text: &str) -> Result<Config, Fault> {
        let Document { marker } = toml::from_str(text)?;
        Ok(Config { markers: marker::specs(marker)? })
    }

    /// All markers to look for: the built-in ones and those of this configuration.
    pub fn marker_specs(&self) -> Vec<MarkerSpec> {
        let mut specs = MarkerSpec::builtin();
        specs.extend_from_slice(&self.markers);
        specs
    }
}

#[cfg(test)]
mod tests;
