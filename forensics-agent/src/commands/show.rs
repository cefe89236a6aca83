//! `show`: one stored incident in full.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use forensics_incident::model::Incident;

use crate::cli::{Format, Globals};
use crate::report::{Zone, html};
use crate::store::{Found, StoreError};

use super::failure::Failure;
use super::stored::{Place, failure};

const DETAILS: &str = "\
Examples:
  forensics-agent show last
  forensics-agent show 6a4be75c --events
  forensics-agent show last --html incident.html
  forensics-agent show last -o json | jq .signals

The verdict is the one that was given; `forensics-agent show ID -o json | forensics-agent judge` gives a new one.";

/// Options of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// Id of the incident, a beginning or end of it, or `last`
    #[arg(value_name = "ID")]
    pub id: String,
    /// Also print each of its signals in a line of its own
    #[arg(long)]
    pub events: bool,
    /// Write it to this file as a page to hand round, which needs nothing but itself
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    pub html: Option<PathBuf>,
    /// Where it is.
    #[command(flatten)]
    pub place: Place,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let store = args.place.open()?;
    let (id, json) = match store.find(&args.id).map_err(failure)? {
        Found::One { id, json } => (id, json),
        Found::None => {
            return Err(Failure::usage(format!(
                "no incident {:?} in {}; 'forensics-agent list' shows which there are",
                args.id,
                store.path().display()
            )));
        }
        Found::Several(count) => {
            return Err(Failure::usage(format!(
                "{:?} belongs to {count} incidents; give more of the id",
                args.id
            )));
        }
    };
    let output = |error: io::Error| Failure::output(&error);
    let mut out = io::stdout().lock();
    if globals.output == Format::Json && !args.events && args.html.is_none() {
        // As it was printed then, whatever this version makes of it.
        writeln!(out, "{json}").map_err(output)?;
        return Ok(0);
    }
    let incident: Incident = serde_json::from_str(&json)
        .map_err(|why| failure(StoreError::Damaged { path: store.path().to_owned(), id, why }))?;
    if let Some(path) = &args.html {
        let page = html::page(&incident, &json, Zone::Local);
        let written = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
        written
            .and_then(|mut file| file.write_all(page.as_bytes()))
            .map_err(|error| Failure::usage(format!("--html {}: {error}", path.display())))?;
        return Ok(0);
    }
    let mut reporter = super::reporter(globals, out);
    if args.events {
        for signal in &incident.facts.signals {
            reporter.signal(&incident.facts.target, signal).map_err(output)?;
        }
    }
    reporter.incident(&incident).map_err(output)?;
    Ok(0)
}
