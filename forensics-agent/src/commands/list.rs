//! `list`: the stored incidents.

use std::io::{self, IsTerminal as _, Write};

use crate::cli::{Format, Globals};
use crate::report::{Zone, table};

use super::failure::Failure;
use super::stored::{Place, Which, failure};

const DETAILS: &str = "\
Examples:
  forensics-agent list --since yesterday
  forensics-agent list -u 'gateway*' --cause systemd-stop-timeout
  forensics-agent list --instigator pkill -o json | jq .verdict.summary

The newest stands last. `show ID` tells one in full; a few characters of the id will do.";

/// Options of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// Which incidents.
    #[command(flatten)]
    pub which: Which,
    /// So many of the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub limit: u32,
    /// Where they are.
    #[command(flatten)]
    pub place: Place,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let store = args.place.open()?;
    let filter = args.which.filter();
    let mut out = io::stdout().lock();
    match globals.output {
        Format::Json => {
            for line in store.lines(&filter, args.limit).map_err(failure)? {
                writeln!(out, "{line}").map_err(|error| Failure::output(&error))?;
            }
        }
        Format::Text => {
            let mut found = store.list(&filter, args.limit).map_err(failure)?;
            found.reverse();
            if found.is_empty() && !globals.quiet {
                log_nothing(&mut io::stderr());
            }
            let colour = globals.color.wanted(&out);
            let wide = !out.is_terminal();
            table::incidents(&mut out, &found, colour, wide, Zone::Local)
                .map_err(|error| Failure::output(&error))?;
        }
    }
    Ok(0)
}

/// An empty table is no answer.
fn log_nothing(stderr: &mut impl Write) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(stderr, "no stored incident is like that");
}
