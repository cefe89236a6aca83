//! The configuration file (`--config FILE`), in TOML.
//!
//! It is strict: an unknown key is an error, since a setting that is silently ignored is noticed when it is too late.
//! Each table has a file of its own here.

mod error;
mod marker;
mod on_incident;
mod targets;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::cli::ShowCmdline;
use crate::host::markers::MarkerSpec;
use crate::request::Mode;
use crate::service::OnIncident;
use crate::targets::{SignalSet, TargetArgs};
pub use error::ConfigError;
use error::{Fault, Place};
use marker::MarkerTable;
use on_incident::LimitsTable;
use targets::TargetsTable;
use toml::Spanned;

/// Largest configuration that is read, bytes.
const CONFIG_CAP: u64 = 1 << 20;

/// What a configuration says. The command line comes before it where both set one thing; targets add up.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Which processes `watch` is to watch.
    pub targets: TargetArgs,
    /// Signals that count.
    pub signals: Option<SignalSet>,
    /// Seconds that the services need to drain, 0 or more.
    pub drain_timeout: Option<f64>,
    /// How much of command lines is kept.
    pub show_cmdline: Option<ShowCmdline>,
    /// How those who ask managers are found out.
    pub instigator: Option<Mode>,
    /// Incidents are written to the journal.
    pub journald: bool,
    /// The kernel programs outlive the agent.
    pub persist: bool,
    /// A command to run for incidents.
    pub on_incident: Option<OnIncident>,
    /// Markers of other services, beside the built-in ones.
    pub markers: Vec<MarkerSpec>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    targets: TargetsTable,
    signals: Option<Spanned<String>>,
    drain_timeout: Option<Spanned<f64>>,
    show_cmdline: Option<ShowCmdline>,
    instigator: Option<Mode>,
    #[serde(default)]
    journald: bool,
    #[serde(default)]
    persist: bool,
    on_incident: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    on_incident_limits: LimitsTable,
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
        let Document {
            targets,
            signals,
            drain_timeout,
            show_cmdline,
            instigator,
            journald,
            persist,
            on_incident,
            on_incident_limits,
            marker,
        } = toml::from_str(text)?;
        Ok(Config {
            targets: targets.into_args()?,
            signals: signals.map(signal_set).transpose()?,
            drain_timeout: drain_timeout.map(seconds).transpose()?,
            show_cmdline,
            instigator,
            journald,
            persist,
            on_incident: on_incident::read(on_incident, on_incident_limits)?,
            markers: marker::specs(marker)?,
        })
    }

    /// All markers to look for: the built-in ones and those of this configuration.
    pub fn marker_specs(&self) -> Vec<MarkerSpec> {
        let mut specs = MarkerSpec::builtin();
        specs.extend_from_slice(&self.markers);
        specs
    }
}

fn signal_set(text: Spanned<String>) -> Result<SignalSet, Fault> {
    text.as_ref().parse().map_err(|why| Fault { span: text.span(), why })
}

fn seconds(number: Spanned<f64>) -> Result<f64, Fault> {
    let seconds = *number.as_ref();
    if seconds.is_finite() && seconds >= 0.0 {
        return Ok(seconds);
    }
    Err(Fault { span: number.span(), why: format!("{seconds} is not a number of seconds") })
}

#[cfg(test)]
mod tests;
