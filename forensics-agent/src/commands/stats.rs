//! `stats`: who kills what, how often, at what hours, and what dies again and again.

use std::io;

use crate::cli::{Format, Globals};
use crate::report::{Zone, table};

use super::failure::Failure;
use super::stored::{Place, Which, failure};

/// Options of `stats`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which incidents.
    #[command(flatten)]
    pub which: Which,
    /// Where they are.
    #[command(flatten)]
    pub place: Place,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let stats = args.place.open()?.stats(&args.which.filter()).map_err(failure)?;
    let mut out = io::stdout().lock();
    let printed = match globals.output {
        Format::Json => table::json(&mut out, &stats),
        Format::Text => {
            let colour = globals.color.wanted(&out);
            table::stats(&mut out, &stats, colour, Zone::Local)
        }
    };
    printed.map_err(|error| Failure::output(&error))?;
    Ok(0)
}
