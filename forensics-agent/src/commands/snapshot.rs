//! `snapshot`: the shutdown context of a process.

use std::io::Write;

use forensics_incident::model::Context;
use serde_json::Value;

use crate::host::markers::MarkerSpec;
use crate::host::proc::{ProcError, read_process};
use crate::host::snapshot::{Snapshot, Surroundings, snapshot_shutdown_context, unit_by_invocation};

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

/// What the command uses of other parts.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// Takes the secrets out of a command line.
    pub redact: &'a dyn Fn(&[String]) -> Vec<String>,
    /// Takes the secrets out of one foreign text.
    pub redact_text: &'a dyn Fn(&str) -> String,
    /// Makes the one-line form of a context.
    pub format_line: &'a dyn Fn(&Value) -> String,
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

/// Prints the context and yields the exit status. What is wrong with the input is said on stderr.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args, parts: Parts<'_>, out: &mut dyn Write) -> anyhow::Result<u8> {
    match take(args, parts) {
        Ok(context) => {
            writeln!(out, "{}", render(&context, args.format, parts.format_line)?)?;
            Ok(0)
        }
        Err(error) => {
            // Without a stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "forensics-agent: {error}");
            Ok(2)
        }
    }
}

/// Takes the context that the options ask for.
///
/// # Errors
/// [`SnapshotError`]
pub fn take(args: &Args, parts: Parts<'_>) -> Result<Context, SnapshotError> {
    let pid = match args.pid {
        Some(pid) => pid,
        None => caller()?,
    };
    let surroundings = Surroundings {
        redact: parts.redact,
        redact_text: parts.redact_text,
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
fn render(
    context: &Context,
    format: Format,
    format_line: &dyn Fn(&Value) -> String,
) -> serde_json::Result<String> {
    let value = serde_json::to_value(context)?;
    Ok(match format {
        Format::Json => sorted(value).to_string(),
        Format::Line => format_line(&value),
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

    fn parts() -> Parts<'static> {
        Parts {
            redact: &<[String]>::to_vec,
            redact_text: &str::to_owned,
            format_line: &|value| format!("line {}", value["signal"]),
        }
    }

    #[test]
    fn json_keys_are_sorted() {
        let args = Args { pid: Some(std::process::id()), signal: Some(15), format: Format::Json };
        let mut out = Vec::new();
        assert_eq!(run(&args, parts(), &mut out).unwrap(), 0);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 1);
        let at = |key: &str| text.find(&format!("\"{key}\":")).unwrap();
        let keys =
            ["loadavg_1m", "parent", "self", "signal", "signal_num", "ts", "ts_monotonic", "under_systemd"];
        assert!(keys.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
        assert!(text.contains("\"signal\":\"SIGTERM\""));
    }

    #[test]
    fn the_line_is_made_by_the_report() {
        let args = Args { pid: Some(std::process::id()), signal: None, format: Format::Line };
        let mut out = Vec::new();
        assert_eq!(run(&args, parts(), &mut out).unwrap(), 0);
        assert_eq!(out, b"line \"UNKNOWN\"\n");
    }

    #[test]
    fn no_such_process_is_2_and_prints_nothing() {
        let args = Args { pid: Some(u32::MAX), signal: None, format: Format::Json };
        let mut out = Vec::new();
        assert_eq!(run(&args, parts(), &mut out).unwrap(), 2);
        assert!(out.is_empty());
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
