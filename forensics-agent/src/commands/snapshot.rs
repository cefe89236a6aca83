//! `snapshot`: the shutdown context of a process.

use std::io::{self, Write as _};

use forensics_incident::model::Context;
use serde_json::Value;

use crate::cli::Globals;
use crate::host::markers::MarkerSpec;
use crate::host::proc::{ProcError, read_process};
use crate::host::redact::redact_text;
use crate::host::snapshot::{Snapshot, Surroundings, snapshot_shutdown_context, unit_by_invocation};
use crate::report::context_line::context_line;

use super::failure::Failure;

const DETAILS: &str = "\
Without -p it is the context of the caller, the process that started this command.

Exits with 0, or with 2 when the process does not exist or the caller is sudo or su.";

/// Options of `snapshot`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// The process; the caller without it
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// The signal that it received, by name or number
    #[arg(long, value_name = "S", value_parser = signal_number, allow_negative_numbers = true)]
    pub signal: Option<i64>,
    /// One JSON object, or one line for a log
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The forms of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A JSON object with sorted keys
    #[default]
    Json,
    /// `signal=SIGTERM under_systemd=no …`
    Line,
}

/// Why there is no snapshot. The exit status is 2 for all of them.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The process cannot be read.
    #[error(transparent)]
    Process(#[from] ProcError),
    /// The caller only passed the command on.
    #[error("the caller is {0}, not the process that you mean: name it with --pid")]
    Caller(String),
}

/// Prints the context and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let context = take(globals, args).map_err(|error| Failure::usage(error.to_string()))?;
    let line = render(&context, args.format).map_err(|error| Failure::output(&error.into()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(0)
}

/// Takes the context that the options ask for.
fn take(globals: &Globals, args: &Args) -> Result<Context, SnapshotError> {
    let pid = match args.pid {
        Some(pid) => pid,
        None => caller()?,
    };
    let surroundings = Surroundings {
        redact: &|argv| globals.shown().shown(argv),
        redact_text: &redact_text,
        unit: &unit_by_invocation,
        markers: MarkerSpec::builtin().into(),
    };
    let Snapshot { context, markers: _, missing: _ } =
        snapshot_shutdown_context(pid, args.signal, &surroundings)?;
    Ok(context)
}

/// The parent of this process, unless it is known to run commands for somebody else.
fn caller() -> Result<u32, SnapshotError> {
    let pid = std::os::unix::process::parent_id();
    let process = read_process(pid)?;
    let program = process.program();
    if matches!(program, "sudo" | "su" | "doas" | "pkexec" | "runuser") {
        return Err(SnapshotError::Caller(program.to_owned()));
    }
    Ok(pid)
}

/// One line: JSON with sorted keys, or the form for a log.
///
/// # Errors
/// When the context cannot be written as JSON.
fn render(context: &Context, format: Format) -> serde_json::Result<String> {
    Ok(match format {
        Format::Json => sorted(serde_json::to_value(context)?).to_string(),
        Format::Line => context_line(context),
    })
}

/// The value with the members of each object in the order of their names, however serde_json keeps them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// A signal by name, or any number, as the seed of this command took it.
fn signal_number(text: &str) -> Result<i64, String> {
    let named = || forensics_incident::signals::parse(text).map(i64::from);
    text.parse().ok().or_else(named).ok_or_else(|| "not the name or number of a signal".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let signal = "SIGTERM".to_owned();
        Context { pid: 7, signal, signal_num: Some(15), loadavg_1m: Some(0.5), ..Context::default() }
    }

    #[test]
    fn json_keys_are_sorted() {
        let text = render(&context(), Format::Json).unwrap();
        let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap();
        let keys =
            ["loadavg_1m", "parent", "self", "signal", "signal_num", "ts", "ts_monotonic", "under_systemd"];
        assert!(keys.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
        assert!(text.contains("\"signal\":\"SIGTERM\""));
    }

    #[test]
    fn the_line_is_that_of_the_report() {
        let line = render(&context(), Format::Line).unwrap();
        assert!(line.starts_with("signal=SIGTERM under_systemd=no parent_pid="), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn the_caller_is_the_parent() {
        assert_eq!(caller().unwrap(), std::os::unix::process::parent_id());
    }

    #[test]
    fn signals_by_name_and_number() {
        assert_eq!(signal_number("TERM"), Ok(15));
        assert_eq!(signal_number("9999"), Ok(9999));
        assert_eq!(signal_number("-1"), Ok(-1));
        assert!(signal_number("nope").is_err());
    }
}
