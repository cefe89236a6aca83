//! `on_incident`, and the table `[on_incident_limits]` beside it.

use std::time::Duration;

use forensics_incident::model::{Cause, Intent};
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;
use crate::service::OnIncident;

/// The table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    causes: Vec<Cause>,
    intents: Vec<Intent>,
    burst: Option<Spanned<u32>>,
    per_hour: Option<Spanned<u32>>,
    timeout: Option<Spanned<f64>>,
}

/// How many times at once, unless it is said.
const BURST: u32 = 5;
/// How many times an hour in the long run, unless it is said.
const PER_HOUR: u32 = 60;
/// How long it may take, seconds, unless it is said.
const TIMEOUT: f64 = 30.0;
/// The longest that makes sense, seconds.
const TIMEOUT_MAX: f64 = 3600.0;

/// What is to be run, if anything is.
///
/// # Errors
/// What cannot be run.
pub(super) fn read(
    command: Option<Vec<Spanned<String>>>,
    limits: LimitsTable,
) -> Result<Option<OnIncident>, Fault> {
    let LimitsTable { causes, intents, burst, per_hour, timeout } = limits;
    let burst = burst.map(at_least_one).transpose()?.unwrap_or(BURST);
    let per_hour = per_hour.map(at_least_one).transpose()?.unwrap_or(PER_HOUR);
    let timeout = timeout.map(seconds).transpose()?.unwrap_or(TIMEOUT);
    let Some(command) = command else { return Ok(None) };
    for (index, word) in command.iter().enumerate() {
        let text: &str = word.as_ref();
        let wrong = match () {
            () if text.contains('\0') => "must not contain a NUL",
            () if index == 0 && !text.starts_with('/') => "must be the absolute path of a program",
            () => continue,
        };
        return Err(Fault { span: word.span(), why: format!("{text:?} {wrong}") });
    }
    let command: Vec<String> = command.into_iter().map(Spanned::into_inner).collect();
    // Without a program, nothing is run.
    let timeout = Duration::from_secs_f64(timeout);
    Ok((!command.is_empty()).then_some(OnIncident { command, causes, intents, burst, per_hour, timeout }))
}

fn at_least_one(number: Spanned<u32>) -> Result<u32, Fault> {
    match *number.as_ref() {
        0 => Err(Fault { span: number.span(), why: "must be 1 or more".to_owned() }),
        good => Ok(good),
    }
}

fn seconds(number: Spanned<f64>) -> Result<f64, Fault> {
    let seconds = *number.as_ref();
    if seconds > 0.0 && seconds <= TIMEOUT_MAX {
        return Ok(seconds);
    }
    let why = format!("{seconds} is not a number of seconds from 0 to {TIMEOUT_MAX}");
    Err(Fault { span: number.span(), why })
}
