//! `explain`: what can still be known of ends that nobody watched.

use std::io;

use forensics_incident::text::escape;

use crate::cli::{Format, Globals};
use crate::explain::{Subject, conclude, gather};
use crate::host::clock;
use crate::host::systemd::unit::{Scope, UnitPath};
use crate::moment::Moment;
use crate::report::explanation::Explanation;
use crate::report::{Zone, table};

use super::failure::Failure;

/// How far back it looks unless it is said otherwise, seconds.
const DAY_S: f64 = 86_400.0;

const DETAILS: &str = "\
Examples:
  forensics-agent explain gateway --since yesterday
  forensics-agent explain hermes --uid 1000 --since -2h
  forensics-agent explain 4242

It reads the journal, the kernel's log, wtmp, the audit log, the histories of apt and dpkg, and what the manager remembers.
Logs tell what somebody wrote and not what happened, so nothing of it is certain: for that, watch the process beforehand.

Exits with 0, or with 3 when no source tells of an end.";

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// A unit, or the number of a process that has ended
    #[arg(value_name = "UNIT|PID")]
    pub subject: String,
    /// Ends since then: '2026-11-24 03:17', yesterday, -2h [default: -24h]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// Ends until then
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub until: Option<Moment>,
    /// The unit is one of this user's manager
    #[arg(long, value_name = "UID")]
    pub uid: Option<u32>,
}

/// Prints what is known and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub async fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let subject = subject(args)?;
    let until = args.until.map_or_else(clock::unix_s, |moment| moment.0);
    let since = args.since.map_or(until - DAY_S, |moment| moment.0);
    if since >= until {
        return Err(Failure::usage("--since is not before --until"));
    }
    let gathered = gather(&subject, since..until).await;
    let deaths = conclude(&subject, &gathered.findings);
    let code = if deaths.is_empty() { 3 } else { 0 };
    let explanation = Explanation::new(&subject, since..until, deaths, gathered.now, gathered.silent);
    let mut out = io::stdout().lock();
    let colour = globals.color.wanted(&out);
    let printed = match globals.output {
        Format::Json => table::json(&mut out, &explanation),
        Format::Text => explanation.print(&mut out, colour, Zone::Local),
    };
    printed.map_err(|error| Failure::output(&error))?;
    Ok(code)
}

fn subject(args: &Args) -> Result<Subject, Failure> {
    if let Ok(pid) = args.subject.parse::<u32>() {
        return Ok(Subject::Process(pid));
    }
    let scope = args.uid.map_or(Scope::System, |uid| Scope::User { uid });
    UnitPath::named(&args.subject, scope).map(Subject::Unit).ok_or_else(|| {
        Failure::usage(format!(
            "'{}' is neither the name of a unit nor the number of a process",
            escape(&args.subject)
        ))
    })
}
